"""Options that take several values: all are given again for more, say so in the same words, and have one name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.console import featmap
from featmap.cli.app import COMMANDS, loaded
from featmap.cli.options.several import AGAIN, ONLY_AGAIN, numbers, split

SMALL = "cli.networks:Small"


def options() -> Iterator[tuple[str, Any]]:
    """Every option of every command, with the command's name."""
    for name in COMMANDS:
        found: Any = loaded(name)
        commands = {f"{name} {below}": each for below, each in getattr(found, "commands", {}).items()} or {name: found}
        for command, each in commands.items():
            yield from ((command, option) for option in each.params if option.param_type_name == "option")


SEVERAL = {(command, option.opts[0]): option for command, option in options() if option.multiple}


def test_which_options_take_several() -> None:
    assert {name for _, name in SEVERAL} == {"--layer", "--channel", "--label", "--fail-on", "--full"}
    assert {command for command, name in SEVERAL if name == "--layer"} == {"maps", "index build"}
    assert {command for command, name in SEVERAL if name == "--channel"} == {"sheet", "top", "index top"}


@pytest.mark.parametrize("asked", SEVERAL, ids=" ".join)
def test_each_says_so_in_the_same_words(asked: tuple[str, str]) -> None:
    words = SEVERAL[asked].help
    assert words.endswith((f" {AGAIN}", f" {ONLY_AGAIN}"))
    # A label may hold a comma.
    assert words.endswith(ONLY_AGAIN) == (asked[1] == "--label")


def test_no_other_option_speaks_of_several() -> None:
    for command, option in options():
        if not option.multiple and option.help:
            assert "again for more" not in option.help.lower(), command
            assert "with commas" not in option.help, command
            assert option.metavar != "LIST", command


def test_one_name_has_one_form() -> None:
    """A name that takes several values takes them everywhere, but where it is the only layer of a question."""
    single = {option.opts[0] for _, option in options() if not option.multiple}
    assert single & {name for _, name in SEVERAL} == {"--layer"}


def test_names_in_the_plural_are_understood_too(place: Path) -> None:
    first = featmap(f"maps {SMALL} cat.png --layer stem:z,grouped -o one.npz --json")
    again = featmap(f"maps {SMALL} cat.png --layers stem:z --layer grouped -o one.npz --json")
    assert first.code == again.code == 0
    assert first.out == again.out
    assert [maps["address"] for maps in json.loads(first.out)["maps"]] == ["stem:z", "grouped:z"]


def test_channels_again_and_with_commas(place: Path) -> None:
    lines = ("--channel 0,2-3", "--channel 0 --channel 2-3", "--channels 0 --channel 2,3")
    found = {featmap(f"sheet {SMALL} cat.png --layer stem --json {line}").out for line in lines}
    assert len(found) == 1
    assert [each["channel"] for each in json.loads(found.pop())["maps"]] == [0, 2, 3]


def test_an_empty_text_is_not_the_same_as_no_option(place: Path) -> None:
    ended = featmap(f"maps {SMALL} cat.png --layer '' -o x.npz")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("'' is not a valid address.")
    assert split(["", ","]) == [""]
    assert numbers([]) is None


def test_top_and_audit_are_short_for_those_of_an_index(place: Path) -> None:
    assert featmap(f"index build {SMALL} cat.png -o i.fmi").code == 0
    for line in ("top i.fmi stem/1 --json", "top i.fmi stem", "audit i.fmi", "audit i.fmi --fail-on 'dead>5%,maps>1'"):
        short, whole = featmap(line), featmap(f"index {line}")
        assert short == whole
    assert featmap("audit i.fmi --fail-on 'sparsity>=0' --fail-on 'sparsity>=0.0'").err == (
        featmap("audit i.fmi --fail-on 'sparsity>=0,sparsity>=0.0'").err
    )
