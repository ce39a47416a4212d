"""The engine of a build on the command line: its name, and the options of every engine in the table."""

from __future__ import annotations

from inspect import Parameter
from typing import Annotated, Any, get_args

from typer import Option

from featmap.cli.options.spread import Listed, option
from featmap.index.build.engines import ENGINES
from featmap.index.schema.described import Described, described

PANEL = "Where it is computed"


class EngineChoice(Listed):
    """The name of an engine, and its settings."""

    def __init__(self, engine: str, **settings: Any) -> None:
        self.engine = engine
        self.settings = settings

    @classmethod
    def parameters(cls) -> list[Parameter]:
        names = [f"{name}: {engine.where}" if engine.where else name for name, engine in ENGINES.items()]
        chosen = Annotated[str, Option(help=f"{', or '.join(names)}.", rich_help_panel=PANEL)]
        first = Parameter("engine", Parameter.KEYWORD_ONLY, default="local", annotation=chosen)
        return [first, *(option(name, hint, PANEL) for name, hint in _settings().items())]


def _settings() -> dict[str, Any]:
    """Every option of an engine, described by the engines that take it."""
    found: dict[str, Any] = {}
    for engine, kind in ENGINES.items():
        for name, hint in described(kind).items():
            plain, said = get_args(hint)[:2]
            before = f"{_words(found[name])} " if name in found else ""
            found[name] = Annotated[plain, Described(f"{before}With {engine}: {said.words}", said.metavar)]
    return found


def _words(hint: Any) -> str:
    return get_args(hint)[1].words
