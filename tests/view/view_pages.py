"""Reads pages of maps back: where the tiles are, and which values their colours stand for."""

import numpy as np

from featmap.view.drawing.palette import palette
from featmap.view.sheets.sheet import MARGIN_PX


def tiles(page, grid, count):
    """The pixels of the tiles of a page, read from its lower edge upwards so that no header height is needed."""
    pixels = np.asarray(page).astype(int)
    top = pixels.shape[0] - MARGIN_PX - grid.size_px(count)[0]
    height, width = grid.tile.rows.pixels, grid.tile.columns.pixels
    for position in range(count):
        row, column = grid.corner(position)
        start = top + row, MARGIN_PX + column
        yield pixels[start[0] : start[0] + height, start[1] : start[1] + width]


def decoded(tile, grid, low, high, *, signed):
    """The values that the colours of a magnified tile stand for; every value must be one block of one colour."""
    rows, columns = grid.tile.rows.factor, grid.tile.columns.factor
    blocks = tile[::rows, ::columns]
    assert (np.repeat(np.repeat(blocks, rows, axis=0), columns, axis=1) == tile).all()
    colours = palette(signed=signed).colours.astype(int)
    distance = np.abs(blocks[..., None, :] - colours).sum(axis=-1)
    assert (distance.min(axis=-1) == 0).all()
    return low + distance.argmin(axis=-1) / (len(colours) - 1) * (high - low)
