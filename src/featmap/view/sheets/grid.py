"""The grid of a page: how many maps, in how many columns, so that each is legible on an ordinary screen."""

from __future__ import annotations

import math
from dataclasses import dataclass

from featmap.errors import SettingError
from featmap.view.sheets.tile import Tile, fit_tile

WIDTH_PX = 1472
HEIGHT_PX = 880
GAP_PX = 8
LABEL_PX = 17
SMALLEST_PX = 42
LEGIBLE_PX = 64
LARGEST_PX = 448
NARROWEST_PX = 56
COLUMNS = (1, 2, 3, 4, 5, 6, 8, 12, 16)


@dataclass(frozen=True)
class Grid:
    """Cells in rows and columns; each holds a tile and, below it, a line of text."""

    columns: int
    page_size: int
    tile: Tile

    @property
    def cell_width_px(self) -> int:
        """The width of a cell, more than its tile where its text needs it."""
        return max(self.tile.columns.pixels, NARROWEST_PX)

    @property
    def cell_height_px(self) -> int:
        """The height of a cell: tile and text."""
        return self.tile.rows.pixels + LABEL_PX

    def size_px(self, maps: int) -> tuple[int, int]:
        """Height and width of a page with so many maps."""
        rows = math.ceil(maps / self.columns)
        columns = min(self.columns, self.page_size)
        return (
            rows * (self.cell_height_px + GAP_PX) - GAP_PX,
            columns * (self.cell_width_px + GAP_PX) - GAP_PX,
        )

    def corner(self, position: int) -> tuple[int, int]:
        """Top and left of the cell at a position on its page."""
        row, column = divmod(position, self.columns)
        return row * (self.cell_height_px + GAP_PX), column * (self.cell_width_px + GAP_PX)


def fit_grid(maps: int, rows: int, columns: int, page_size: int | None = None) -> Grid:
    """The grid for maps of rows x columns that shows them largest.

    >>> [fit_grid(512, 28, 28).page_size, fit_grid(2048, 7, 7).page_size, fit_grid(3, 224, 224).page_size]
    [128, 128, 3]
    """
    if page_size is not None and page_size < 1:
        raise SettingError(f"A page cannot hold {page_size} maps.", "Use a page size of at least 1.")
    size = min(maps, page_size or _legible(maps, rows, columns))
    candidates = [_candidate(count, size, rows, columns) for count in COLUMNS if count <= size]
    lowest = min(grid.size_px(size)[0] for grid in candidates)
    low = [grid for grid in candidates if grid.size_px(size)[0] <= max(HEIGHT_PX, lowest)]
    return max(low, key=lambda grid: (grid.tile.area_px, -(-size % grid.columns), -grid.columns))


def _candidate(count: int, size: int, rows: int, columns: int) -> Grid:
    lines = math.ceil(size / count)
    room_rows = (HEIGHT_PX + GAP_PX) / lines - GAP_PX - LABEL_PX
    tile = fit_tile(rows, columns, _bounded(room_rows), _room_across(count))
    return Grid(count, size, tile)


def _room_across(count: int) -> float:
    return _bounded((WIDTH_PX + GAP_PX) / count - GAP_PX)


def _bounded(pixels: float) -> float:
    """At most the largest side; never 0, because a page of thousands grows instead."""
    return min(max(pixels, SMALLEST_PX), LARGEST_PX)


def _legible(maps: int, rows: int, columns: int) -> int:
    """Maps per page at a legible size, spread evenly over the pages."""
    tiles = {count: fit_tile(rows, columns, LARGEST_PX, _room_across(count)) for count in COLUMNS}
    legible = [count for count, tile in tiles.items() if tile.area_px >= LEGIBLE_PX**2]
    count = max(legible, default=1)
    down = (HEIGHT_PX + GAP_PX) // (tiles[count].rows.pixels + LABEL_PX + GAP_PX)
    lines = math.ceil(maps / count)
    return count * math.ceil(lines / math.ceil(lines / max(1, down)))
