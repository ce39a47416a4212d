"""Hypothesis strategies for random networks: every kind of window, residual sums, concatenations, unequal sides.

Networks on pictures, signals and volumes: with two axes of maps, one or three.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import torch
from hypothesis import assume
from hypothesis import strategies as st
from torch import nn

from featmap.testing.modules import Branches, PadLayer, Residual, ResizeLayer

Sides = tuple[int, ...]
"""A number for each axis of maps."""

CONVOLUTIONS: dict[int, type[nn.Module]] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
_TRANSPOSED: dict[int, type[nn.Module]] = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
_NORMS: dict[int, type[nn.Module]] = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
_MAXIMUM: dict[int, type[nn.Module]] = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}
_AVERAGE: dict[int, type[nn.Module]] = {1: nn.AvgPool1d, 2: nn.AvgPool2d, 3: nn.AvgPool3d}
_ADAPTIVE: dict[int, type[nn.Module]] = {1: nn.AdaptiveAvgPool1d, 2: nn.AdaptiveAvgPool2d, 3: nn.AdaptiveAvgPool3d}
_SMOOTH = {1: ("linear",), 2: ("bilinear", "bicubic"), 3: ("trilinear",)}
_SIZES = {1: (7, 40), 2: (7, 18), 3: (5, 8)}
_MOST_PLACES = 2500


@dataclass(frozen=True)
class RandomNetwork:
    """A module and the shape of the images that it takes: (channel, row, column), (channel, position) of signals."""

    module: nn.Module
    input_shape: tuple[int, ...]


@st.composite
def networks(draw: st.DrawFn, max_blocks: int = 4, axes: int = 2) -> RandomNetwork:
    """A network of one to `max_blocks` blocks in float64 that torch itself runs without an error.

    `axes`: those of its maps, 1 of signals, 2 of pictures, 3 of volumes.
    """
    channels = draw(st.sampled_from([1, 3, 5] if axes < 3 else [1, 2]))
    shape = (channels, *draw(_sides(axes, *_SIZES[axes])))
    blocks: list[nn.Module] = []
    for _ in range(draw(st.integers(1, max_blocks))):
        block, channels = draw(_blocks(channels, axes))
        blocks.append(block)
    module = nn.Sequential(*blocks).double().eval()
    # Padding alone does not say over which axes it works.
    assume(axes == 2 or not all(isinstance(block, PadLayer) for block in blocks))
    assume(_runs(module, shape))
    return RandomNetwork(module, shape)


def any_networks(max_blocks: int = 4) -> st.SearchStrategy[RandomNetwork]:
    """Networks on signals, pictures and volumes."""
    return st.sampled_from([1, 2, 3]).flatmap(lambda axes: networks(max_blocks, axes))


def _runs(module: nn.Module, shape: tuple[int, ...]) -> bool:
    try:
        with torch.no_grad():
            out = module(torch.zeros(1, *shape, dtype=torch.float64))
    except RuntimeError:
        return False
    return min(out.shape) > 0 and prod(out.shape[2:]) <= _MOST_PLACES


def _sides(axes: int, low: int, high: int) -> st.SearchStrategy[Sides]:
    return st.tuples(*[st.integers(low, high)] * axes)


@st.composite
def _up_to(draw: st.DrawFn, most: Sides) -> Sides:
    """A number for each axis, from 0 to at most that of the axis."""
    return tuple(draw(st.integers(0, side)) for side in most)


@st.composite
def _blocks(draw: st.DrawFn, channels: int, axes: int) -> tuple[nn.Module, int]:
    kind = draw(
        st.sampled_from(["conv", "conv", "conv", "pool", "transposed", "resize", "pad", "residual", "branches"])
    )
    if kind == "conv":
        return draw(convolutions(channels, axes))
    if kind == "transposed":
        return draw(_transposed(channels, axes)), channels
    if kind == "residual":
        return draw(_residual(channels, axes)), channels
    if kind == "branches":
        return draw(_branches(channels, axes))
    simple = {"pool": _pools(axes), "resize": _resizes(axes), "pad": _pads(axes)}
    return draw(simple[kind]), channels


@st.composite
def convolutions(draw: st.DrawFn, channels: int, axes: int = 2) -> tuple[nn.Module, int]:
    """A convolution with normalisation and nonlinearity or without, and its number of output channels."""
    groups = draw(st.sampled_from([1, 1, channels]))
    filters = groups * draw(st.integers(1, 3))
    uneven = (1, *[3] * (axes - 1))
    convolution = CONVOLUTIONS[axes](
        channels,
        filters,
        draw(_sides(axes, 1, 4)),
        stride=draw(_sides(axes, 1, 3)),
        padding=draw(_sides(axes, 0, 2)),
        dilation=draw(st.sampled_from([1, 1, 1, 2, uneven])),
        groups=groups,
        bias=draw(st.booleans()),
    )
    parts: list[nn.Module] = [convolution]
    parts += [_NORMS[axes](filters)] if draw(st.booleans()) else []
    parts += [nn.ReLU(inplace=draw(st.booleans()))] if draw(st.booleans()) else []
    return nn.Sequential(*parts), filters


@st.composite
def _pools(draw: st.DrawFn, axes: int) -> nn.Module:
    kind = draw(st.sampled_from(["max", "average", "adaptive"]))
    if kind == "adaptive":
        return _ADAPTIVE[axes](draw(_sides(axes, 2, 6)))
    kernel = draw(_sides(axes, 2, 4))
    stride = draw(_sides(axes, 1, 3))
    padding = draw(_up_to(tuple(side // 2 for side in kernel)))
    ceil = draw(st.booleans())
    if kind == "max":
        return _MAXIMUM[axes](kernel, stride, padding, dilation=draw(st.sampled_from([1, 1, 2])), ceil_mode=ceil)
    return _AVERAGE[axes](kernel, stride, padding, ceil_mode=ceil, count_include_pad=draw(st.booleans()))


@st.composite
def _transposed(draw: st.DrawFn, channels: int, axes: int) -> nn.Module:
    stride = draw(_sides(axes, 1, 3))
    kernel = draw(_sides(axes, 1, 4))
    padding = draw(_up_to(tuple(side - 1 for side in kernel)))
    extra = draw(_up_to(tuple(side - 1 for side in stride)))
    groups = draw(st.sampled_from([1, channels]))
    dilation = draw(st.sampled_from([1, 1, 2]))
    return _TRANSPOSED[axes](channels, channels, kernel, stride, padding, extra, groups=groups, dilation=dilation)


@st.composite
def _resizes(draw: st.DrawFn, axes: int) -> nn.Module:
    mode = draw(st.sampled_from(["nearest", "nearest-exact", *_SMOOTH[axes]]))
    factor = draw(st.sampled_from([2, 3, 1.5, 0.5] if axes < 3 else [2, 1.5, 0.5]))
    corners = draw(st.booleans()) if mode in _SMOOTH[axes] else None
    return ResizeLayer(factor, mode, align_corners=corners)


@st.composite
def _pads(draw: st.DrawFn, axes: int) -> nn.Module:
    if draw(st.booleans()):
        return PadLayer(draw(_sides(2 * axes, -2, 3)))
    mode = draw(st.sampled_from(["reflect", "replicate", "circular"]))
    return PadLayer(draw(_sides(2 * axes, 0, 2)), mode)


@st.composite
def _residual(draw: st.DrawFn, channels: int, axes: int) -> nn.Module:
    kernel = draw(st.sampled_from([1, 3, 5]))
    dilation = draw(st.sampled_from([1, 2]))
    convolution = CONVOLUTIONS[axes]
    block = nn.Sequential(
        convolution(channels, channels, kernel, padding=(kernel - 1) // 2 * dilation, dilation=dilation),
        _NORMS[axes](channels),
    )
    projection = convolution(channels, channels, 1) if draw(st.booleans()) else None
    return Residual(block, projection)


@st.composite
def _branches(draw: st.DrawFn, channels: int, axes: int) -> tuple[nn.Module, int]:
    count = draw(st.integers(2, 3))
    filters = [draw(st.integers(1, 2)) for _ in range(count)]
    kernels = [draw(st.sampled_from([1, 3, 5])) for _ in range(count)]
    blocks: list[nn.Module] = [
        nn.Sequential(CONVOLUTIONS[axes](channels, width, kernel, padding=kernel // 2), nn.ReLU())
        for width, kernel in zip(filters, kernels, strict=True)
    ]
    if draw(st.booleans()):
        blocks.append(_MAXIMUM[axes](3, 1, 1))
        filters.append(channels)
    return Branches(blocks), sum(filters)
