"""Classes of options written out as a command's parameters, and collected again."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypedDict

import pytest
import typer
from typer import Argument, Option
from typer.testing import CliRunner

from featmap.cli.app import COMMANDS, loaded
from featmap.cli.index import group
from featmap.cli.options.model import ModelOptions
from featmap.cli.options.spread import OptionPanel, spread
from featmap.index.build.options import ImageOptions
from featmap.index.schema.described import Described, described
from featmap.index.schema.wish import WishOptions


@dataclass(frozen=True)
class Frame:
    height: Annotated[int, Option(metavar="ROWS", help="How high.")]
    dark: Annotated[bool, Option("--dark", help="Dark.")] = False


class Kept(TypedDict, total=False):
    names: Annotated[Sequence[str | complex] | None, Described("Names.", "NAME")]
    count: Annotated[int | None, Described("How many.", "N", "many")]
    whole: Annotated[bool | None, Described("All.", default="whole", can_be_off=True)]
    again: Annotated[bool, Described("Again.")]
    place: complex | None


def command(
    picture: Annotated[str, Argument(metavar="PICTURE")],
    width: Annotated[int, Option(help="How wide.")] = 3,
    *,
    frame: Frame,
    kept: Annotated[Kept, OptionPanel("What is kept")],
) -> None:
    """Frames a picture."""
    typer.echo(f"{picture} {width} {frame} {kept}")


def ended(*words: str) -> Any:
    app = typer.Typer(add_completion=False)
    app.command()(spread(command))
    return CliRunner().invoke(app, words)


GIVEN = [
    ("a.png --height 5", "a.png 3 Frame(height=5, dark=False) {'again': False}"),
    ("a.png --dark --width 4 --height 5", "a.png 4 Frame(height=5, dark=True) {'again': False}"),
    (
        "a.png --height 5 --names a,b --names c --count 0 --no-whole --again",
        "a.png 3 Frame(height=5, dark=False) {'names': ['a', 'b', 'c'], 'count': 0, 'whole': False, 'again': True}",
    ),
]


@pytest.mark.parametrize(("words", "said"), GIVEN)
def test_options_come_back_in_their_classes(words: str, said: str) -> None:
    found = ended(*words.split())
    assert (found.exit_code, found.output) == (0, f"{said}\n")


def test_options_without_a_default_are_required() -> None:
    found = ended("a.png")
    assert found.exit_code == 2
    assert "Missing option '--height'" in found.output


def test_the_help_says_what_the_classes_say() -> None:
    shown = ended("--help").output
    for words in ("Frames a picture.", "How high.", "ROWS", "What is kept", "--whole", "--no-whole", "(many)", "NAME"):
        assert words in shown
    assert "--place" not in shown


def test_parameters_stand_in_their_class_s_place() -> None:
    assert list(inspect.signature(spread(command)).parameters) == [
        *("picture", "width", "height", "dark", "names", "count", "whole", "again"),
    ]


def every_command() -> dict[str, Any]:
    single = {name: loaded(name) for name in COMMANDS if name != "index"}
    return {**single, **loaded("index").commands}


def test_every_command_with_a_model_takes_all_options_of_a_model() -> None:
    wanted = set(ModelOptions.__dataclass_fields__)
    held = {name: {entry.name for entry in command.params} for name, command in every_command().items()}
    with_model = {name for name, names in held.items() if "model" in names}
    assert with_model == {
        *("plan", "field", "maps", "explain", "occlude", "project", "sheet", "build", "verify", "similar")
    }
    assert all(wanted <= held[name] for name in with_model)


def test_a_build_takes_every_keyword_that_is_described() -> None:
    held = {entry.name for entry in loaded("index").commands["build"].params}
    assert described(WishOptions).keys() == WishOptions.__annotations__.keys()
    assert {*described(WishOptions), *described(ImageOptions), "layers", "device", "engine", "workers"} <= held


def test_the_commands_below_index_are_one_file_each() -> None:
    commands: list[Callable[..., Any]] = [module.command for module in group.COMMANDS.values()]
    assert [command.__module__ for command in commands] == [f"featmap.cli.index.{name}" for name in group.COMMANDS]
