"""The picture of one value's arithmetic shows the largest terms, the rest as one sum, and the way to a."""

import math

import numpy as np
import pytest
from view_pages import decoded, tiles

from featmap.errors import SettingError
from featmap.view.drawing.palette import palette
from featmap.view.drawing.scale import scale_of
from featmap.view.pictures.arithmetic import Arithmetic, ShownTerm, largest, rest, stages
from featmap.view.pictures.contributions import contribution_pages, shares
from featmap.view.pictures.explain import value_picture
from featmap.view.pictures.explain_layout import ExplainLayout, limit
from featmap.view.sheets.grid import fit_grid
from featmap.view.sheets.summary import summarise


def arithmetic(channels=8, rows=3, columns=3, *, bias=0.5, scale=2.0, shift=-0.25, a=None, nonlinearity=None):
    random = np.random.default_rng(channels)
    grids = [(random.normal(size=(rows, columns)), random.normal(size=(rows, columns))) for _ in range(channels)]
    terms = [
        ShownTerm(channel, window, kernel, float((window * kernel).sum()))
        for channel, (window, kernel) in enumerate(grids)
    ]
    conv = math.fsum(term.sum for term in terms) + (bias or 0)
    z = conv if scale is None else conv * scale + shift
    return Arithmetic("conv1:z/3@1,2", terms, bias, conv, scale, shift, z, nonlinearity, a)


def test_the_shown_terms_are_the_largest():
    terms = largest(arithmetic(), 3)
    magnitudes = sorted((abs(term.sum) for term in arithmetic().terms), reverse=True)
    assert [abs(term.sum) for term in terms] == magnitudes[:3]


def test_what_is_not_shown_adds_up_to_the_weighted_sum():
    known = arithmetic()
    shown = largest(known, 3)
    (others, rest_sum), (bias, bias_value), (total, conv) = rest(known, shown)
    assert (others, bias, total) == ("5 other channels together", "bias", "weighted sum (conv)")
    assert math.isclose(math.fsum(term.sum for term in shown) + rest_sum + bias_value, conv)


def test_nothing_is_said_about_what_is_not_there():
    known = arithmetic(bias=None)
    assert [name for name, _ in rest(known, largest(known, 8))] == ["weighted sum (conv)"]
    assert rest(known, largest(known, 7))[0][0] == "1 other channel together"


def test_the_way_to_a_names_every_step():
    full = stages(arithmetic(a=0.0, nonlinearity="relu"))
    assert [(stage.name, stage.made_by) for stage in full] == [("conv", ""), ("z", "× 2  − 0.25"), ("a", "relu")]
    plain = stages(arithmetic(scale=None, shift=None))
    assert [(stage.name, stage.made_by) for stage in plain] == [("conv = z", "")]


@pytest.mark.parametrize("size", [(1, 1), (3, 3), (2, 4), (5, 5), (1, 7), (7, 7), (11, 11)])
def test_cells_have_the_colours_of_their_values(size):
    known = arithmetic(3, *size)
    layout = ExplainLayout(known, largest(known, 5))
    pixels = np.asarray(value_picture(known))
    colours = palette(signed=True).colours
    for (_, grids), left in zip(layout.columns, layout.lefts, strict=True):
        end = limit(grids)
        for index, grid in enumerate(grids):
            for (row, column), value in np.ndenumerate(grid):
                place = layout.row_top(index) + row * layout.cell.height + 1, left + column * layout.cell.width + 1
                level = round((value / end + 1) / 2 * 254)
                assert (pixels[place] == colours[level]).all()


def test_bars_have_one_scale():
    known = arithmetic()
    layout = ExplainLayout(known, largest(known, 5))
    values = [term.sum for term in layout.shown] + [value for _, value in layout.rest]
    zero = layout.bar_place(0.0)
    lengths = [layout.bar_place(value) - zero for value in values]
    ratio = (layout.bar_place(max(values)) - layout.bar_place(min(values))) / (max(values) - min(values))
    if min(values) < 0 < max(values):
        assert all(abs(length - value * ratio) <= 1.5 for length, value in zip(lengths, values, strict=True))
    assert any(length > 0 for length in lengths)
    assert any(length < 0 for length in lengths)


