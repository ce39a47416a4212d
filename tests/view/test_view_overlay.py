"""A box on a photograph: bright inside, dimmed outside, hatched where there is no photograph."""

import numpy as np
import pytest
from PIL import Image

from featmap.errors import SettingError
from featmap.view.drawing.enlarge import Enlargement, box_words, continued
from featmap.view.drawing.hatch import hatch
from featmap.view.drawing.overlay import COLOURS, Mark, box_picture
from featmap.view.drawing.panel import MARGIN_PX, Panel, side_by_side

PHOTOGRAPH = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
FACTOR = 10


def drawn(*boxes):
    picture = box_picture(PHOTOGRAPH, [Mark(box, "a unit") for box in boxes])
    return np.asarray(picture)[MARGIN_PX:, MARGIN_PX:]


def test_rows_columns_and_size_of_a_box_stand_on_one_line() -> None:
    panel = Panel(Image.new("RGB", (40, 40)), (box_words((100, 222, 318, 440), (448, 448)),))
    assert panel.lines == ["rows 100:318, columns 222:440, 218 x 218 pixels"]


def test_the_photograph_is_unchanged_inside_and_dimmed_outside():
    pixels = drawn((10, 20, 30, 50))
    for row, column in ((10, 20), (29, 49), (20, 33)):
        assert (pixels[row * FACTOR + 5, column * FACTOR + 5] == PHOTOGRAPH[row, column]).all()
    for row, column in ((8, 20), (31, 49), (20, 52), (20, 18)):
        dimmed = (PHOTOGRAPH[row, column] * 0.35 + 36).astype(np.uint8)
        assert (pixels[row * FACTOR + 5, column * FACTOR + 5] == dimmed).all()


def test_the_outline_lies_just_outside_of_the_box():
    pixels = drawn((10, 20, 30, 50))
    row = pixels[20 * FACTOR]
    assert tuple(row[20 * FACTOR - 1]) == tuple(row[20 * FACTOR - 2]) == tuple(row[50 * FACTOR]) == COLOURS[0]
    assert (row[20 * FACTOR] == PHOTOGRAPH[20, 20]).all()


def test_two_boxes_have_two_colours():
    pixels = drawn((2, 2, 10, 10), (30, 30, 60, 60))
    assert tuple(pixels[5 * FACTOR, 2 * FACTOR - 1]) == COLOURS[0]
    assert tuple(pixels[50 * FACTOR, 30 * FACTOR - 1]) == COLOURS[1]


def test_what_lies_outside_of_the_image_is_hatched():
    shown = continued(Image.fromarray(PHOTOGRAPH), (-4, 60, 6, 70), Enlargement(5))
    assert shown.shape == (50, 50, 3)
    assert (shown[:20] == hatch(50, 50)[:20]).all()
    assert (shown[:, 20:] == hatch(50, 50)[:, 20:]).all()
    assert (shown[20:, :20] == np.repeat(np.repeat(PHOTOGRAPH[:6, 60:], 5, axis=0), 5, axis=1)).all()


def test_a_box_inside_shows_exactly_its_pixels():
    shown = continued(Image.fromarray(PHOTOGRAPH), (10, 20, 30, 50), Enlargement(1))
    assert (shown == PHOTOGRAPH[10:30, 20:50]).all()


def test_a_box_beside_the_image_is_all_hatched():
    assert (continued(Image.fromarray(PHOTOGRAPH), (70, 70, 80, 80), Enlargement(2)) == hatch(20, 20)).all()


def test_a_large_image_is_reduced_and_a_huge_box_keeps_the_image_visible():
    large = np.zeros((1500, 2000, 3), np.uint8)
    picture = box_picture(large, [Mark((-9000, -9000, 9000, 9000), "deep")])
    assert picture.width < 1100
    assert "1500 x 2000, reduced to 16.0% by averaging areas" in picture.info["Description"]
    assert "hatched is outside" in picture.info["Description"]


def test_words_name_every_side():
    assert box_words((-1, -2, 70, 80), (64, 64)) == (
        "rows −1:70, columns −2:80, 71 x 82 pixels; "
        "outside of the image: 1 row above, 6 rows below, 2 columns left, 16 columns right"
    )
    assert box_words((0, 0, 64, 64), (64, 64)) == "rows 0:64, columns 0:64, 64 x 64 pixels"


def test_grey_arrays_and_pil_images_are_taken():
    grey = box_picture(PHOTOGRAPH[..., 0], [Mark((0, 0, 4, 4), "x")])
    assert grey.size == box_picture(Image.fromarray(PHOTOGRAPH), [Mark((0, 0, 4, 4), "x")]).size


@pytest.mark.parametrize(
    ("marks", "said"),
    [
        ([], "no box was given"),
        ([Mark((3, 3, 3, 9), "conv1:a/0@1,1")], "the box (3, 3, 3, 9) of 'conv1:a/0@1,1' has no area"),
    ],
)
def test_boxes_without_area_are_refused(marks, said):
    with pytest.raises(SettingError) as caught:
        box_picture(PHOTOGRAPH, marks)
    assert str(caught.value) == f"Nothing to draw: {said}.\n\nPass boxes (top, left, bottom, right), half-open."


def test_an_array_of_another_kind_is_refused():
    with pytest.raises(SettingError) as caught:
        box_picture(np.zeros((3, 64, 64), np.float32), [Mark((0, 0, 4, 4), "x")])
    assert str(caught.value) == (
        "A picture needs an array (row, column, 3 channels) of uint8, got float32 (3, 64, 64).\n\n"
        "Scale values in 0..1 by 255 and convert them, and put the channels last."
    )


def test_panels_stand_side_by_side_with_their_pixels():
    left, right = (Image.new("RGB", (300, 100 + 50 * index), (9, 9, index)) for index in (0, 1))
    page = np.asarray(side_by_side("", [Panel(left), Panel(right, ("A caption.",))]))
    assert (page[MARGIN_PX : MARGIN_PX + 100, MARGIN_PX : MARGIN_PX + 300] == (9, 9, 0)).all()
    assert (page[MARGIN_PX : MARGIN_PX + 150, MARGIN_PX + 328 : MARGIN_PX + 628] == (9, 9, 1)).all()
