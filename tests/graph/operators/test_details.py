"""The details of windowed operators: enough to compute the size that torch gives, and no more than needed."""

from __future__ import annotations

import re
from itertools import product

import pytest
import torch
from torch import nn

import featmap as fm

SIZE = (15, 12)


def details(module: nn.Module) -> tuple[str, tuple[int, ...]]:
    """What the plan says of the module, and the shape that torch gives."""
    with torch.no_grad():
        shape = tuple(module(torch.zeros(1, 2, *SIZE)).shape[1:])
    (row,) = fm.trace(nn.Sequential(module).eval(), (2, *SIZE)).plan()
    assert row.output_shape == shape
    return row.details, shape


def pair(text: str, word: str, default: int) -> tuple[int, int]:
    found = re.search(rf"(?:^|, ){word} ?(\d+)(?: x (\d+))?(?:,|$)", text)
    return (int(found[1]), int(found[2] or found[1])) if found else (default, default)


def computed(text: str, *, transposed: bool = False) -> tuple[int, ...]:
    """The size that PyTorch's documentation computes from the words."""
    kernel, stride, dilation = pair(text, "", 0), pair(text, "stride", 1), pair(text, "dilation", 1)
    padding, extra = pair(text, "padding", 0), pair(text, "output padding", 0)
    sizes: list[int] = []
    for axis, size in enumerate(SIZE):
        span = dilation[axis] * (kernel[axis] - 1) + 1
        if transposed:
            sizes.append((size - 1) * stride[axis] - 2 * padding[axis] + span + extra[axis])
            continue
        room = size + 2 * padding[axis] - span
        count = -(-room // stride[axis]) + 1 if "ceil_mode" in text else room // stride[axis] + 1
        # Under ceil_mode a window that begins beyond the image and its padding before is left out.
        if "ceil_mode" in text and (count - 1) * stride[axis] >= size + padding[axis]:
            count -= 1
        sizes.append(count)
    return tuple(sizes)


@pytest.mark.parametrize(("kernel", "stride", "padding"), list(product([3, (5, 4)], [1, 2, (3, 2)], [0, 1, (1, 0)])))
@pytest.mark.parametrize("ceil_mode", [False, True])
def test_the_details_of_pools_give_their_size(kernel: int, stride: int, padding: int, *, ceil_mode: bool) -> None:
    for dilation in (1, 2):
        text, shape = details(nn.MaxPool2d(kernel, stride, padding, dilation, ceil_mode=ceil_mode))
        assert computed(text) == shape[1:], text
    text, shape = details(nn.AvgPool2d(kernel, stride, padding, ceil_mode, count_include_pad=False))
    assert computed(text) == shape[1:], text


@pytest.mark.parametrize(("stride", "padding", "dilation"), list(product([1, 3, (3, 2)], [0, (2, 1)], [1, 2])))
def test_the_details_of_convolutions_give_their_size(stride: int, padding: int, dilation: int) -> None:
    text, shape = details(nn.Conv2d(2, 2, (3, 2), stride, padding, dilation))
    assert computed(text) == shape[1:], text
    for extra in (0, 1) if stride != 1 else (0,):
        text, shape = details(nn.ConvTranspose2d(2, 2, (3, 2), stride, padding, extra, dilation=dilation))
        assert computed(text, transposed=True) == shape[1:], text


@pytest.mark.parametrize(
    ("module", "text"),
    [
        (nn.MaxPool2d(3, 2, 1), "3 x 3, stride 2, padding 1"),
        (nn.MaxPool2d(2), "2 x 2, stride 2"),
        (nn.MaxPool2d(3, 1, dilation=2, ceil_mode=True), "3 x 3, stride 1, dilation 2, ceil_mode"),
        (nn.AvgPool2d(3, 2, 1), "3 x 3, stride 2, padding 1"),
        (nn.AvgPool2d(3, 2, 1, count_include_pad=False), "3 x 3, stride 2, padding 1, padding not counted"),
        (nn.AvgPool2d(2, divisor_override=3), "2 x 2, stride 2, divided by 3"),
        (nn.AvgPool2d((3, 2), (2, 1), (1, 0)), "3 x 2, stride 2 x 1, padding 1 x 0"),
        (nn.AdaptiveAvgPool2d((7, 5)), "to 7 x 5"),
        (nn.ConvTranspose2d(2, 2, 3, 2, 1, 1), "3 x 3, stride 2, padding 1, output padding 1"),
    ],
    ids=str,
)
def test_what_is_as_by_default_is_left_out(module: nn.Module, text: str) -> None:
    assert details(module)[0] == text
