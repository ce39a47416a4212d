"""The table of engines: what is registered, what is refused, and that builds and the command line ask it alone."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, get_args

import pytest
import torch
from torch import nn

import featmap as fm
from featmap.cli.options.engine import EngineChoice
from featmap.cli.options.spread import spread
from featmap.errors import SettingError
from featmap.index.build import engines
from featmap.index.build.engine import Engine, Work
from featmap.index.build.engines import ENGINES, EngineOptions, option_names, options_of
from featmap.index.build.local import LocalEngine
from featmap.index.build.measure import Finish
from featmap.index.schema.described import Described, described

IMAGES = torch.rand(5, 3, 8, 8)


@dataclass(frozen=True)
class Slow(Engine):
    """The local engine, which notes how it was made."""

    made: ClassVar[list[Slow]] = []
    name = "slow"
    where = "at leisure"

    workers: Annotated[int | None, Described("how many sit there.", "N")] = None
    naps: Annotated[int | None, Described("how often they rest.", "N")] = None

    def check(self) -> None:
        if self.naps == 0:
            raise SettingError("naps is 0.", "Let them rest.")

    def run(self, work: Work) -> Iterator[Finish]:
        self.made.append(self)
        return LocalEngine().run(work)


@pytest.fixture(autouse=True)
def same_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Slow, "made", [])
    table = dict(ENGINES)
    for module in ("featmap.index.build.engines", "featmap.cli.options.engine"):
        monkeypatch.setattr(f"{module}.ENGINES", table)


@pytest.fixture(scope="module")
def net() -> fm.Network:
    return fm.trace(nn.Sequential(nn.Conv2d(3, 2, 3)), (3, 8, 8))


def test_a_registered_engine_measures_with_its_options(net: fm.Network, tmp_path: Path) -> None:
    fm.register_engine(Slow)
    options: Any = {"engine": "slow", "naps": 3}
    index = fm.Index.build(net, IMAGES, tmp_path / "slow.fmi", **options)
    assert Slow.made == [Slow(None, 3)]
    here = fm.Index.build(net, IMAGES, tmp_path / "here.fmi")
    assert index.images == 5
    assert index.top("0:z/1").examples == here.top("0:z/1").examples
    assert len(Slow.made) == 1


def test_options_are_checked_before_anything_is_written(net: fm.Network, tmp_path: Path) -> None:
    fm.register_engine(Slow)
    for options, message in (
        ({"naps": 0, "engine": "slow"}, "naps is 0.\n\nLet them rest."),
        (
            {"naps": 2},
            "naps is 2; the engine is local, which has no such setting.\n\nLeave it out, or take engine slow.",
        ),
        (
            {"workers": 2},
            "workers is 2; the engine is local, which has no such setting.\n\n"
            "Leave it out, or take engine ray, or take engine slow.",
        ),
        (
            {"naps": 2, "address": "a"},
            "naps is 2 and address is 'a'; the engine is local, which has no such setting.\n\nLeave it out.",
        ),
        ({"engine": "fast"}, "There is no engine 'fast'.\n\nIt is one of local, ray, slow."),
    ):
        given: Any = options
        with pytest.raises(SettingError) as caught:
            fm.Index.build(net, IMAGES, tmp_path / "x.fmi", **given)
        assert str(caught.value) == message
    assert not list(tmp_path.iterdir())


def test_an_option_of_no_engine_is_refused_as_python_does(net: fm.Network, tmp_path: Path) -> None:
    options: Any = {"naps": 2}
    with pytest.raises(TypeError, match=r"^build\(\) got an unexpected keyword argument 'naps'$"):
        fm.Index.build(net, IMAGES, tmp_path / "x.fmi", **options)


def test_what_is_no_engine_is_not_registered() -> None:
    class Nameless(Engine):
        def run(self, work: Work) -> Iterator[Finish]:
            return LocalEngine().run(work)

    class Other(Slow):
        name = "local"

    for wrong in (Slow(), int, Nameless, dataclass(frozen=True)(Nameless)):
        given: Any = wrong
        with pytest.raises(SettingError) as caught:
            fm.register_engine(given)
        assert str(caught.value) == (
            f"The engine to register is {given!r}.\n\n"
            "Give a class: a dataclass below featmap.index.build.engine.Engine with a name."
        )
    with pytest.raises(SettingError) as caught:
        fm.register_engine(Other)
    assert str(caught.value) == "'local' is an engine of featmap's own.\n\nGive yours another name."
    fm.register_engine(Slow)
    fm.register_engine(Slow)
    assert list(engines.ENGINES) == ["local", "ray", "slow"]


def help_of(name: str) -> Any:
    entry = inspect.signature(spread(command)).parameters[name]
    return get_args(entry.annotation)[1].help


def command(choice: EngineChoice) -> tuple[str, dict[str, Any]]:
    return choice.engine, choice.settings


def test_the_command_line_takes_the_options_of_every_engine() -> None:
    assert list(inspect.signature(spread(command)).parameters) == ["engine", "workers", "address"]
    fm.register_engine(Slow)
    assert list(inspect.signature(spread(command)).parameters) == ["engine", "workers", "address", "naps"]
    assert help_of("engine") == "local, or ray: on a Ray cluster, or slow: at leisure."
    assert help_of("workers") == "With ray: how many workers. With slow: how many sit there."
    assert help_of("naps") == "With slow: how often they rest."
    given = {"engine": "slow", "workers": None, "address": None, "naps": 2}
    assert spread(command)(**given) == ("slow", {"workers": None, "address": None, "naps": 2})


def test_every_option_of_featmaps_own_engines_is_described_and_known_to_type_checkers() -> None:
    assert all(described(engine).keys() == options_of(name) for name, engine in ENGINES.items())
    assert {"engine", *option_names()} == EngineOptions.__annotations__.keys()
