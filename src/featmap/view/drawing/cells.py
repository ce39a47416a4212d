"""A small grid of numbers: coloured cells, with the numbers in them as long as there are few."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from featmap.view.drawing.palette import ink_on, paint, palette
from featmap.view.drawing.text import fitting, number, write
from featmap.view.sheets.header import FRAME

NUMBERED = 5
NUMBERED_PX = (46, 26)
PLAIN_PX = 140
DIGIT_PX = 10


@dataclass(frozen=True)
class CellSize:
    """The size of a cell in pixels, and whether its number is written into it."""

    width: int
    height: int
    numbered: bool


def cell_size(rows: int, columns: int) -> CellSize:
    """Room for numbers up to 5 x 5 cells, small squares beyond.

    >>> cell_size(3, 3), cell_size(7, 7)
    (CellSize(width=46, height=26, numbered=True), CellSize(width=20, height=20, numbered=False))
    """
    longest = max(rows, columns)
    if longest <= NUMBERED:
        return CellSize(*NUMBERED_PX, numbered=True)
    side = max(2, PLAIN_PX // longest)
    return CellSize(side, side, numbered=False)


def draw_cells(page: Image.Image, values: NDArray[Any], place: tuple[int, int], size: CellSize, limit: float) -> None:
    """Draws values (row, column) from `place` (left, top) on, blue to red from -limit to limit."""
    left, top = place
    painted = paint(values, -limit, limit, palette(signed=True))
    blocks = np.repeat(np.repeat(painted, size.height, axis=0), size.width, axis=1)
    page.paste(Image.fromarray(blocks), (left, top))
    draw = ImageDraw.Draw(page)
    _lines(draw, values.shape, left, top, size)
    if size.numbered:
        for (row, column), value in np.ndenumerate(values):
            centre = (left + (column + 0.5) * size.width, top + (row + 0.5) * size.height)
            text = fitting([number(float(value), digits) for digits in (3, 2, 1)], size.width - 4, DIGIT_PX)
            write(draw, centre, text, DIGIT_PX, ink_on(painted[row, column]), anchor="mm")


def _lines(draw: ImageDraw.ImageDraw, shape: tuple[int, ...], left: int, top: int, size: CellSize) -> None:
    rows, columns = shape
    width, height = columns * size.width, rows * size.height
    if size.numbered:
        for row in range(1, rows):
            draw.line((left, top + row * size.height, left + width - 1, top + row * size.height), fill=FRAME)
        for column in range(1, columns):
            draw.line((left + column * size.width, top, left + column * size.width, top + height - 1), fill=FRAME)
    draw.rectangle((left - 1, top - 1, left + width, top + height), outline=FRAME)
