"""Pictures of answers read back: pixels at the stated places are the values through the stated scale."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from featmap.view.drawing.cells import cell_size, draw_cells
from featmap.view.drawing.enlarge import LARGEST_FACTOR, Enlargement, continued, cut
from featmap.view.drawing.flow import FLOW_PX, Stage, draw_flow, flow_width_px
from featmap.view.drawing.hatch import hatch
from featmap.view.drawing.palette import paint, palette
from featmap.view.drawing.panel import GAP_PX, MARGIN_PX, Panel, side_by_side
from featmap.view.pictures.occlusion import BAR_PX, OPACITY, SHOWN_PX, occlusion_picture
from featmap.view.pictures.projection import GREY, on_field, projection_pixels
from featmap.view.sheets.example_sheet import LABEL_PX, Shown, example_sheet
from featmap.view.sheets.header import FRAME, TITLE_PX

EXAMPLES = settings(max_examples=60)
SIDE, PANEL_SIDE = st.integers(2, 7), st.integers(1, 60)
Box = tuple[int, int, int, int]


def random_picture(height: int, width: int, seed: int = 0) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)
    return Image.fromarray(pixels)


@st.composite
def boxes(draw: st.DrawFn) -> Box:
    top, left = draw(st.integers(-6, 12)), draw(st.integers(-6, 12))
    return top, left, top + draw(st.integers(1, 14)), left + draw(st.integers(1, 14))


@EXAMPLES
@given(boxes(), st.integers(20, 90), st.integers(4, 10), st.integers(4, 10))
def test_an_enlarged_box_shows_each_pixel_as_a_block_and_hatches_the_rest(
    box: Box, room: int, height: int, width: int
) -> None:
    picture = random_picture(height, width)
    enlargement = Enlargement.of(box, room)
    factor = int(enlargement.factor)
    assert 1 <= factor == enlargement.factor <= LARGEST_FACTOR
    shown = continued(picture, box, enlargement)
    assert shown.shape == ((box[2] - box[0]) * factor, (box[3] - box[1]) * factor, 3)
    assert max(shown.shape) <= room
    empty, pixels = hatch(*shown.shape[:2]), np.asarray(picture)
    for row in range(box[0], box[2]):
        for column in range(box[1], box[3]):
            down, across = (row - box[0]) * factor, (column - box[1]) * factor
            block = np.s_[down : down + factor, across : across + factor]
            is_inside = 0 <= row < height and 0 <= column < width
            expected = np.broadcast_to(pixels[row, column], (factor, factor, 3)) if is_inside else empty[block]
            assert np.array_equal(shown[block], expected)


@EXAMPLES
@given(boxes(), st.integers(1, 20), st.integers(1, 20))
def test_the_cut_part_of_a_box_is_on_the_image(box: Box, height: int, width: int) -> None:
    top, left, bottom, right = cut(box, (width, height))
    inside = {
        (row, column)
        for row in range(box[0], box[2])
        for column in range(box[1], box[3])
        if 0 <= row < height and 0 <= column < width
    }
    assert {(row, column) for row in range(top, bottom) for column in range(left, right)} == inside


@EXAMPLES
@given(st.integers(200, 900), st.integers(200, 900), st.integers(20, 150))
def test_a_reduced_picture_keeps_its_shape_and_its_mean(height: int, width: int, room: int) -> None:
    enlargement = Enlargement.of((0, 0, height, width), room)
    assert enlargement.factor < 1
    picture = random_picture(height, width)
    made = enlargement.apply(picture)
    assert max(made.size) in (room - 1, room, room + 1)
    assert made.width / made.height == pytest.approx(width / height, rel=2 / min(made.size))
    assert np.asarray(made).mean() == pytest.approx(np.asarray(picture).mean(), abs=1.5)
    assert enlargement.words == f"reduced to {enlargement.factor:.1%} by averaging areas"


@EXAMPLES
@given(st.sampled_from([1, 3]), st.integers(1, 5), st.integers(1, 5), st.integers(0, 99), st.floats(1e-6, 1e6))
def test_a_projections_colours_are_its_values_round_grey(
    channels: int, height: int, width: int, seed: int, size: float
) -> None:
    values = np.random.default_rng(seed).normal(size=(channels, height, width)) * size
    pixels = projection_pixels(values).astype(float)
    largest = np.abs(values).max()
    read = (pixels - GREY) / GREY * largest
    expected = np.broadcast_to(values, (3, height, width)).transpose(1, 2, 0)
    assert np.abs(read - expected).max() <= largest * 0.51 / GREY
    extreme = np.unravel_index(np.abs(expected).argmax(), expected.shape)
    assert pixels[extreme] in (0, 255)


@EXAMPLES
@given(st.sampled_from([2, 4, 7]), st.integers(0, 99))
def test_of_other_numbers_of_channels_the_sum_is_drawn(channels: int, seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=(channels, 3, 4))
    total = values.sum(axis=0)
    limit = np.abs(total).max()
    assert np.array_equal(projection_pixels(values), paint(total, -limit, limit, palette(signed=True)))


@EXAMPLES
@given(st.data(), st.integers(4, 9), st.integers(4, 9))
def test_a_projection_on_its_field_is_grey_where_it_is_0_and_hatched_off_the_image(
    data: st.DataObject, height: int, width: int
) -> None:
    top, left = data.draw(st.integers(0, height - 2)), data.draw(st.integers(0, width - 2))
    box = top, left, data.draw(st.integers(top + 1, height)), data.draw(st.integers(left + 1, width))
    field = box[0] - 2, box[1] - 1, box[2] + 1, box[3] + 3
    values = np.random.default_rng(top).normal(size=(3, box[2] - box[0], box[3] - box[1]))
    shown = on_field(values, box, field, (width, height), Enlargement(2))
    inside, empty = projection_pixels(values), hatch(*shown.shape[:2])
    for row in range(field[0], field[2]):
        for column in range(field[1], field[3]):
            place = (row - field[0]) * 2, (column - field[1]) * 2
            if not (0 <= row < height and 0 <= column < width):
                expected: Any = empty[place]
            elif box[0] <= row < box[2] and box[1] <= column < box[3]:
                expected = inside[row - box[0], column - box[1]]
            else:
                expected = [128] * 3
            assert np.array_equal(shown[place], expected)


@settings(max_examples=20)
@given(
    st.integers(2, 7), st.integers(2, 7), st.integers(0, 99), st.sampled_from(["score", "effect"]), st.floats(0.5, 20)
)
def test_the_heat_of_an_occlusion_is_its_drops_through_the_bar_below_it(
    height: int, width: int, seed: int, colours: str, score: float
) -> None:
    heat = np.random.default_rng(seed).normal(size=(height, width))
    picture = random_picture(height, width, seed)
    page = np.asarray(occlusion_picture(picture, heat, score, "t", ("a", "b"), colours=colours)).astype(float)
    factor = SHOWN_PX // max(height, width)
    left, top = MARGIN_PX + max(width * factor, 320) + GAP_PX, MARGIN_PX + TITLE_PX + 16
    largest = np.abs(heat).max()
    limit = largest if colours == "effect" else max(largest, score)
    grey = np.asarray(picture.convert("L")).astype(float)[..., None]
    expected = grey * (1 - OPACITY) + paint(heat, -limit, limit, palette(signed=True)).astype(float) * OPACITY
    for (row, column), _ in np.ndenumerate(heat):
        place = top + row * factor + factor // 2, left + column * factor + factor // 2
        assert np.abs(page[place] - expected[row, column]).max() <= 1.5
    bar = page[top + height * factor + 6 + BAR_PX // 2, left : left + width * factor]
    drops = paint(np.linspace(-1, 1, width * factor)[None], -1, 1, palette(signed=True))[0].astype(float)
    assert np.abs(bar - (0x80 * (1 - OPACITY) + drops * OPACITY)).max() <= 1.5


@EXAMPLES
@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 99))
def test_cells_are_blocks_of_their_values_colours_within_a_frame(rows: int, columns: int, seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=(rows, columns))
    size, limit = cell_size(rows, columns), float(np.abs(values).max())
    page = Image.new("RGB", (columns * size.width + 20, rows * size.height + 20), "white")
    draw_cells(page, values, (10, 10), size, limit)
    pixels, painted = np.asarray(page), paint(values, -limit, limit, palette(signed=True))
    for (row, column), _ in np.ndenumerate(values):
        corner = 10 + row * size.height + 1, 10 + column * size.width + 1
        assert np.array_equal(pixels[corner], painted[row, column])
    assert (pixels[9, 9 : 11 + columns * size.width] == FRAME).all()
    assert (pixels[9 : 11 + rows * size.height, 10 + columns * size.width] == FRAME).all()
    assert (pixels[:9] == 255).all()
    assert (pixels[11 + rows * size.height :] == 255).all()


@given(st.lists(st.tuples(st.text("conv az=", max_size=9), st.floats(-1e9, 1e9), st.text("relu ×+0.5", max_size=12)),
                min_size=1, max_size=4))  # fmt: skip
@settings(max_examples=40)
def test_the_way_of_a_value_stays_in_the_room_that_was_asked_for(parts: list[tuple[str, float, str]]) -> None:
    stages = [Stage(*part) for part in parts]
    width = flow_width_px(stages)
    page = Image.new("RGB", (width + 40, FLOW_PX + 40), "white")
    draw_flow(page, stages, 20, 20)
    drawn = np.argwhere((np.asarray(page) < 255).any(axis=-1))
    assert drawn.min(axis=0).tolist() == [20, 20]
    assert drawn.max(axis=0).tolist() == [20 + FLOW_PX, 20 + width]


@EXAMPLES
@given(
    st.lists(st.tuples(st.integers(1, 60), st.integers(1, 60), st.booleans()), min_size=1, max_size=4), st.booleans()
)
def test_panels_hold_their_pictures_whole_and_apart(sizes: list[tuple[int, int, bool]], titled: bool) -> None:
    panels = [
        Panel(random_picture(height, width, at), ("words below it",) if said else ())
        for at, (height, width, said) in enumerate(sizes)
    ]
    page = side_by_side("a title" if titled else "", panels)
    top, left = MARGIN_PX + (TITLE_PX + 16 if titled else 0), MARGIN_PX
    for panel in panels:
        part = page.crop((left, top, left + panel.picture.width, top + panel.picture.height))
        assert part.tobytes() == panel.picture.tobytes()
        left += panel.width_px + GAP_PX
    assert page.width == left - GAP_PX + MARGIN_PX


@settings(max_examples=25)
@given(st.integers(1, 5), st.integers(1, 4), st.integers(1, 8), st.booleans())
def test_every_map_of_a_sheet_stands_on_one_page_with_all_its_examples(
    count: int, examples: int, per_page: int, has_values: bool
) -> None:
    field = 0, 0, 4, 4
    every = [
        [
            Shown(
                Image.new("RGB", (4, 4), (40 + 30 * at, 10 + 20 * rank, 200)),
                np.ones((3, 4, 4)) if has_values else None,
                field,
                field,
            )
            for rank in range(examples)
        ]
        for at in range(count)
    ]
    pages = example_sheet("what it responds to", ["a line"], [(f"/{at}", "1", every[at]) for at in range(count)],
                          per_page=per_page)  # fmt: skip
    assert len(pages) == math.ceil(count / per_page)
    for at in range(count):
        seen = [np.asarray(page) for page in pages]
        for rank in range(examples):
            colour = (40 + 30 * at, 10 + 20 * rank, 200)
            areas = [int((page == colour).all(axis=-1).sum()) for page in seen]
            assert [area > 0 for area in areas] == [number == at // per_page for number in range(len(pages))]
    whites = [bool((np.asarray(page) == 255).all(axis=-1).any()) for page in pages]
    assert all(whites)
    titles = [page.info["Title"] for page in pages]
    expected = [f", page {number} of {len(pages)}" if len(pages) > 1 else "" for number in range(1, len(pages) + 1)]
    assert titles == [f"what it responds to{turn}" for turn in expected]
    assert min(page.height for page in pages) > LABEL_PX
