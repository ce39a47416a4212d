"""The values at the ends of the colours: per map or shared, always including 0, always stated in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from featmap.errors import SettingError, nearest
from featmap.view.drawing.palette import Palette, palette
from featmap.view.drawing.text import MINUS, extent, number
from featmap.view.sheets.summary import Summary

Kind = Literal["map", "shared"]
KINDS = ("map", "shared")


@dataclass(frozen=True, eq=False)
class Scale:
    """The values at the two ends of the colours, one pair per map, and what the picture says about them.

    `marks` are the texts at the low end, at 0 and at the high end of the colour bar; the middle one is empty where 0 is
    an end or where its position differs between maps.
    """

    low: NDArray[np.float64]
    high: NDArray[np.float64]
    colours: Palette
    statement: str
    marks: tuple[str, str, str]


def check_scale(kind: str) -> None:
    """Raises SettingError for a word that names no scale."""
    if kind not in KINDS:
        remedy = f"Use 'map' for a scale of its own per map, or 'shared' for one scale. {nearest(kind, KINDS)}".strip()
        raise SettingError(f"There is no colour scale {kind!r}.", remedy)


def scale_of(summary: Summary, kind: str, *, signed: bool) -> Scale:
    """The scale of maps that are shown together.

    Signed values reach from minus the largest magnitude to plus it, so that 0 is white. Others reach from the minimum
    to the maximum, stretched where needed so that 0 is in the range. Maps of a single value always share one
    scale: on its own scale each would be at the end.

    >>> from featmap.view.sheets.summary import summarise
    >>> scale_of(summarise(np.array([[[-1.0, 4.0]], [[0.0, 2.0]]])), "map", signed=True).high.tolist()
    [4.0, 2.0]
    """
    check_scale(kind)
    low, high = _ends(summary, signed=signed)
    if is_shared(summary, kind):
        who = "all maps share one colour scale" if len(low) > 1 else "one scale"
        low, high = np.full_like(low, low.min()), np.full_like(high, high.max())
        words = _shared_words(who, float(low[0]), float(high[0]), signed=signed)
        return Scale(low, high, palette(signed=signed), *words)
    return Scale(low, high, palette(signed=signed), *_map_words(low, signed=signed))


def is_shared(summary: Summary, kind: str) -> bool:
    """Whether one scale holds for all maps: where it is asked for, for a single map, and for maps of a single value."""
    return kind == "shared" or len(summary.mean) == 1 or summary.size == 1


def _ends(summary: Summary, *, signed: bool) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if signed:
        limit = np.maximum(np.abs(summary.minimum), np.abs(summary.maximum))
        return -limit, limit
    return np.minimum(summary.minimum, 0), np.maximum(summary.maximum, 0)


def _shared_words(who: str, low: float, high: float, *, signed: bool) -> tuple[str, tuple[str, str, str]]:
    centred = ", centred on 0" if signed else ""
    return f"{who}, {extent(low, high)}{centred}", (number(low), "0" if signed else "", number(high))


def _map_words(low: NDArray[np.float64], *, signed: bool) -> tuple[str, tuple[str, str, str]]:
    own = "each map has its own colour scale"
    if signed:
        words = f"{own}, centred on 0; below it stands its range"
        return words, (f"{MINUS}max |value|", "0", "max |value|")
    if not low.any():
        return f"{own}, from 0 to its maximum, which stands below it", ("0", "", "map's max")
    return f"{own}, its range with 0 in it; below it stands its range", ("map's min", "", "map's max")
