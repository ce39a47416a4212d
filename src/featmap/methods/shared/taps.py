"""The input values and weights that meet in one value of a convolution.

Along each axis a list of taps: the input index (outside the map where it is on padding) and the kernel index. One
description serves plain, dilated, padded, grouped and transposed convolutions, one value or the whole matrix.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Shaped
from torch import Tensor

from featmap.geometry import TransposedWindow, Window


@dataclass(frozen=True, slots=True)
class Tap:
    """One meeting along an axis: this input index with this kernel index."""

    source: int
    kernel: int


def taps(rule: Window | TransposedWindow, output: int, size: int) -> tuple[Tap, ...]:
    """The taps of one output along an axis, in the order of the inputs.

    >>> taps(Window(3, 1, 1, 1), 0, 8)
    (Tap(source=-1, kernel=0), Tap(source=0, kernel=1), Tap(source=1, kernel=2))
    """
    sources = rule.sources(output, size)
    if isinstance(rule, Window):
        return tuple(Tap(source, index) for index, source in enumerate(sources))
    reach = output + rule.before
    return tuple(Tap(source, (reach - source * rule.stride) // rule.dilation) for source in sources)


def window_values(
    maps: Shaped[Tensor, " channel *place"], axes: Sequence[tuple[Tap, ...]]
) -> Shaped[Tensor, " channel *tap"]:
    """The input values under the window, one axis per list of taps; 0 where the window covers padding."""
    values = maps.new_zeros((maps.shape[0], *map(len, axes)))
    inside = [
        [(at, tap.source) for at, tap in enumerate(found) if 0 <= tap.source < size]
        for found, size in zip(axes, maps.shape[1:], strict=True)
    ]
    to, read = (open_mesh([[pair[end] for pair in pairs] for pairs in inside]) for end in (0, 1))
    values[(slice(None), *to)] = maps[(slice(None), *read)]
    return values


def kernel_values(
    kernels: Shaped[Tensor, " channel *kernel"], axes: Sequence[tuple[Tap, ...]]
) -> Shaped[Tensor, " channel *tap"]:
    """The weights that meet the window, one axis per list of taps; `kernels` are those of the input channels."""
    return kernels[(slice(None), *open_mesh([[tap.kernel for tap in found] for found in axes]))]


def open_mesh(axes: Sequence[Sequence[int] | Tensor]) -> list[Tensor]:
    """Indices that together name the product of what each axis names, as numpy's `ix_`."""
    count = len(axes)
    shapes = ((1,) * at + (-1,) + (1,) * (count - at - 1) for at in range(count))
    return [torch.as_tensor(axis, dtype=torch.long).view(shape) for axis, shape in zip(axes, shapes, strict=True)]
