"""How does each kind of operator run on gathered regions, with explicit borders?

A kernel gets the places that a group of output boxes reads and computes those boxes with padding 0. What it needs to
know of the geometry it asks the operator's own axis rules.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from featmap.geometry import AxisRule, Flip, Interval, Nearest, Pad, Pointwise, Repeat, Slice, TransposedWindow, Window
from featmap.run.region.patches.patches import BORDER
from featmap.run.region.patches.spans import Indices


@dataclass(frozen=True, eq=False)
class Side:
    """Along one axis the output boxes of a group: their first places, their common width, and the input's size."""

    rule: AxisRule
    starts: Indices
    width: int
    size: int
    outputs: int

    def sources(self) -> Indices:
        """The input indices (position, place) that the boxes read, `BORDER` outside the map."""
        if isinstance(self.rule, Window):
            first = self.starts * self.rule.stride - self.rule.before
            found = first[:, None] + np.arange((self.width - 1) * self.rule.stride + self.rule.span)
        elif isinstance(self.rule, TransposedWindow):
            found = self._own(self._longest() + 1)
        elif is_moving(self.rule):
            found = moved(self.rule, self.size, self.outputs)[self.starts[:, None] + np.arange(self.width)]
        else:
            found = self._own(self._longest())
        return np.where((found >= 0) & (found < self.size), found, BORDER)

    def firsts(self) -> Indices:
        """The first input index that each box reads."""
        return np.array([self._needed(start).start for start in self.starts.tolist()], dtype=np.int64)

    def _own(self, count: int) -> Indices:
        """`count` inputs from each box's first on; those that only other boxes need count as outside."""
        stops = np.array([self._needed(start).stop for start in self.starts.tolist()], dtype=np.int64)
        found = self.firsts()[:, None] + np.arange(count)
        return np.where(found < stops[:, None], found, BORDER)

    def _longest(self) -> int:
        return max(self._needed(start).size for start in self.starts.tolist())

    def _needed(self, start: int) -> Interval:
        return _needed(self.rule, start, start + self.width, self.size)


@lru_cache(maxsize=65536)
def _needed(rule: AxisRule, start: int, stop: int, size: int) -> Interval:
    return rule.needed(Interval(start, stop), size)


def is_moving(rule: AxisRule) -> bool:
    """Whether every output is one input, moved."""
    return isinstance(rule, Pointwise | Nearest | Pad | Slice | Flip | Repeat)


@lru_cache(maxsize=1024)
def moved(rule: AxisRule, size: int, outputs: int) -> Indices:
    """For every output the input that it is, `BORDER` where it is padding."""
    found = np.full(outputs, BORDER, dtype=np.int64)
    for output in range(outputs):
        sources = rule.sources(output, size)
        if len(sources) and 0 <= sources[0] < size:
            found[output] = sources[0]
    return found


def convolved(places: Tensor, weight: Tensor, bias: Tensor | None, settings: Any) -> Tensor:
    """A convolution without padding of gathered places."""
    maps = places.permute(0, 3, 1, 2)
    return torch.conv2d(maps, weight, bias, settings.stride, 0, settings.dilation, settings.groups)


def transposed(places: Tensor, weight: Tensor, bias: Tensor | None, settings: Any, rows: Side, columns: Side) -> Tensor:
    """A transposed convolution of gathered places, cut to the boxes: (image, channel, row, column)."""
    maps = places.permute(0, 3, 1, 2)
    full = functional.conv_transpose2d(maps, weight, bias, settings.stride, 0, 0, settings.groups, settings.dilation)
    row_at, column_at = (_offsets(side) for side in (rows, columns))
    needed = int(row_at.max()) + rows.width - full.shape[2], int(column_at.max()) + columns.width - full.shape[3]
    if max(needed) > 0:
        fill = functional.pad(full, (0, max(needed[1], 0), 0, max(needed[0], 0)))
        if bias is not None:
            fill[:, :, full.shape[2] :] = bias[:, None, None]
            fill[:, :, :, full.shape[3] :] = bias[:, None, None]
        full = fill
    return _cut(full, row_at, rows.width, column_at, columns.width)


