"""Curves of signals: every value counts, however many there are per pixel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featmap.view.drawing.palette import BROKEN

CURVE = (59, 110, 168)
SECOND = (176, 74, 62)
COLOURS = (CURVE, SECOND, (70, 132, 84), (138, 104, 168))
"""The colours of the channels of one drawing, in turn."""
ZERO = (214, 217, 222)
PAPER = (255, 255, 255)


def curve_pixels(
    values: NDArray[Any], low: float, high: float, height: int, width: int, colour: Sequence[int] = CURVE
) -> NDArray[np.uint8]:
    """A signal (position) as pixels (row, column, 3): the least and the largest value under each column of pixels.

    `low` and `high` are the values at the bottom and the top; a faint line stands at 0. Columns of pixels with values
    that are NaN or infinite are marked.

    >>> curve_pixels(np.array([0.0, 1.0]), 0, 1, 4, 4)[:, 0].tolist()[-1] == list(CURVE)
    True
    """
    pixels = np.full((height, width, 3), PAPER, np.uint8)
    if low <= 0 <= high:
        pixels[_row(0.0, low, high, height)] = ZERO
    lay_curve(pixels, values, low, high, colour)
    return pixels


def lay_curve(
    pixels: NDArray[np.uint8], values: NDArray[Any], low: float, high: float, colour: Sequence[int] = CURVE
) -> None:
    """Draws a signal over pixels that are there already."""
    height, width = pixels.shape[:2]
    before: tuple[int, int] | None = None
    for column in range(width):
        part = values[slice(*_under(column, len(values), width))]
        finite = part[np.isfinite(part)]
        if len(finite) < len(part):
            pixels[:, column] = BROKEN
        if not len(finite):
            before = None
            continue
        top, bottom = (_row(float(value), low, high, height) for value in (finite.max(), finite.min()))
        # Joined with the column before, so that a steep curve has no gaps.
        first, last = (top, bottom) if before is None else (min(top, before[1]), max(bottom, before[0]))
        pixels[first : last + 1, column] = colour
        before = top, bottom


def _under(column: int, count: int, width: int) -> tuple[int, int]:
    """The first value under a column of pixels, and the one behind the last."""
    first = column * count // width
    return first, max((column + 1) * count // width, first + 1)


def _row(value: float, low: float, high: float, height: int) -> int:
    share = (value - low) / ((high - low) or 1.0)
    return height - 1 - round(min(max(share, 0.0), 1.0) * (height - 1))
