"""The size of one map in pixels: whole pixels per value where there is room, else averages over areas."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

SHORTEST_PX = 16
LARGEST_FACTOR = 64


@dataclass(frozen=True)
class TileAxis:
    """One side of a map: how many values it has and how many pixels it gets.

    Either pixels are a whole multiple of values, or there are fewer pixels than values.
    """

    values: int
    pixels: int

    @property
    def factor(self) -> int:
        """Pixels per value, 0 where values are averaged."""
        return self.pixels // self.values


@dataclass(frozen=True)
class Tile:
    """The size of a map in a picture."""

    rows: TileAxis
    columns: TileAxis

    @property
    def area_px(self) -> int:
        """Pixels of the map."""
        return self.rows.pixels * self.columns.pixels

    @property
    def statement(self) -> str:
        """The statement of the picture about the size.

        >>> fit_tile(7, 7, 90, 90).statement
        'one value is 12 x 12 pixels'
        >>> fit_tile(224, 224, 100, 100).statement
        'each map reduced to 100 x 100 pixels by averaging areas'
        """
        if self.rows.factor and self.columns.factor:
            one = self.rows.factor == self.columns.factor == 1
            return (
                "one value is one pixel" if one else f"one value is {self.rows.factor} x {self.columns.factor} pixels"
            )
        return f"each map reduced to {self.rows.pixels} x {self.columns.pixels} pixels by averaging areas"


def fit_tile(rows: int, columns: int, room_rows_px: float, room_columns_px: float) -> Tile:
    """The largest tile that fits and keeps the proportions, in whole pixels per value if it can.

    A side that would be too short to see is stretched, because a map of 1 x 1000 has to be visible as well.

    >>> fit_tile(28, 28, 90, 90).rows
    TileAxis(values=28, pixels=84)
    """
    ratio = min(room_rows_px / rows, room_columns_px / columns)
    factor = min(int(ratio), LARGEST_FACTOR) if ratio >= 1 else ratio
    return Tile(_axis(rows, factor), _axis(columns, factor))


def _axis(values: int, factor: float) -> TileAxis:
    pixels = max(1, int(values * factor))
    if pixels >= SHORTEST_PX:
        return TileAxis(values, pixels)
    return TileAxis(values, values * -(-SHORTEST_PX // values) if values < SHORTEST_PX else SHORTEST_PX)


def reduced(values: NDArray[Any], tile: Tile) -> NDArray[np.float64]:
    """The map (row, column) with every side that has fewer pixels than values averaged down to its pixels.

    A pixel whose area holds a value that is not finite is NaN: such values never vanish in an average.

    >>> reduced(np.arange(32.0).reshape(1, 32), Tile(TileAxis(1, 16), TileAxis(32, 16)))[0, :3].tolist()
    [0.5, 2.5, 4.5]
    """
    finite = np.isfinite(values)
    average = _average(np.where(finite, values, 0).astype(np.float64), tile)
    if not finite.all():
        average[_average((~finite).astype(np.float64), tile) > 1e-9] = np.nan
    return average


def _average(values: NDArray[np.float64], tile: Tile) -> NDArray[np.float64]:
    if not tile.rows.factor:
        values = _average_rows(values, tile.rows)
    return values if tile.columns.factor else _average_rows(values.T, tile.columns).T


def _average_rows(values: NDArray[np.float64], axis: TileAxis) -> NDArray[np.float64]:
    """Means between the edges of the pixels, as differences of a running sum.

    A product with a matrix of weights gives the same, but small products are slow when other threads hold the cores.
    """
    edges = np.arange(axis.pixels + 1) * (axis.values / axis.pixels)
    whole = np.minimum(edges.astype(np.intp), axis.values - 1)
    before = np.cumsum(values, axis=0) - values
    return np.diff(before[whole] + (edges - whole)[:, None] * values[whole], axis=0) * (axis.pixels / axis.values)


def magnified(pixels: NDArray[np.uint8], tile: Tile) -> NDArray[np.uint8]:
    """Every colour repeated over the pixels of its value; an averaged side stays as it is."""
    taller = np.repeat(pixels, max(1, tile.rows.factor), axis=0)
    return np.repeat(taller, max(1, tile.columns.factor), axis=1)
