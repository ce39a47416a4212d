"""Pages of all maps of a layer on one signal: each map a curve over its positions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from featmap.errors import SettingError
from featmap.view.drawing.curve import curve_pixels
from featmap.view.drawing.scale import Kind, Scale, is_shared, scale_of
from featmap.view.drawing.text import extent, plural
from featmap.view.sheets.grid import GAP_PX, HEIGHT_PX, LABEL_PX, WIDTH_PX, Grid
from featmap.view.sheets.maps import hatched, map_names, map_note, oddities
from featmap.view.sheets.order import SORTS, Sort, order
from featmap.view.sheets.sheet import MapSheet, sheet_pages
from featmap.view.sheets.summary import checked, summarise
from featmap.view.sheets.tile import Tile, TileAxis

TALLEST_PX, LOWEST_PX = 160, 56
_COLUMNS = (1, 2, 3, 4, 6)


def curve_pages(
    values: NDArray[Any],
    title: str,
    *,
    sort: Sort = "index",
    scale: Kind = "map",
    page_size: int | None = None,
    channels: Sequence[int] | None = None,
) -> list[Image.Image]:
    """The feature maps of one signal as pages of curves; order, scale and texts are those of `map_pages`.

    Arguments: values: (channel, position).
    """
    maps = checked(np.asarray(values)[:, None])
    names, summary = map_names(len(maps), channels), summarise(maps)
    positions = order(summary, sort)
    scales, shared = scale_of(summary, scale, signed=False), is_shared(summary, scale)
    grid = curve_grid(len(maps), page_size)
    span = extent(float(summary.minimum.min()), float(summary.maximum.max()))
    said = f", {SORTS[sort]}" if len(maps) > 1 else ""
    sheet = MapSheet(
        title=title,
        lines=[
            f"{plural(len(maps), 'map')} of {plural(maps.shape[2], 'position')}{said}; from left to right the "
            "positions, the line at 0",
            f"height: {scales.statement.replace('colour scale', 'scale')}",
            "; ".join((f"values from {span}", *oddities(summary, shared=shared))),
        ],
        values=maps[positions],
        scale=Scale(scales.low[positions], scales.high[positions], scales.colours, scales.statement, scales.marks),
        labels=[names[position] for position in positions],
        notes=[map_note(summary, scales, int(position), sort, shared=shared) for position in positions],
        flat=hatched(summary, shared=shared)[positions],
        broken=bool(summary.broken.any()),
        painted=_curve,
    )
    return sheet_pages(sheet, grid)


def _curve(values: NDArray[Any], low: float, high: float, tile: Tile) -> NDArray[np.uint8]:
    return curve_pixels(values[0], low, high, tile.rows.pixels, tile.columns.pixels)


def curve_grid(maps: int, page_size: int | None = None) -> Grid:
    """The grid that shows so many curves largest: wide ones, more columns where there are many."""
    if page_size is not None and page_size < 1:
        raise SettingError(f"A page cannot hold {page_size} maps.", "Use a page size of at least 1.")
    lines = (HEIGHT_PX + GAP_PX) // (LOWEST_PX + LABEL_PX + GAP_PX)
    size = min(maps, page_size or lines * _COLUMNS[-1])
    columns = next((count for count in _COLUMNS if count * lines >= size), _COLUMNS[-1])
    height = (HEIGHT_PX + GAP_PX) / math.ceil(size / columns) - GAP_PX - LABEL_PX
    rows = int(min(max(height, LOWEST_PX), TALLEST_PX))
    width = int((WIDTH_PX + GAP_PX) / columns - GAP_PX)
    return Grid(columns, size, Tile(TileAxis(rows, rows), TileAxis(width, width)))
