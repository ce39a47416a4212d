"""Hypothesis strategies for random networks: every kind of window, residual sums, concatenations, H != W."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from hypothesis import assume
from hypothesis import strategies as st
from torch import nn

from featmap.testing.modules import Branches, PadLayer, Residual, ResizeLayer

_KERNEL = st.tuples(st.integers(1, 4), st.integers(1, 4))


@dataclass(frozen=True)
class RandomNetwork:
    """A module and the shape (channel, row, column) of the images that it takes."""

    module: nn.Module
    input_shape: tuple[int, int, int]


@st.composite
def networks(draw: st.DrawFn, max_blocks: int = 4) -> RandomNetwork:
    """A network of one to `max_blocks` blocks in float64 that torch itself runs without an error."""
    channels = draw(st.sampled_from([1, 3, 5]))
    shape = (channels, draw(st.integers(7, 18)), draw(st.integers(7, 18)))
    blocks: list[nn.Module] = []
    for _ in range(draw(st.integers(1, max_blocks))):
        block, channels = draw(_blocks(channels))
        blocks.append(block)
    module = nn.Sequential(*blocks).double().eval()
    assume(_runs(module, shape))
    return RandomNetwork(module, shape)


def _runs(module: nn.Module, shape: tuple[int, int, int]) -> bool:
    try:
        with torch.no_grad():
            out = module(torch.zeros(1, *shape, dtype=torch.float64))
    except RuntimeError:
        return False
    return min(out.shape) > 0 and out.shape[2] * out.shape[3] <= 2500


@st.composite
def _blocks(draw: st.DrawFn, channels: int) -> tuple[nn.Module, int]:
    kind = draw(
        st.sampled_from(["conv", "conv", "conv", "pool", "transposed", "resize", "pad", "residual", "branches"])
    )
    if kind == "conv":
        return draw(convolutions(channels))
    if kind == "transposed":
        return draw(_transposed(channels)), channels
    if kind == "residual":
        return draw(_residual(channels)), channels
    if kind == "branches":
        return draw(_branches(channels))
    simple = {"pool": _pools(), "resize": _resizes(), "pad": _pads()}
    return draw(simple[kind]), channels


@st.composite
def convolutions(draw: st.DrawFn, channels: int) -> tuple[nn.Module, int]:
    """A convolution with normalisation and nonlinearity or without, and its number of output channels."""
    groups = draw(st.sampled_from([1, 1, channels]))
    filters = groups * draw(st.integers(1, 3))
    convolution = nn.Conv2d(
        channels,
        filters,
        draw(_KERNEL),
        stride=draw(st.tuples(st.integers(1, 3), st.integers(1, 3))),
        padding=draw(st.tuples(st.integers(0, 2), st.integers(0, 2))),
        dilation=draw(st.sampled_from([1, 1, 1, 2, (1, 3)])),
        groups=groups,
        bias=draw(st.booleans()),
    )
    parts: list[nn.Module] = [convolution]
    parts += [nn.BatchNorm2d(filters)] if draw(st.booleans()) else []
    parts += [nn.ReLU(inplace=draw(st.booleans()))] if draw(st.booleans()) else []
    return nn.Sequential(*parts), filters


@st.composite
def _pools(draw: st.DrawFn) -> nn.Module:
    kind = draw(st.sampled_from(["max", "average", "adaptive"]))
    if kind == "adaptive":
        return nn.AdaptiveAvgPool2d((draw(st.integers(2, 6)), draw(st.integers(2, 6))))
    kernel = draw(st.tuples(st.integers(2, 4), st.integers(2, 4)))
    stride = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    padding = (draw(st.integers(0, kernel[0] // 2)), draw(st.integers(0, kernel[1] // 2)))
    ceil = draw(st.booleans())
    if kind == "max":
        return nn.MaxPool2d(kernel, stride, padding, dilation=draw(st.sampled_from([1, 1, 2])), ceil_mode=ceil)
    return nn.AvgPool2d(kernel, stride, padding, ceil_mode=ceil, count_include_pad=draw(st.booleans()))


@st.composite
def _transposed(draw: st.DrawFn, channels: int) -> nn.Module:
    stride = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    kernel = draw(_KERNEL)
    padding = (draw(st.integers(0, kernel[0] - 1)), draw(st.integers(0, kernel[1] - 1)))
    extra = (draw(st.integers(0, stride[0] - 1)), draw(st.integers(0, stride[1] - 1)))
    groups = draw(st.sampled_from([1, channels]))
    dilation = draw(st.sampled_from([1, 1, 2]))
    return nn.ConvTranspose2d(channels, channels, kernel, stride, padding, extra, groups=groups, dilation=dilation)


@st.composite
def _resizes(draw: st.DrawFn) -> nn.Module:
    mode = draw(st.sampled_from(["nearest", "nearest-exact", "bilinear", "bicubic"]))
    factor = draw(st.sampled_from([2, 3, 1.5, 0.5]))
    corners = draw(st.booleans()) if mode in ("bilinear", "bicubic") else None
    return ResizeLayer(factor, mode, align_corners=corners)


@st.composite
def _pads(draw: st.DrawFn) -> nn.Module:
    if draw(st.booleans()):
        amounts = tuple(draw(st.integers(-2, 3)) for _ in range(4))
        return PadLayer((amounts[0], amounts[1], amounts[2], amounts[3]))
    amounts = tuple(draw(st.integers(0, 2)) for _ in range(4))
    mode = draw(st.sampled_from(["reflect", "replicate", "circular"]))
    return PadLayer((amounts[0], amounts[1], amounts[2], amounts[3]), mode)


@st.composite
def _residual(draw: st.DrawFn, channels: int) -> nn.Module:
    kernel = draw(st.sampled_from([1, 3, 5]))
    dilation = draw(st.sampled_from([1, 2]))
    block = nn.Sequential(
        nn.Conv2d(channels, channels, kernel, padding=(kernel - 1) // 2 * dilation, dilation=dilation),
        nn.BatchNorm2d(channels),
    )
    projection = nn.Conv2d(channels, channels, 1) if draw(st.booleans()) else None
    return Residual(block, projection)


@st.composite
def _branches(draw: st.DrawFn, channels: int) -> tuple[nn.Module, int]:
    count = draw(st.integers(2, 3))
    filters = [draw(st.integers(1, 2)) for _ in range(count)]
    kernels = [draw(st.sampled_from([1, 3, 5])) for _ in range(count)]
    blocks: list[nn.Module] = [
        nn.Sequential(nn.Conv2d(channels, width, kernel, padding=kernel // 2), nn.ReLU())
        for width, kernel in zip(filters, kernels, strict=True)
    ]
    if draw(st.booleans()):
        blocks.append(nn.MaxPool2d(3, 1, 1))
        filters.append(channels)
    return Branches(blocks), sum(filters)