def shuffled(places: Tensor, factor: int, rows: Side, columns: Side) -> Tensor:
    """A pixel shuffle of gathered places, cut to the boxes: it places as a transposed convolution does."""
    full = functional.pixel_shuffle(places.permute(0, 3, 1, 2), factor)
    return _cut(full, _offsets(rows), rows.width, _offsets(columns), columns.width)


def _offsets(side: Side) -> Indices:
    """Where in the full result of a transposed convolution each box begins."""
    assert isinstance(side.rule, TransposedWindow)
    return side.starts + side.rule.before - side.firsts() * side.rule.stride


def _cut(full: Tensor, row_at: Indices, height: int, column_at: Indices, width: int) -> Tensor:
    """From every image its own rows and columns; images are ordered by row position, then column position."""
    count = full.shape[0]
    row_index = torch.from_numpy(np.repeat(row_at, len(column_at))[:, None] + np.arange(height)).to(full.device)
    column_index = torch.from_numpy(np.tile(column_at, len(row_at))[:, None] + np.arange(width)).to(full.device)
    image = torch.arange(count, device=full.device)[:, None, None]
    places = full.permute(0, 2, 3, 1)[image, row_index[:, :, None], column_index[:, None, :]]
    return places.permute(0, 3, 1, 2)


def maximum_pooled(places: Tensor, rows: Window, columns: Window) -> Tensor:
    """A maximum pool without padding."""
    maps = places.permute(0, 3, 1, 2)
    kernel, stride = (rows.kernel, columns.kernel), (rows.stride, columns.stride)
    return functional.max_pool2d(maps, kernel, stride, 0, (rows.dilation, columns.dilation))


def average_pooled(places: Tensor, rows: Side, columns: Side, divisor: int | None, *, counts_padding: bool) -> Tensor:
    """An average pool without padding; every window is divided by as many places as the whole map's pool counts."""
    assert isinstance(rows.rule, Window)
    assert isinstance(columns.rule, Window)
    maps = places.permute(0, 3, 1, 2)
    kernel, stride = (rows.rule.kernel, columns.rule.kernel), (rows.rule.stride, columns.rule.stride)
    sums = functional.avg_pool2d(maps, kernel, stride, 0, divisor_override=divisor or 1)
    if divisor is not None:
        return sums
    heights, widths = (counts(side, counts_padding=counts_padding) for side in (rows, columns))
    factors = (
        heights.repeat_interleave(len(columns.starts), 0)[:, :, None] * widths.repeat(len(rows.starts), 1)[:, None]
    )
    return sums / factors[:, None].to(sums)


def counts(side: Side, *, counts_padding: bool) -> Tensor:
    """How many places of each window count, (position, output)."""
    rule = side.rule
    assert isinstance(rule, Window)
    outputs = side.starts[:, None] + np.arange(side.width)
    first = outputs * rule.stride - rule.before
    last = np.minimum(first + rule.kernel, side.size + rule.after)
    if not counts_padding:
        first, last = np.maximum(first, 0), np.minimum(last, side.size)
    return torch.from_numpy(last - first)


def mixed(places: Tensor, rows: Side, columns: Side, row_matrix: Tensor, column_matrix: Tensor) -> Tensor:
    """A separable linear operator (interpolation, adaptive average) given by one matrix (output, input) per axis."""
    left = _slices(rows, row_matrix).repeat_interleave(len(columns.starts), 0)
    right = _slices(columns, column_matrix).repeat(len(rows.starts), 1, 1)
    return torch.einsum("bor,brwc,bpw->bcop", left.to(places), places, right.to(places))


def _slices(side: Side, matrix: Tensor) -> Tensor:
    """The part of a matrix that each box needs: (position, output, place); 0 for places outside the map."""
    sources = side.sources()
    outputs = side.starts[:, None] + np.arange(side.width)
    taken = matrix[torch.from_numpy(outputs)[:, :, None], torch.from_numpy(np.maximum(sources, 0))[:, None]]
    return taken * torch.from_numpy(sources != BORDER)[:, None]
