"""Positions of windows, and the values written over the pixels below them."""

from __future__ import annotations

import functools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from featmap.errors import SettingError
from featmap.geometry import Box, Interval
from featmap.methods.shared.windows import Windows, captum_average, fill, windows
from featmap.run.full_occlusion import occluded

IMAGE = torch.arange(3 * 4 * 5, dtype=torch.float64).reshape(3, 4, 5)


def starts(intervals: tuple[Interval, ...]) -> list[int]:
    return [interval.start for interval in intervals]


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 70), st.data())
def test_windows_lie_inside_and_cover_both_edges(height: int, width: int, step: int, data: st.DataObject) -> None:
    size = data.draw(st.integers(1, height)), data.draw(st.integers(1, width))
    found = windows((height, width), size, (step, 2))
    for intervals, side, extent in ((found.rows, size[0], height), (found.columns, size[1], width)):
        assert all(interval.size == side for interval in intervals)
        assert intervals[0].start == 0
        assert intervals[-1].stop == extent
        assert starts(intervals) == sorted(set(starts(intervals)))
    assert starts(found.rows)[:-1] == list(range(0, height - size[0], step))
    assert found.count == len(found.rows) * len(found.columns)


@pytest.mark.parametrize(
    ("extent", "size", "step", "expected"),
    [
        (20, 8, 5, [0, 5, 10, 12]),
        (20, 8, 4, [0, 4, 8, 12]),
        (224, 16, 8, list(range(0, 209, 8))),
        (5, 5, 1, [0]),
        (5, 1, 9, [0, 4]),
        (1, 1, 1, [0]),
    ],
)
def test_where_windows_start(extent: int, size: int, step: int, expected: list[int]) -> None:
    assert starts(windows((extent, extent), size, step).rows) == expected


def test_rows_and_columns_come_in_this_order() -> None:
    found = windows((10, 6), (4, 2), (3, 4))
    assert (found.window, found.stride) == ((4, 2), (3, 4))
    assert found.box(1, 1) == Box(3, 4, 7, 6)
    assert windows((10, 6), [4, 2], np.int64(3)) == Windows(
        (found.rows, windows((10, 6), 2, 3).columns), (4, 2), (3, 3)
    )


NO_SIZE = "Give a whole number from 1 on, or (rows, columns): {0}=16."


@pytest.mark.parametrize(
    ("window", "stride", "text"),
    [
        (0, 1, "window 0 is not a size in pixels.\n\n" + NO_SIZE.format("window")),
        ((3, -1), 1, "window (3, -1) is not a size in pixels.\n\n" + NO_SIZE.format("window")),
        (True, 1, "window True is not a size in pixels.\n\n" + NO_SIZE.format("window")),
        (2.0, 1, "window 2.0 is not a size in pixels.\n\n" + NO_SIZE.format("window")),
        ("16", 1, "window 16 is not a size in pixels.\n\n" + NO_SIZE.format("window")),
        ((1, 2, 3), 1, "window (1, 2, 3) is not a size in pixels.\n\n" + NO_SIZE.format("window")),
        (None, 1, "window None is not a size in pixels.\n\n" + NO_SIZE.format("window")),
        (3, 0, "stride 0 is not a size in pixels.\n\n" + NO_SIZE.format("stride")),
        (3, -8, "stride -8 is not a size in pixels.\n\n" + NO_SIZE.format("stride")),
        (3, (4, False), "stride (4, False) is not a size in pixels.\n\n" + NO_SIZE.format("stride")),
        (
            11,
            1,
            "A window of 11 x 11 (rows x columns) does not fit into an image of 10 x 6.\n\n"
            "Use a window of at most 10 x 6.",
        ),
        (
            (3, 7),
            1,
            "A window of 3 x 7 (rows x columns) does not fit into an image of 10 x 6.\n\n"
            "Use a window of at most 10 x 6.",
        ),
    ],
)
def test_windows_that_are_refused(window: object, stride: object, text: str) -> None:
    with pytest.raises(SettingError) as raised:
        windows((10, 6), window, stride)  # type: ignore[arg-type]
    assert str(raised.value) == text


def negated(image: Tensor) -> Tensor:
    return -image


