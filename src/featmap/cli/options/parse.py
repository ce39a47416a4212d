"""Parsers for the values of a command line: sizes, pairs and paddings, always (rows, columns)."""

from __future__ import annotations

import re
from typing import Literal

from featmap.errors import SettingError

Pair = tuple[int, int]
NUMBER = r"-?\d+"


def pair(text: str, option: str) -> Pair:
    """(rows, columns) of `3` or `3x5`.

    Raises: SettingError: the text is neither.

    >>> pair("3", "--kernel"), pair("3x5", "--kernel")
    ((3, 3), (3, 5))
    """
    found = re.fullmatch(rf"({NUMBER})(?:[x×]({NUMBER}))?", text.strip().lower())
    if not found:
        raise SettingError(
            f"{option} {text!r} is neither a number nor ROWSxCOLUMNS.", f"Write {option} 3, or {option} 3x5."
        )
    return int(found[1]), int(found[2] or found[1])


def sides(text: str, option: str) -> int | tuple[int, ...]:
    """A number for every axis, or one for each: `16`, `16x24`, in a volume `4x8x8`.

    Raises: SettingError: the text is neither.

    >>> sides("16", "--window"), sides("4x8x8", "--window")
    (16, (4, 8, 8))
    """
    parts = re.split("[x×]", text.strip().lower())
    if len(parts) > _MOST_AXES or not all(re.fullmatch(NUMBER, part) for part in parts):
        raise SettingError(
            f"{option} {text!r} is neither a number nor ROWSxCOLUMNS.", f"Write {option} 3, or {option} 3x5."
        )
    return int(parts[0]) if len(parts) == 1 else tuple(map(int, parts))


_MOST_AXES = 3


def size(text: str, option: str = "SIZE") -> Pair:
    """(height, width) of `224` or `224x320`.

    >>> size("224x320")
    (224, 320)
    """
    return pair(text, option)


def padding(text: str) -> tuple[Pair, Pair] | Literal["same"]:
    """((above, below), (left, right)) of `1`, `1x2` (rows x columns) or `top,left,bottom,right`; or "same".

    >>> padding("1x2"), padding("0,1,2,3"), padding("same")
    (((1, 1), (2, 2)), ((0, 2), (1, 3)), 'same')
    """
    if text.strip().lower() == "same":
        return "same"
    if found := re.fullmatch(",".join([rf"\s*({NUMBER})\s*"] * 4), text):
        top, left, bottom, right = (int(number) for number in found.groups())
        return (top, bottom), (left, right)
    try:
        rows, columns = pair(text, "--padding")
    except SettingError:
        raise SettingError(
            f"--padding {text!r} is not a padding.",
            "Write --padding 1, --padding 1x2 (rows x columns), --padding same, or all four sides as in "
            "--padding 0,1,2,3 (top,left,bottom,right).",
        ) from None
    return (rows, rows), (columns, columns)
