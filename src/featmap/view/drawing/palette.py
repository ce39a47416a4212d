"""Colours of values: a table of colours, and one more colour for values that are not finite.

Signed maps go from blue over white to red, with 0 exactly in the middle of an odd number of levels. Others go from
black to pale yellow in steps that look even. Both keep their order for colour-blind readers. The colour for NaN and
infinity occurs in neither.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

BROKEN = (0, 184, 148)


@dataclass(frozen=True, eq=False)
class Palette:
    """Colours (level, red green blue) from the low end to the high end."""

    name: str
    colours: NDArray[np.uint8]


@cache
def palette(*, signed: bool) -> Palette:
    """The colours for signed values or for values from 0 on.

    >>> palette(signed=True).colours[127].tolist()
    [247, 247, 247]
    """
    import matplotlib

    name, levels = ("RdBu_r", 255) if signed else ("magma", 256)
    table = matplotlib.colormaps[name].resampled(levels)(np.arange(levels), bytes=True)
    return Palette(name, np.ascontiguousarray(table[:, :3]))


def paint(values: NDArray[Any], low: float, high: float, colours: Palette) -> NDArray[np.uint8]:
    """One colour per value: (row, column) becomes (row, column, 3).

    Values beyond an end take the colour of that end; NaN and infinities take `BROKEN`.

    >>> paint(np.array([[-1.0, 0.0, 1.0, np.nan]]), -1, 1, palette(signed=True)).tolist()
    [[[5, 48, 97], [247, 247, 247], [103, 0, 31], [0, 184, 148]]]
    """
    finite = np.isfinite(values)
    steps = len(colours.colours) - 1
    share = (np.where(finite, values, low).astype(np.float64) - low) / ((high - low) or 1.0)
    level = np.rint(np.clip(share, 0, 1) * steps).astype(np.intp)
    painted = colours.colours[level]
    painted[~finite] = BROKEN
    return painted


def ink_on(colour: NDArray[np.uint8]) -> tuple[int, int, int]:
    """Black or white, whichever can be read on the colour."""
    luminance = float(np.asarray(colour, np.float64) @ (0.299, 0.587, 0.114))
    return (20, 20, 20) if luminance > 140 else (255, 255, 255)
