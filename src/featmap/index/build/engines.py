"""The table of engines: by name the class of each, and the engine that a build names with its options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, TypedDict

from featmap.errors import SettingError
from featmap.index.build.engine import Engine
from featmap.index.build.local import LocalEngine
from featmap.index.build.ray_engine import RayEngine

ENGINES: dict[str, type[Engine]] = {engine.name: engine for engine in (LocalEngine, RayEngine)}


class EngineOptions(TypedDict, total=False):
    """The engine as keywords, with the options of those above, for type checkers."""

    engine: str
    workers: int | None
    address: str | None


def register(engine: type[Engine]) -> None:
    """Puts an engine into the table; `Index.build` takes its name from then on.

    Raises: SettingError: it is not an engine with options as fields, or the name is of an engine of featmap's own.
    """
    is_engine = isinstance(engine, type) and issubclass(engine, Engine) and is_dataclass(engine)  # pyright: ignore[reportUnnecessaryIsInstance]
    if not is_engine or not hasattr(engine, "name"):
        problem = f"The engine to register is {engine!r}."
        raise SettingError(problem, "Give a class: a dataclass below featmap.index.build.engine.Engine with a name.")
    if (known := ENGINES.get(engine.name)) is not None and known.__module__.startswith("featmap."):
        raise SettingError(f"'{engine.name}' is an engine of featmap's own.", "Give yours another name.")
    ENGINES[engine.name] = engine


def options_of(name: str) -> set[str]:
    """The names of an engine's options."""
    return {option.name for option in fields(ENGINES[name])}  # type: ignore[arg-type]


def option_names() -> set[str]:
    """The names of the options of all engines."""
    return set[str]().union(*map(options_of, ENGINES))


def engine_of(name: str, settings: Mapping[str, Any]) -> Engine:
    """The engine of that name, with the settings that are given, which are not None.

    Raises: SettingError: there is none such, or it takes none of these.
    """
    if name not in ENGINES:
        raise SettingError(f"There is no engine {name!r}.", f"It is one of {', '.join(ENGINES)}.")
    given = {option: value for option, value in settings.items() if value is not None}
    if others := {option: value for option, value in given.items() if option not in options_of(name)}:
        said = " and ".join(f"{option} is {value!r}" for option, value in others.items())
        able = [f"engine {other}" for other in ENGINES if others.keys() <= options_of(other)]
        problem = f"{said}; the engine is {name}, which has no such setting."
        raise SettingError(problem, f"{', or take '.join(['Leave it out', *able])}.")
    return ENGINES[name](**given)
