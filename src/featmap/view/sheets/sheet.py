"""Pages of ordered, labelled maps: colours in one array per page, then frames and texts over it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from featmap.view.drawing.hatch import hatch
from featmap.view.drawing.palette import paint
from featmap.view.drawing.scale import Scale
from featmap.view.drawing.text import FAINT, INK, fitting, width_px, write
from featmap.view.sheets.grid import LABEL_PX, Grid
from featmap.view.sheets.header import FRAME, Header, Legend, draw_header, lay_out
from featmap.view.sheets.tile import Tile, magnified, reduced

MARGIN_PX = 24
NARROWEST_PX = 448
NUMBER_PX = 11
NOTE_PX = 10
PAPER = 255


@dataclass(frozen=True, eq=False)
class MapSheet:
    """Maps in the order in which they are shown, with all texts about them.

    `labels` name the maps, `notes` hold per map texts of which the first that fits is shown, `flat` are the maps to
    hatch because they hold one value only. `painted` draws a map (row, column) between the ends of its scale on a tile;
    without it values become colours.
    """

    title: str
    lines: list[str]
    values: NDArray[Any]
    scale: Scale
    labels: list[str]
    notes: list[list[str]]
    flat: NDArray[np.bool_]
    broken: bool
    painted: Callable[[NDArray[Any], float, float, Tile], NDArray[np.uint8]] | None = None


def sheet_pages(sheet: MapSheet, grid: Grid) -> list[Image.Image]:
    """The pages of a sheet, each with the whole header."""
    starts = range(0, len(sheet.values), grid.page_size)
    return [_page(sheet, grid, start, f"page {n} of {len(starts)}") for n, start in enumerate(starts, 1)]


def _page(sheet: MapSheet, grid: Grid, start: int, turn: str) -> Image.Image:
    positions = range(start, min(start + grid.page_size, len(sheet.values)))
    height, width = grid.size_px(len(positions))
    header = _header(sheet, turn if len(sheet.values) > grid.page_size else "", max(width, NARROWEST_PX))
    top = MARGIN_PX + header.height_px + 18
    canvas = np.full((top + height + MARGIN_PX, header.width_px + 2 * MARGIN_PX, 3), PAPER, np.uint8)
    corners = [_shift(grid.corner(place), top) for place in range(len(positions))]
    for position, corner in zip(positions, corners, strict=True):
        _place(canvas, tile_pixels(sheet, position, grid), corner)
    return _finish(canvas, sheet, grid, header, list(zip(positions, corners, strict=True)))


def _header(sheet: MapSheet, turn: str, width_px: int) -> Header:
    legend = None if sheet.painted else Legend(sheet.scale.colours, sheet.scale.marks, sheet.broken)
    return lay_out(sheet.title, turn, sheet.lines, legend, width_px)


def _shift(corner: tuple[int, int], top: int) -> tuple[int, int]:
    return top + corner[0], MARGIN_PX + corner[1]


def tile_pixels(sheet: MapSheet, position: int, grid: Grid) -> NDArray[np.uint8]:
    """The colours of one map at its size on the page."""
    if sheet.flat[position]:
        return hatch(grid.tile.rows.pixels, grid.tile.columns.pixels)
    low, high = float(sheet.scale.low[position]), float(sheet.scale.high[position])
    if sheet.painted is not None:
        return sheet.painted(sheet.values[position], low, high, grid.tile)
    painted = paint(reduced(sheet.values[position], grid.tile), low, high, sheet.scale.colours)
    return magnified(painted, grid.tile)


def _place(canvas: NDArray[np.uint8], pixels: NDArray[np.uint8], corner: tuple[int, int]) -> None:
    top, left = corner
    height, width = pixels.shape[:2]
    canvas[top - 1 : top + height + 1, left - 1 : left + width + 1] = FRAME
    canvas[top : top + height, left : left + width] = pixels


def _finish(
    canvas: NDArray[np.uint8],
    sheet: MapSheet,
    grid: Grid,
    header: Header,
    places: list[tuple[int, tuple[int, int]]],
) -> Image.Image:
    page = Image.fromarray(canvas)
    draw_header(page, header, MARGIN_PX, MARGIN_PX)
    draw = ImageDraw.Draw(page)
    for position, (top, left) in places:
        _label(draw, sheet, position, (top + grid.cell_height_px - LABEL_PX + 13, left), grid.cell_width_px)
    page.info.update(Title=sheet.title, Description="; ".join((sheet.title, *sheet.lines)))
    return page


def _label(draw: ImageDraw.ImageDraw, sheet: MapSheet, position: int, place: tuple[int, int], room_px: int) -> None:
    baseline, left = place
    name = sheet.labels[position]
    write(draw, (left, baseline), name, NUMBER_PX, INK)
    note = fitting(sheet.notes[position], room_px - width_px(name, NUMBER_PX) - 6, NOTE_PX)
    write(draw, (left + room_px, baseline), note, NOTE_PX, FAINT, anchor="rs")
