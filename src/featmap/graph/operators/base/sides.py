"""The side of a group of output boxes along one axis: which inputs they read, and which inputs an output is."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from featmap.geometry import AxisRule, Flip, Interval, Nearest, Pad, Pointwise, Repeat, Slice, TransposedWindow, Window

Indices: TypeAlias = NDArray[np.int64]

BORDER = -1
"""A row or column outside the map."""


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


def offsets(side: Side) -> Indices:
    """Where in the full result of a transposed convolution each box begins."""
    assert isinstance(side.rule, TransposedWindow)
    return side.starts + side.rule.before - side.firsts() * side.rule.stride


def cut_boxes(full: Tensor, row_at: Indices, height: int, column_at: Indices, width: int) -> Tensor:
    """From every image its own rows and columns; images are ordered by row position, then column position."""
    count = full.shape[0]
    row_index = torch.as_tensor(np.repeat(row_at, len(column_at))[:, None] + np.arange(height)).to(full.device)
    column_index = torch.as_tensor(np.tile(column_at, len(row_at))[:, None] + np.arange(width)).to(full.device)
    image = torch.arange(count, device=full.device)[:, None, None]
    places = full.permute(0, 2, 3, 1)[image, row_index[:, :, None], column_index[:, None, :]]
    return places.permute(0, 3, 1, 2)
