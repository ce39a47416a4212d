"""The input values and weights that meet in one value of a convolution.

Along each axis a list of taps: the input index (outside the map where it is on padding) and the kernel index. One
description serves plain, dilated, padded, grouped and transposed convolutions, one value or the whole matrix.
"""

from __future__ import annotations

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
    maps: Shaped[Tensor, "channel row column"], rows: tuple[Tap, ...], columns: tuple[Tap, ...]
) -> Shaped[Tensor, "channel height width"]:
    """The input values under the window, (channel, row, column); 0 where the window covers padding."""
    height, width = maps.shape[-2:]
    values = maps.new_zeros((maps.shape[0], len(rows), len(columns)))
    inside_rows = [(at, tap.source) for at, tap in enumerate(rows) if 0 <= tap.source < height]
    inside_columns = [(at, tap.source) for at, tap in enumerate(columns) if 0 <= tap.source < width]
    if inside_rows and inside_columns:
        to_rows, from_rows = (torch.tensor(part) for part in zip(*inside_rows, strict=True))
        to_columns, from_columns = (torch.tensor(part) for part in zip(*inside_columns, strict=True))
        values[:, to_rows[:, None], to_columns[None]] = maps[:, from_rows[:, None], from_columns[None]]
    return values


def kernel_values(
    kernels: Shaped[Tensor, "channel kernel_row kernel_column"], rows: tuple[Tap, ...], columns: tuple[Tap, ...]
) -> Shaped[Tensor, "channel height width"]:
    """The weights that meet the window, (channel, row, column); `kernels` is (channel, kernel row, kernel column)."""
    row_indices = torch.tensor([tap.kernel for tap in rows], dtype=torch.long)
    column_indices = torch.tensor([tap.kernel for tap in columns], dtype=torch.long)
    return kernels[:, row_indices[:, None], column_indices[None]]
