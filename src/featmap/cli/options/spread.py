"""Classes of options as parameters of a command: what a command takes as one is written out for typer.

typer reads the options of a command from its signature, one parameter each. A command may take a class instead: a
dataclass whose fields are typer's parameters, keywords of the library in a TypedDict that say what they are
(`Described`), or a class that lists its parameters itself (`Listed`). A rich panel for them stands beside the class:
`Annotated[WishOptions, OptionPanel("What is kept")]`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from inspect import Parameter, Signature, signature
from types import UnionType
from typing import Annotated, Any, ClassVar, Union, get_args, get_origin, get_type_hints, is_typeddict

from typer import Option

from featmap.cli.options.several import AGAIN, split
from featmap.index.schema.described import Described, described


@dataclass(frozen=True)
class OptionPanel:
    """The heading in a command's help below which the options of a class stand."""

    title: str


class Listed:
    """Options that are not known before the program runs; made from them by keyword."""

    is_listed: ClassVar[bool] = True

    @classmethod
    def parameters(cls) -> list[Parameter]:
        """The parameters that typer reads."""
        raise NotImplementedError


def spread(command: Callable[..., Any]) -> Callable[..., Any]:
    """The command, with the options of every class that it takes in that parameter's place."""
    hints = get_type_hints(command, include_extras=True)
    given = {name: _taken(name, hints[name], entry) for name, entry in signature(command).parameters.items()}

    def run(**values: Any) -> Any:
        return command(**{name: taken.collected(values) for name, taken in given.items()})

    parameters = [parameter for taken in given.values() for parameter in taken.parameters]
    run.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    run.__name__, run.__doc__ = command.__name__, command.__doc__
    return run


@dataclass(frozen=True)
class _Taken:
    """A parameter of a command: what stands for it on the command line, and what makes one value of it."""

    parameters: Sequence[Parameter]
    made: Callable[..., Any] | None = None

    def collected(self, values: Mapping[str, Any]) -> Any:
        if self.made is None:
            return values[self.parameters[0].name]
        return self.made(**{parameter.name: values[parameter.name] for parameter in self.parameters})


def _taken(name: str, hint: Any, entry: Parameter) -> _Taken:
    kind, *notes = get_args(hint) if get_origin(hint) is Annotated else (hint,)
    panel = next((note.title for note in notes if isinstance(note, OptionPanel)), None)
    if is_dataclass(kind):
        return _Taken(_of_dataclass(kind), kind)  # type: ignore[arg-type]
    if is_typeddict(kind):
        return _Taken([option(*keyword, panel) for keyword in described(kind).items()], _without_none)
    if isinstance(kind, type) and issubclass(kind, Listed):
        return _Taken(kind.parameters(), kind)
    return _Taken([_parameter(name, hint, entry.default)])


def _parameter(name: str, hint: Any, default: Any) -> Parameter:
    # Only by keyword: an option without a default may stand behind one that has one.
    return Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=hint)


def _of_dataclass(kind: Any) -> list[Parameter]:
    hints = get_type_hints(kind, include_extras=True)
    defaults = {field.name: Parameter.empty if field.default is MISSING else field.default for field in fields(kind)}
    return [_parameter(name, hints[name], default) for name, default in defaults.items()]


def _without_none(**values: Any) -> dict[str, Any]:
    """What was given, as keywords; addresses one by one or with commas between as one list."""
    listed = {name: split(value) if isinstance(value, list) else value for name, value in values.items()}
    return {name: value for name, value in listed.items() if value is not None}


def option(name: str, hint: Any, panel: str | None = None) -> Parameter:
    """A keyword of the library as an option of a command."""
    kind, said = get_args(hint)[:2]
    assert isinstance(said, Described)
    plain = plain_type(kind)
    flag = f"--{name.replace('_', '-')}"
    names = [f"{flag}/--no-{name}" if said.can_be_off else flag] if plain is bool else []
    shown = said.default or True
    words = f"{said.words} {AGAIN}" if plain == list[str] else said.words
    found = Option(*names, metavar=said.metavar or None, help=words, show_default=shown, rich_help_panel=panel)
    is_flag = plain is bool and not said.can_be_off
    annotation = Annotated[bool, found] if is_flag else Annotated[plain | None, found]
    return _parameter(name, annotation, default=False if is_flag else None)


def plain_type(kind: Any) -> Any:
    """The type that a command line reads for a keyword's: a list of texts for a sequence, else the first plain one.

    >>> plain_type(int | None), plain_type(Sequence[str | complex] | None)
    (<class 'int'>, list[str])
    """
    members = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    if any(isinstance(get_origin(member), type) and issubclass(get_origin(member), Sequence) for member in members):
        return list[str]
    return next(member for member in members if member in (bool, int, float, str))