@pytest.mark.parametrize(
    ("baseline", "name", "expected"),
    [
        (0, "0", torch.zeros_like(IMAGE)),
        (-1.5, "-1.5", torch.full_like(IMAGE, -1.5)),
        ([1.0, 2.0, 3.0], "(1, 2, 3)", torch.tensor([1.0, 2, 3], dtype=torch.float64)[:, None, None].expand(3, 4, 5)),
        (np.array([[1], [2], [3]]), "(1, 2, 3)", torch.tensor([1.0, 2, 3]).double()[:, None, None].expand(3, 4, 5)),
        (torch.tensor(0.25), "0.25", torch.full_like(IMAGE, 0.25)),
        ("mean", "the image's mean", IMAGE.mean((1, 2), keepdim=True).expand(3, 4, 5)),
        (negated, "negated", -IMAGE),
        (lambda image: image + 1, "a function of the image", IMAGE + 1),
        (functools.partial(torch.mul, other=2), "a function of the image", IMAGE * 2),
        (lambda image: image.float(), "a function of the image", IMAGE),
    ],
)
def test_what_is_written(baseline: object, name: str, expected: Tensor) -> None:
    found = fill(IMAGE, baseline)  # type: ignore[arg-type]
    assert found.name == name
    assert found.picture is not None
    torch.testing.assert_close(found.picture, expected, rtol=0, atol=0)
    changed = occluded(IMAGE, Box(1, 2, 3, 4), found.picture)
    torch.testing.assert_close(changed[:, 1:3, 2:4], expected[:, 1:3, 2:4], rtol=0, atol=0)
    changed[:, 1:3, 2:4] = IMAGE[:, 1:3, 2:4]
    assert torch.equal(changed, IMAGE)


def test_the_windows_own_mean() -> None:
    found = fill(IMAGE, "local")
    assert (found.name, found.picture) == ("the window's mean", None)
    changed = occluded(IMAGE, Box(1, 2, 3, 4), found.picture)
    for channel in range(3):
        assert (changed[channel, 1:3, 2:4] == IMAGE[channel, 1:3, 2:4].mean()).all()


def test_a_function_gets_an_image_of_its_own() -> None:
    image = IMAGE.clone()
    fill(image, lambda own: own.zero_())
    assert torch.equal(image, IMAGE)


MORE = "Use a number, a value per channel, 'mean', 'local' or a function."


@pytest.mark.parametrize(
    ("baseline", "text"),
    [
        ([1, 2], "The baseline has 2 values; the image has 3 channels.\n\nGive one number, or 3."),
        ([], "The baseline has 0 values; the image has 3 channels.\n\nGive one number, or 3."),
        (torch.zeros(3, 4, 5), "The baseline has 60 values; the image has 3 channels.\n\nGive one number, or 3."),
        ("grey", f"baseline 'grey' is unknown.\n\n{MORE}"),
        (math.nan, f"baseline nan is not a finite number.\n\n{MORE}"),
        ([0, math.inf, 0], f"baseline [0, inf, 0] is not a finite number.\n\n{MORE}"),
        (None, f"baseline None is not a finite number.\n\n{MORE}"),
        (
            lambda image: image[:2],
            "The baseline function gave (2, 4, 5); the image has shape (3, 4, 5).\n\n"
            "Return a tensor of the image's own shape.",
        ),
        (
            lambda image: image.mean((1, 2), keepdim=True),
            "The baseline function gave (3, 1, 1); the image has shape (3, 4, 5).\n\n"
            "Return a tensor of the image's own shape.",
        ),
        (
            lambda image: image.numpy(),
            "The baseline function gave ndarray; the image has shape (3, 4, 5).\n\n"
            "Return a tensor of the image's own shape.",
        ),
    ],
)
def test_baselines_that_are_refused(baseline: object, text: str) -> None:
    with pytest.raises(SettingError) as raised:
        fill(IMAGE, baseline)  # type: ignore[arg-type]
    assert str(raised.value) == text


def test_captums_average_by_hand() -> None:
    found = windows((1, 5), (1, 3), 2)
    drop = np.array([[1.0, 5.0]])
    assert captum_average(drop, found, (1, 5)).tolist() == [[1, 1, 3, 5, 5]]
    apart = windows((1, 5), (1, 1), 3)
    assert captum_average(np.array([[1.0, 2.0, 4.0]]), apart, (1, 5)).tolist() == [[1, 0, 0, 2, 4]]
