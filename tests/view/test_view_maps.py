"""Pages of maps say what the values are: a tile decodes back to its map, and the header states how."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from view_pages import decoded, tiles

from featmap.errors import SettingError
from featmap.view.drawing.hatch import hatch
from featmap.view.drawing.palette import BROKEN, palette
from featmap.view.sheets.grid import fit_grid
from featmap.view.sheets.maps import map_pages
from featmap.view.sheets.summary import summarise


def random_maps(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("shape", [(6, 7, 7), (3, 5, 9), (20, 28, 28), (1, 4, 3)])
def test_a_tile_decodes_to_its_values_on_a_shared_scale(shape, signed):
    values = random_maps(*shape)
    values = values if signed else np.abs(values)
    grid = fit_grid(*shape)
    page = map_pages(values, "conv1:z", scale="shared", signed=signed)[0]
    high = np.abs(values).max()
    low = -high if signed else 0.0
    step = (high - low) / 254
    for tile, expected in zip(tiles(page, grid, len(values)), values, strict=True):
        assert np.abs(decoded(tile, grid, low, high, signed=signed) - expected).max() <= step


@pytest.mark.parametrize("signed", [True, False])
def test_a_tile_decodes_to_its_values_on_its_own_scale(signed):
    values = random_maps(6, 7, 7) * np.array([1e-6, 1, 1e6, 3, 4, 5])[:, None, None]
    grid = fit_grid(*values.shape)
    page = map_pages(values, "conv1:z", signed=signed)[0]
    for tile, expected in zip(tiles(page, grid, 6), values, strict=True):
        high = np.abs(expected).max() if signed else max(expected.max(), 0)
        low = -high if signed else min(expected.min(), 0)
        assert np.abs(decoded(tile, grid, low, high, signed=signed) - expected).max() <= (high - low) / 254


def test_zero_is_exactly_the_middle_colour_of_signed_maps():
    values = np.array([[[-1.0, 0.0, 3.0]]])
    grid = fit_grid(1, 1, 3)
    tile = next(tiles(map_pages(values, "z", signed=True)[0], grid, 1))
    assert tile[0, grid.tile.columns.factor].tolist() == palette(signed=True).colours[127].tolist() == [247, 247, 247]


@pytest.mark.parametrize("sort", ["maximum", "mean", "positive"])
def test_maps_stand_in_the_order_asked_for(sort):
    values = random_maps(12, 6, 6)
    values[3] = values[7]
    key = {"maximum": values.max((1, 2)), "mean": values.mean((1, 2)), "positive": (values > 0).mean((1, 2))}[sort]
    expected = sorted(range(12), key=lambda channel: (-key[channel], channel))
    grid = fit_grid(*values.shape)
    page = map_pages(values, "conv1:z", sort=sort, scale="shared", signed=True)[0]
    high = np.abs(values).max()
    shown = [decoded(tile, grid, -high, high, signed=True) for tile in tiles(page, grid, 12)]
    found = [int(np.abs(values - tile).max((1, 2)).argmin()) for tile in shown]
    assert [3 if channel == 7 else channel for channel in found] == [3 if c == 7 else c for c in expected]
    words = "fraction of positive values" if sort == "positive" else sort
    assert f"sorted by {words}, largest first (the number below each)" in page.info["Description"]
    own = map_pages(values, "conv1:z", sort=sort, scale="map", signed=True)[0]
    assert f"sorted by {words}, largest first; " in own.info["Description"], "below each stands its range"


def test_zero_is_not_positive():
    values = np.zeros((3, 4, 4))
    values[1, 0, :3] = 1
    values[2, 0, :2] = 9
    grid = fit_grid(*values.shape)
    page = map_pages(values, "conv1:a", sort="positive", scale="shared")[0]
    counts = [(decoded(tile, grid, 0, 9, signed=False) > 0).sum() for tile in list(tiles(page, grid, 3))[:2]]
    assert counts == [3, 2]
    assert summarise(values).positive.tolist() == [0, 3 / 16, 2 / 16]


def test_every_map_stands_on_exactly_one_page():
    values = np.arange(1, 201, dtype=np.float32)[:, None, None] * np.ones((1, 4, 4))
    grid = fit_grid(200, 4, 4, page_size=48)
    pages = map_pages(values, "x", scale="shared", page_size=48)
    counts = [48, 48, 48, 48, 8]
    shown = [tile for page, count in zip(pages, counts, strict=True) for tile in tiles(page, grid, count)]
    assert [round(decoded(tile, grid, 0, 200, signed=False)[0, 0]) for tile in shown] == list(range(1, 201))


@pytest.mark.parametrize(("maps", "side", "pages"), [(512, 28, 4), (2048, 7, 16), (64, 224, 1), (3, 224, 1), (1, 7, 1)])
def test_the_usual_layers_come_in_few_legible_pages(maps, side, pages):
    made = map_pages(np.zeros((maps, side, side), np.float32), "x")
    assert len(made) == pages
    assert all(page.width <= 1560 and page.height <= 1100 for page in made)


def test_the_header_states_what_is_seen():
    values = random_maps(512, 28, 28) * 2
    shared = map_pages(values, "features.21:z", scale="shared", signed=True)[0].info
    own = map_pages(values, "features.21:z", signed=True)[0].info
    limit = f"{np.abs(values).max():.2f}"
    assert shared["Title"] == "features.21:z"
    assert "512 maps of 28 x 28, in the order of their channels; one value is 3 x 3 pixels" in shared["Description"]
    assert f"all maps share one colour scale, −{limit} to {limit}, centred on 0" in shared["Description"]
    assert "each map has its own colour scale, centred on 0; below it stands its range" in own["Description"]
    assert f"values from −{-values.min():.2f} to {values.max():.2f}" in own["Description"]
    large = map_pages(np.abs(random_maps(64, 224, 224)), "features.0")[0].info["Description"]
    assert "each map reduced to 115 x 115 pixels by averaging areas" in large
    assert "from 0 to its maximum, which stands below it" in large


def test_values_that_are_not_finite_have_their_own_colour_and_are_counted():
    values = np.abs(random_maps(4, 7, 7))
    values[1, 0, :3] = np.nan
    values[2, 6, 6] = np.inf
    grid = fit_grid(*values.shape)
    page = map_pages(values, "x", scale="shared")[0]
    shown = np.stack([tile[:: grid.tile.rows.factor, :: grid.tile.columns.factor] for tile in tiles(page, grid, 4)])
    assert ((shown == BROKEN).all(axis=-1) == ~np.isfinite(values)).all()
    assert "4 values NaN or infinite, in 2 maps" in page.info["Description"]
    assert "NaN" not in map_pages(np.abs(random_maps(4, 7, 7)), "x")[0].info["Description"]


def test_no_value_takes_the_colour_of_nan():
    for signed in (True, False):
        assert (palette(signed=signed).colours.astype(int) - BROKEN != 0).any(axis=1).all()


def test_one_nan_is_seen_in_a_reduced_map():
    values = np.abs(random_maps(64, 224, 224))
    values[0, 100, 100] = np.nan
    grid = fit_grid(*values.shape)
    tile = next(tiles(map_pages(values, "x")[0], grid, 64))
    assert 1 <= (tile == BROKEN).all(axis=-1).sum() <= 4


@pytest.mark.parametrize("scale", ["map", "shared"])
def test_dead_maps_are_hatched_and_counted(scale):
    values = np.abs(random_maps(6, 7, 7))
    values[[1, 4]] = 0
    values[2] = 1.5
    grid = fit_grid(*values.shape)
    page = map_pages(values, "x", scale=scale)[0]
    empty = hatch(grid.tile.rows.pixels, grid.tile.columns.pixels)
    hatched = [np.array_equal(tile, empty) for tile in tiles(page, grid, 6)]
    assert hatched == [False, True, scale == "map", False, True, False]
    assert "2 maps all 0 (hatched)" in page.info["Description"]
    assert ("1 map of one value (hatched)" in page.info["Description"]) == (scale == "map")


def test_maps_of_one_value_share_a_scale():
    values = np.arange(1.0, 11.0).reshape(10, 1, 1)
    page = map_pages(values, "pool")[0]
    shown = [
        decoded(tile, fit_grid(10, 1, 1), 0, 10, signed=False)[0, 0] for tile in tiles(page, fit_grid(10, 1, 1), 10)
    ]
    assert np.allclose(shown, values.ravel(), atol=0.03)
    assert "all maps share one colour scale, 0 to 10" in page.info["Description"]


@pytest.mark.parametrize(
    "values",
    [
        np.full((2, 3, 3), np.nan),
        np.full((2, 3, 3), np.inf),
        np.full((2, 3, 3), -2.5),
        np.array([[[3e38, -3e38]]], np.float32),
        np.array([[[6e4, -6e4]]], np.float16),
        np.array([[[1e-42, 0.0]]], np.float32),
        np.array([[[True, False]]]),
        np.array([[[2**40, -7]]]),
        np.ones((1, 1, 5000)) * np.arange(5000),
    ],
)
@pytest.mark.parametrize("scale", ["map", "shared"])
@pytest.mark.parametrize("signed", [True, False])
def test_extreme_values_are_drawn_without_a_warning(values, scale, signed):
    before = values.copy()
    for sort in ("index", "mean"):
        assert map_pages(values, "x" * 300, scale=scale, signed=signed, sort=sort)
    assert np.array_equal(values, before, equal_nan=values.dtype.kind == "f")


@settings(max_examples=60)
@given(st.integers(1, 3000), st.integers(1, 400), st.integers(1, 400))
def test_every_grid_is_legible_and_fits(maps, rows, columns):
    grid = fit_grid(maps, rows, columns)
    height, width = grid.size_px(min(maps, grid.page_size))
    assert width <= 1500
    assert height <= 1100 or grid.columns * 3 >= grid.page_size
    assert min(grid.tile.rows.pixels, grid.tile.columns.pixels) >= 16
    assert 1 <= grid.page_size <= maps


@pytest.mark.parametrize(("maps", "side"), [(512, 28), (20, 7), (5, 100)])
def test_the_cells_of_a_page_fill_it_without_overlap(maps, side):
    grid = fit_grid(maps, side, side)
    corners = [grid.corner(position) for position in range(grid.page_size)]
    height, width = grid.size_px(grid.page_size)
    assert max(top for top, _ in corners) + grid.cell_height_px == height
    assert max(left for _, left in corners) + grid.cell_width_px == width
    steps = {(b[0] - a[0], b[1] - a[1]) for a, b in itertools.pairwise(corners) if a[0] == b[0]}
    assert steps == {(0, grid.cell_width_px + 8)}


def test_labels_are_the_channels_given():
    values = random_maps(2, 7, 7)
    plain, named, same = (
        np.asarray(map_pages(values, "x", channels=channels)[0]) for channels in (None, [117, 5], [0, 1])
    )
    assert (plain == same).all()
    assert (plain != named).any()


def test_an_unknown_order_is_refused():
    with pytest.raises(SettingError) as caught:
        map_pages(np.ones((1, 2, 2)), "x", sort="maxima")
    assert str(caught.value) == (
        "Feature maps cannot be sorted by 'maxima'.\n\n"
        "Use one of index, maximum, mean, positive. The nearest names are maximum, mean."
    )


def test_an_unknown_scale_is_refused():
    with pytest.raises(SettingError) as caught:
        map_pages(np.ones((1, 2, 2)), "x", scale="log")
    assert str(caught.value) == (
        "There is no colour scale 'log'.\n\nUse 'map' for a scale of its own per map, or 'shared' for one scale."
    )


@pytest.mark.parametrize("shape", [(2, 2), (1, 2, 3, 4), (0, 3, 3)])
def test_an_array_of_another_kind_is_refused(shape):
    with pytest.raises(SettingError) as caught:
        map_pages(np.ones(shape), "x")
    assert str(caught.value) == (
        f"A picture of feature maps needs an array (channel, row, column) that is not empty, got {shape}.\n\n"
        "Pass the maps of one image, for example values[0] of an array (image, channel, row, column)."
    )


def test_an_empty_page_is_refused():
    with pytest.raises(SettingError) as caught:
        map_pages(np.ones((1, 2, 2)), "x", page_size=0)
    assert str(caught.value) == "A page cannot hold 0 maps.\n\nUse a page size of at least 1."


def test_channel_numbers_must_be_as_many_as_maps():
    with pytest.raises(SettingError) as caught:
        map_pages(np.ones((2, 2, 2)), "x", channels=[1])
    assert str(caught.value) == ("2 maps came with 1 channel number.\n\nPass one channel number per map, or none.")
