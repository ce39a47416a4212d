"""The order of maps on a page: by channel, or by a number of each map, the largest first."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from featmap.errors import SettingError, nearest
from featmap.view.drawing.text import number
from featmap.view.sheets.summary import Summary

Sort = Literal["index", "maximum", "mean", "positive"]
SORTS: dict[str, str] = {
    "index": "in the order of their channels",
    "maximum": "sorted by maximum, largest first",
    "mean": "sorted by mean, largest first",
    "positive": "sorted by fraction of positive values, largest first",
}


def check_sort(sort: str) -> None:
    """Raises SettingError for a word that names no order."""
    if sort not in SORTS:
        remedy = f"Use one of {', '.join(SORTS)}. {nearest(sort, SORTS)}".strip()
        raise SettingError(f"Feature maps cannot be sorted by {sort!r}.", remedy)


def order(summary: Summary, sort: str) -> NDArray[np.intp]:
    """The positions of the maps in the order asked for; equal maps keep the order of their channels.

    Maps without any finite value come last.

    >>> from featmap.view.sheets.summary import summarise
    >>> order(summarise(np.array([[[1.0]], [[3.0]], [[2.0]]])), "maximum").tolist()
    [1, 2, 0]
    """
    check_sort(sort)
    if sort == "index":
        return np.arange(len(summary.mean))
    key: NDArray[np.float64] = getattr(summary, sort)
    return np.argsort(-np.where(summary.broken == summary.size, -np.inf, key), kind="stable")


def key_text(summary: Summary, sort: str, position: int) -> str:
    """The number that a map was sorted by, for its label."""
    if sort == "index":
        return ""
    value = float(getattr(summary, sort)[position])
    return f"{value:.0%}" if sort == "positive" else number(value)
