"""Options that take several values, all in one form: given again for each, or with commas where no value has one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from typer import Option

from featmap.errors import SettingError

AGAIN = "Again for more, or with commas."
ONLY_AGAIN = "Again for more."


def several(*names: str, metavar: str, words: str, commas: bool = True, **more: Any) -> Any:
    """An option that may be given again; its help says so in the same words everywhere."""
    return Option(*names, metavar=metavar, help=f"{words} {AGAIN if commas else ONLY_AGAIN}", **more)


def layers_option(words: str = "LAYER or LAYER:STAGE.", **more: Any) -> Any:
    """`--layer`, for the layers that a command is about."""
    return several("--layer", "--layers", metavar="ADDRESS", words=words, show_default="all", **more)


def channels_option(words: str = "Which maps: 7,117 or 0-15.") -> Any:
    """`--channel`, for some maps of a layer."""
    return several("--channel", "--channels", metavar="LIST", words=words, show_default="all")


def split(texts: Sequence[str] | None) -> list[str] | None:
    """Texts given one by one, or with commas between; None where the option is not given.

    >>> split(["conv1,layer1", "layer2"]), split(["0,conv1/0@1,2"]), split([""]), split(None)
    (['conv1', 'layer1', 'layer2'], ['0', 'conv1/0@1,2'], [''], None)
    """
    found = [part for text in texts or () for part in _parts(text)]
    # An empty text is not the same as no option: what reads it says that it is nothing.
    return found or ([""] if texts else None)


def _parts(text: str) -> list[str]:
    """The parts between commas; those behind an @ belong to a unit, which what reads it refuses as a whole."""
    return [part.strip() for part in re.findall(r"[^,@]*@.*|[^,]+", text) if part.strip()]


def numbers(texts: Sequence[str] | None) -> list[int] | None:
    """The numbers of lists of numbers and ranges; None where there are none.

    >>> numbers(["7,117"]), numbers(["0-3", "9"]), numbers(None)
    ([7, 117], [0, 1, 2, 3, 9], None)
    """
    found: list[int] = []
    for text in texts or ():
        for part in text.split(","):
            found += _numbers(part.strip(), text)
    return found or None


def _numbers(part: str, text: str) -> range:
    first, dash, last = part.partition("-")
    if not first.isdigit() or (dash and not last.isdigit()):
        raise SettingError(f"--channel '{text}' is not a list of maps.", "Write numbers and ranges: 7,117 or 0-15.")
    if int(last or first) < int(first):
        raise SettingError(f"--channel '{text}': {part} runs backwards.", "Write the smaller number first.")
    return range(int(first), int(last or first) + 1)
