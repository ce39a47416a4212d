"""Scales, orders and summaries of maps against plain loops over their values, and grids that hold every map."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from featmap.errors import SettingError
from featmap.view.drawing.hatch import GROUND, LINE, hatch
from featmap.view.drawing.palette import BROKEN, ink_on, paint, palette
from featmap.view.drawing.scale import check_scale, scale_of
from featmap.view.drawing.text import number
from featmap.view.sheets.grid import COLUMNS, LARGEST_PX, NARROWEST_PX, WIDTH_PX, fit_grid
from featmap.view.sheets.header import BAR_PX, Legend, draw_header, lay_out
from featmap.view.sheets.order import SORTS, key_text, order
from featmap.view.sheets.summary import Summary, checked, summarise

EXAMPLES = settings(max_examples=150)
VALUES = st.one_of(
    st.floats(-100, 100, width=32), st.sampled_from([0.0, 0.0, 1.0, -1.0, math.nan, math.inf, -math.inf])
)


@st.composite
def maps(draw: st.DrawFn) -> np.ndarray[Any, Any]:
    """Maps of few different values, so that zeros, constants and ties occur."""
    shape = draw(st.integers(1, 5)), draw(st.integers(1, 3)), draw(st.integers(1, 3))
    pool = draw(st.lists(VALUES, min_size=1, max_size=4))
    values = draw(st.lists(st.sampled_from(pool), min_size=math.prod(shape), max_size=math.prod(shape)))
    return np.array(values, dtype=np.float64).reshape(shape)


def finite_of(values: np.ndarray[Any, Any]) -> list[float]:
    return [float(value) for value in values.ravel() if math.isfinite(value)]


@EXAMPLES
@given(maps())
def test_a_summary_is_what_a_loop_over_the_finite_values_finds(values: np.ndarray[Any, Any]) -> None:
    found = summarise(values)
    for channel, one in enumerate(values):
        finite = finite_of(one)
        assert found.minimum[channel] == min(finite, default=0)
        assert found.maximum[channel] == max(finite, default=0)
        assert found.mean[channel] == pytest.approx(sum(finite) / len(finite) if finite else 0, abs=1e-12)
        above = sum(value > 0 for value in finite)
        assert found.positive[channel] == pytest.approx(above / len(finite) if finite else 0)
        assert found.broken[channel] == one.size - len(finite)
        assert found.constant[channel] == (len(finite) == one.size and len(set(finite)) == 1)
        assert found.dead[channel] == (set(one.ravel().tolist()) == {0.0})


@EXAMPLES
@given(maps(), st.sampled_from(sorted(SORTS)))
def test_the_order_is_that_of_a_stable_sort(values: np.ndarray[Any, Any], sort: str) -> None:
    found = summarise(values)

    def key(channel: int) -> float:
        if sort == "index":
            return channel
        return math.inf if not finite_of(values[channel]) else -float(getattr(found, sort)[channel])

    assert order(found, sort).tolist() == sorted(range(len(values)), key=key)
    for channel in range(len(values)):
        text = key_text(found, sort, channel)
        if sort == "index":
            assert text == ""
        elif sort == "positive":
            assert text == f"{found.positive[channel]:.0%}"
        else:
            assert text == number(float(getattr(found, sort)[channel]))


@EXAMPLES
@given(maps(), st.sampled_from(["map", "shared"]), st.booleans())
def test_a_scale_reaches_every_finite_value_and_0(values: np.ndarray[Any, Any], kind: str, signed: bool) -> None:
    scale = scale_of(summarise(values), kind, signed=signed)
    for channel, one in enumerate(values):
        low, high = scale.low[channel], scale.high[channel]
        assert low <= min([0.0, *finite_of(one)])
        assert high >= max([0.0, *finite_of(one)])
        assert not signed or low == -high
    ends = {(low, high) for low, high in zip(scale.low.tolist(), scale.high.tolist(), strict=True)}
    every = [0.0, *finite_of(values)]
    if kind == "shared" or len(values) == 1 or values[0].size == 1:
        limit = max(map(abs, every))
        assert ends == ({(-limit, limit)} if signed else {(min(every), max(every))})
        assert scale.marks == (number(next(iter(ends))[0]), "0" if signed else "", number(next(iter(ends))[1]))
    else:
        assert "each map has its own colour scale" in scale.statement


@EXAMPLES
@given(st.lists(VALUES, min_size=1, max_size=8), st.floats(-50, 0), st.floats(0.5, 50), st.booleans())
def test_colours_keep_the_order_of_values(values: list[float], low: float, high: float, signed: bool) -> None:
    colours = palette(signed=signed)
    painted = paint(np.array([values]), low, high, colours)[0]
    levels: list[int | None] = []
    for value, colour in zip(values, painted, strict=True):
        if not math.isfinite(value):
            assert tuple(colour) == BROKEN
            levels.append(None)
            continue
        (level,) = np.flatnonzero((colours.colours == colour).all(axis=1))[:1]
        share = min(max((value - low) / (high - low), 0), 1) * (len(colours.colours) - 1)
        matching = np.flatnonzero((colours.colours == colour).all(axis=1))
        assert np.abs(matching - share).min() <= 0.5 + 1e-9
        levels.append(int(level))
    known = sorted((value, level) for value, level in zip(values, levels, strict=True) if level is not None)
    assert [level for _, level in known] == sorted(level for _, level in known)


@pytest.mark.parametrize("signed", [True, False])
def test_ink_can_be_read_on_every_colour(signed: bool) -> None:
    for colour in palette(signed=signed).colours:
        contrast = abs(float(np.mean(ink_on(colour))) - float(colour.astype(float) @ (0.299, 0.587, 0.114)))
        assert contrast >= 100


@EXAMPLES
@given(st.integers(1, 40), st.integers(1, 40))
def test_hatching_is_slanted_lines_and_goes_on_where_it_is_cut(height: int, width: int) -> None:
    whole = hatch(60, 60)
    assert np.array_equal(hatch(height, width), whole[:height, :width])
    assert np.array_equal(whole[1:, :-1], whole[:-1, 1:])
    assert {tuple(colour) for colour in whole.reshape(-1, 3).tolist()} == {LINE, GROUND}


@EXAMPLES
@given(st.integers(1, 600), st.integers(1, 300), st.integers(1, 300), st.one_of(st.none(), st.integers(1, 300)))
def test_a_grid_holds_every_map_of_its_page_apart(count: int, rows: int, columns: int, page_size: int | None) -> None:
    grid = fit_grid(count, rows, columns, page_size)
    assert grid.columns in COLUMNS
    assert 1 <= grid.page_size <= min(count, page_size or count)
    shown = min(grid.page_size, count)
    height, width = grid.size_px(shown)
    tile = grid.tile.rows.pixels, grid.tile.columns.pixels
    corners = [grid.corner(position) for position in range(shown)]
    assert len(set(corners)) == shown
    for top, left in corners:
        assert top + tile[0] <= height
        assert left + max(tile[1], NARROWEST_PX) <= width
    tops, lefts = ({corner[axis] for corner in corners} for axis in (0, 1))
    for places, side in ((tops, tile[0]), (lefts, max(tile[1], NARROWEST_PX))):
        ordered = sorted(places)
        assert all(second - first > side for first, second in pairwise(ordered))
    if max(rows, columns) <= 40 <= 4 * min(rows, columns):
        assert max(tile) <= LARGEST_PX
        assert width <= WIDTH_PX


@pytest.mark.parametrize("page_size", [0, -3])
def test_a_page_holds_something(page_size: int) -> None:
    with pytest.raises(SettingError) as caught:
        fit_grid(4, 5, 5, page_size)
    assert str(caught.value) == f"A page cannot hold {page_size} maps.\n\nUse a page size of at least 1."


@settings(max_examples=25)
@given(st.integers(448, 1400), st.booleans(), st.booleans(), st.text(max_size=60))
def test_the_colour_bar_runs_through_the_whole_palette(width: int, signed: bool, broken: bool, title: str) -> None:
    assume(title.isprintable())
    colours = palette(signed=signed)
    legend = Legend(colours, ("low", "0", "high"), broken)
    header = lay_out(title, "page 1 of 2", ["a line of words " * 9], legend, width)
    page = Image.new("RGB", (width + 48, header.height_px + 80), "white")
    draw_header(page, header, 24, 24)
    pixels = np.asarray(page)
    (row, left) = (
        (28, 24 + width - BAR_PX[0]) if header.beside else (24 + header.height_px - (56 if broken else 36) + 8, 24)
    )
    bar = pixels[row + 3, left : left + BAR_PX[0]]
    levels = np.rint(np.linspace(0, len(colours.colours) - 1, BAR_PX[0])).astype(int)
    assert np.array_equal(bar, colours.colours[levels])
    assert bool((pixels == BROKEN).all(axis=-1).any()) == broken
    assert (pixels[:, -20:] == 255).all(), "nothing is drawn into the margin"


@pytest.mark.parametrize("shape", [(0, 3, 3), (3, 3), (1, 0, 4), (1, 1, 1, 1)])
def test_what_holds_no_maps_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(SettingError) as caught:
        checked(np.zeros(shape))
    assert str(caught.value) == (
        f"A picture of feature maps needs an array (channel, row, column) that is not empty, got {shape}.\n\n"
        "Pass the maps of one image, for example values[0] of an array (image, channel, row, column)."
    )


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.bool_, np.float16, np.float32, np.float64])
def test_maps_of_every_type_are_floats_that_hold_their_values(dtype: Any) -> None:
    values = np.array([[[0, 1, 1]]], dtype=dtype)
    assert np.issubdtype(checked(values).dtype, np.floating)
    assert checked(values).tolist() == [[[0, 1, 1]]]


def test_unknown_words_name_what_there_is() -> None:
    summary: Summary = summarise(np.zeros((1, 1, 1)))
    with pytest.raises(SettingError) as caught:
        order(summary, "maxmum")
    assert str(caught.value) == (
        "Feature maps cannot be sorted by 'maxmum'.\n\n"
        "Use one of index, maximum, mean, positive. The nearest names are maximum, mean."
    )
    with pytest.raises(SettingError) as caught:
        check_scale("share")
    assert str(caught.value).startswith("There is no colour scale 'share'.\n\nUse 'map' for a scale of its own per map")
