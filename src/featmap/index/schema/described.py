"""Keywords that say what they are: the words for the command line stand beside the type, once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_origin, get_type_hints


@dataclass(frozen=True)
class Described:
    """What a keyword means. `metavar` stands for its value, `default` says what holds where it is not given.

    A truth value that is `can_be_off` has a default of its own kind, so that it may be said either way.
    """

    words: str
    metavar: str = ""
    default: str = ""
    can_be_off: bool = False


def described(kind: type) -> dict[str, Any]:
    """The keywords of a class that are described, each with its whole annotation."""
    hints = get_type_hints(kind, include_extras=True)
    return {
        name: hint
        for name, hint in hints.items()
        if get_origin(hint) is Annotated and any(isinstance(note, Described) for note in get_args(hint))
    }