def test_sums_have_the_same_decimals():
    layout = ExplainLayout(arithmetic(), largest(arithmetic(), 5))
    texts = [layout.aligned(term.sum) for term in layout.shown]
    assert len({len(text.partition(".")[2]) for text in texts}) == 1


def test_a_term_that_is_not_shown_changes_the_picture():
    known = arithmetic()
    smaller = Arithmetic(known.title, known.terms[:-1], known.bias, known.conv, 2.0, -0.25, known.z, None, None)
    assert value_picture(known, 2).tobytes() != value_picture(smaller, 2).tobytes()


def test_values_that_are_not_finite_are_drawn():
    term = ShownTerm(0, np.array([[np.nan, np.inf]]), np.array([[1.0, 2.0]]), math.nan)
    known = Arithmetic("x", [term], None, math.nan, None, None, math.nan, "relu", math.nan)
    assert "a NaN" in value_picture(known).info["Description"]


def test_the_picture_says_what_it_shows():
    assert (
        value_picture(arithmetic(a=0.0, nonlinearity="relu"), 3)
        .info["Description"]
        .startswith("conv1:z/3@1,2; the 3 largest of 8 input channels; ")
    )


@pytest.mark.parametrize(("terms", "shown"), [(0, 5), (2, 0)])
def test_nothing_to_draw_is_refused(terms, shown):
    known = arithmetic()
    with pytest.raises(SettingError) as caught:
        value_picture(Arithmetic("x", known.terms[:terms], None, 0.0, None, None, 0.0, None, None), shown)
    assert str(caught.value) == (
        f"{terms} terms, {shown} to show: there is nothing to draw.\n\nPass at least one term, and show at least one."
    )


def test_contributions_are_sorted_by_share_behind_the_total():
    parts = np.random.default_rng(0).normal(size=(5, 6, 6)) * np.array([1, 5, 2, 4, 3])[:, None, None]
    assert np.argsort(-shares(parts)).tolist() == [1, 3, 4, 2, 0]
    assert math.isclose(shares(parts).sum(), 1)
    (page,) = contribution_pages(parts, parts.sum(axis=0) + 1, "conv2:conv/7")
    own, shared = (
        scale_of(summarise(maps), "shared", signed=True).marks[2] for maps in (parts.sum(0)[None] + 1, parts)
    )
    grid = fit_grid(6, 6, 6)
    first, *others = tiles(page, grid, 6)
    for tile, channel in zip(others, [1, 3, 4, 2, 0], strict=True):
        end = np.abs(parts).max()
        assert np.abs(decoded(tile, grid, -end, end, signed=True) - parts[channel]).max() <= 2 * end / 254
    end = np.abs(parts.sum(axis=0) + 1).max()
    assert np.abs(decoded(first, grid, -end, end, signed=True) - parts.sum(axis=0) - 1).max() <= 2 * end / 254
    assert "contributions of 5 maps of 6 x 6, sorted by share of all magnitudes" in page.info["Description"]
    assert (
        f"share one colour scale, −{shared} to {shared}; the total has its own, −{own} to {own}"
        in page.info["Description"]
    )


def test_contributions_that_are_all_zero_are_drawn():
    (page,) = contribution_pages(np.zeros((3, 4, 4)), np.zeros((4, 4)), "x")
    assert "4 maps all 0 (hatched)" in page.info["Description"]


def test_a_total_of_another_size_is_refused():
    with pytest.raises(SettingError) as caught:
        contribution_pages(np.zeros((3, 4, 4)), np.zeros((5, 4)), "x")
    assert str(caught.value) == (
        "Contributions of (4, 4) cannot add up to a map of (5, 4).\n\n"
        "Pass one output map (row, column) and its contributions (input channel, row, column)."
    )
