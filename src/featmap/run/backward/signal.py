"""What flows back into a value? For every unit a box of places, all boxes of one size; or a whole vector.

Boxes are not cut at the map's border while they are made, so that those of all units have one size; what lies outside
of the map is set to zero before anything is made of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from featmap.run.region.spans import Indices


@dataclass(frozen=True, eq=False)
class MapSignal:
    """Signals into a map: `values` (unit, channel, row, column), and where in the map each unit's box begins."""

    values: Tensor
    rows: Indices
    columns: Indices

    def __len__(self) -> int:
        return len(self.values)

    @property
    def height(self) -> int:
        return int(self.values.shape[2])

    @property
    def width(self) -> int:
        return int(self.values.shape[3])

    @property
    def same_for_all(self) -> bool:
        """Whether the boxes of all units begin at the same place."""
        return bool((self.rows == self.rows[0]).all() and (self.columns == self.columns[0]).all())

    def covers(self, size: tuple[int, int]) -> bool:
        """Whether every box is the whole map and nothing else."""
        return (self.height, self.width) == size and not self.rows.any() and not self.columns.any()

    def with_values(self, values: Tensor) -> MapSignal:
        """Other values at the same places."""
        return MapSignal(values, self.rows, self.columns)


@dataclass(frozen=True, eq=False)
class WholeSignal:
    """Signals into a value without rows and columns: `values` in the value's own order of axes, units as images."""

    values: Tensor

    def with_values(self, values: Tensor) -> WholeSignal:
        """Other values in their place."""
        return WholeSignal(values)


Signal: TypeAlias = MapSignal | WholeSignal


def summed(parts: Sequence[MapSignal], size: tuple[int, int]) -> MapSignal:
    """What flows into a map of this size from all its readers, cut to the map."""
    if len(parts) == 1:
        return cut(parts[0], size)
    rows, height = _hull([part.rows for part in parts], [part.height for part in parts])
    columns, width = _hull([part.columns for part in parts], [part.width for part in parts])
    first = max(parts, key=lambda part: part.height * part.width)
    if _lies(first, rows, columns) and (first.height, first.width) == (height, width):
        total, others = first.values, [part for part in parts if part is not first]
        total = total if _is_own(total) else total.clone()
    else:
        shape = (len(first), first.values.shape[1], height, width)
        total = first.values.new_zeros(shape).contiguous(memory_format=torch.channels_last)
        others = list(parts)
    for part in others:
        _add(total, part, part.rows - rows, part.columns - columns)
    return cut(MapSignal(total, rows, columns), size)


def _is_own(values: Tensor) -> bool:
    """Whether the values can be written into: they are no broadcast view."""
    return all(stride or size == 1 for stride, size in zip(values.stride(), values.shape, strict=True))


def _hull(starts: list[Indices], sizes: list[int]) -> tuple[Indices, int]:
    first = np.minimum.reduce(starts)
    last = np.maximum.reduce([start + size for start, size in zip(starts, sizes, strict=True)])
    return first, int((last - first).max())


def _lies(part: MapSignal, rows: Indices, columns: Indices) -> bool:
    return np.array_equal(part.rows, rows) and np.array_equal(part.columns, columns)


def _add(total: Tensor, part: MapSignal, tops: Indices, lefts: Indices) -> None:
    """Adds a part at its own place for each unit; units with the same place at once."""
    places = np.stack([tops, lefts])
    for top, left in np.unique(places, axis=1).T.tolist():
        chosen = np.flatnonzero((tops == top) & (lefts == left))
        window = (slice(None), slice(top, top + part.height), slice(left, left + part.width))
        if len(chosen) == len(part):
            total[(slice(None), *window)] += part.values
        else:
            index = torch.from_numpy(chosen).to(total.device)
            total[(index, *window)] += part.values[index]


def cut(signal: MapSignal, size: tuple[int, int]) -> MapSignal:
    """The signal with what lies outside the map set to zero; on the whole map where the boxes are as large as that."""
    if signal.covers(size):
        return signal
    if signal.height >= size[0] or signal.width >= size[1]:
        signal = _resized(signal, size)
    outside_rows = _outside(signal.rows, signal.height, size[0])
    outside_columns = _outside(signal.columns, signal.width, size[1])
    if not outside_rows.any() and not outside_columns.any():
        return signal
    keep_rows = torch.from_numpy(~outside_rows)[:, None, :, None]
    keep_columns = torch.from_numpy(~outside_columns)[:, None, None, :]
    keep = (keep_rows & keep_columns).to(signal.values.device)
    return signal.with_values(torch.where(keep, signal.values, 0.0))


def _outside(starts: Indices, count: int, size: int) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    places = starts[:, None] + np.arange(count)
    return (places < 0) | (places >= size)


def _resized(signal: MapSignal, size: tuple[int, int]) -> MapSignal:
    """The axes along which boxes are as large as the map, on the whole map."""
    height = size[0] if signal.height >= size[0] else signal.height
    width = size[1] if signal.width >= size[1] else signal.width
    rows = np.zeros_like(signal.rows) if height == size[0] else signal.rows
    columns = np.zeros_like(signal.columns) if width == size[1] else signal.columns
    return moved(signal, rows, columns, height, width)


def moved(signal: MapSignal, rows: Indices, columns: Indices, height: int, width: int) -> MapSignal:
    """The same signal on other boxes: zero where it had no place, cut off where they have none."""
    if _lies(signal, rows, columns) and (signal.height, signal.width) == (height, width):
        return signal
    shape = (len(signal), signal.values.shape[1], height, width)
    made = signal.values.new_zeros(shape).contiguous(memory_format=torch.channels_last)
    tops, lefts = signal.rows - rows, signal.columns - columns
    for top, left in np.unique(np.stack([tops, lefts]), axis=1).T.tolist():
        chosen = torch.from_numpy(np.flatnonzero((tops == top) & (lefts == left))).to(made.device)
        to_rows, from_rows = _overlap(top, signal.height, height)
        to_columns, from_columns = _overlap(left, signal.width, width)
        made[chosen, :, to_rows, to_columns] = signal.values[chosen, :, from_rows, from_columns]
    return MapSignal(made, rows, columns)


def _overlap(offset: int, source: int, target: int) -> tuple[slice, slice]:
    """Where `source` places laid at `offset` meet `target` places: in the target, and in the source."""
    first, last = max(offset, 0), max(min(offset + source, target), max(offset, 0))
    return slice(first, last), slice(first - offset, last - offset)


def on_whole_map(signal: MapSignal, size: tuple[int, int]) -> MapSignal:
    """The signal on the whole map."""
    if signal.covers(size):
        return signal
    zeros = np.zeros_like(signal.rows)
    return moved(signal, zeros, zeros, *size)
