"""A map gets whole pixels per value, or exact averages over areas."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featmap.view.sheets.tile import Tile, TileAxis, fit_tile, magnified, reduced


def area_average(values, axis):
    """The definition: every pixel is the integral over its stretch of the map, divided by the stretch's length."""
    length = axis.values / axis.pixels
    pixels = np.zeros((axis.pixels, values.shape[1]))
    for pixel in range(axis.pixels):
        for row in range(axis.values):
            shared = min((pixel + 1) * length, row + 1) - max(pixel * length, row)
            pixels[pixel] += max(shared, 0) * values[row] / length
    return pixels


@settings(max_examples=40)
@given(st.integers(20, 60), st.integers(20, 60), st.integers(16, 19), st.integers(16, 19), st.integers(0, 99))
def test_reduction_is_the_average_over_areas(rows, columns, height, width, seed):
    values = np.random.default_rng(seed).normal(size=(rows, columns))
    tile = Tile(TileAxis(rows, height), TileAxis(columns, width))
    expected = area_average(area_average(values, tile.rows).T, tile.columns).T
    assert np.allclose(reduced(values, tile), expected, atol=1e-12)
    assert np.isclose(reduced(values, tile).mean(), values.mean())


def test_whole_factors_are_block_means():
    values = np.random.default_rng(0).normal(size=(64, 64))
    blocks = values.reshape(32, 2, 32, 2).mean(axis=(1, 3))
    assert np.allclose(reduced(values, Tile(TileAxis(64, 32), TileAxis(64, 32))), blocks)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_never_vanish(bad):
    values = np.zeros((50, 50))
    values[25, 30] = bad
    small = reduced(values, Tile(TileAxis(50, 17), TileAxis(50, 19)))
    assert 1 <= np.isnan(small).sum() <= 4
    assert (small[~np.isnan(small)] == 0).all()


@settings(max_examples=100)
@given(st.integers(1, 300), st.integers(1, 300), st.integers(40, 450))
def test_a_tile_is_a_whole_multiple_or_smaller(rows, columns, room):
    tile = fit_tile(rows, columns, room, room)
    for axis in (tile.rows, tile.columns):
        assert axis.pixels % axis.values == 0 or axis.pixels < axis.values
    if min(rows, columns) * (room // max(rows, columns)) >= 16 and room // max(rows, columns) <= 64:
        assert tile.rows.factor == tile.columns.factor == room // max(rows, columns)


def test_magnifying_repeats_every_colour():
    pixels = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    large = magnified(pixels, Tile(TileAxis(2, 6), TileAxis(2, 8)))
    assert large.shape == (6, 8, 3)
    assert (large[:3, :4] == pixels[0, 0]).all()
    assert (large[3:, 4:] == pixels[1, 1]).all()
