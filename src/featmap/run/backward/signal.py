"""Signals into a value: for every unit a box of positions, all boxes of one size; or a whole vector.

Boxes are not cut at the map's border while they are made, so that those of all units have one size; what lies outside
of the map is set to zero before anything is made of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Int64, Shaped
from torch import Tensor

from featmap.geometry import AxisRule
from featmap.graph.operators.base.sides import Indices, Side

Sides = tuple[Side, Side]


@dataclass(frozen=True, eq=False)
class Boxes:
    """A box of a map for every unit: where it begins, and the rows and columns that all of them have."""

    rows: Int64[Indices, " unit"]
    columns: Int64[Indices, " unit"]
    height: int
    width: int

    @property
    def same_for_all(self) -> bool:
        """Whether the boxes of all units begin at the same place."""
        return bool((self.rows == self.rows[0]).all() and (self.columns == self.columns[0]).all())

    def covers(self, size: tuple[int, ...]) -> bool:
        """Whether every box is the whole map and nothing else."""
        return (self.height, self.width) == size and not self.rows.any() and not self.columns.any()

    def is_same(self, other: Boxes) -> bool:
        """Whether both are the very same boxes."""
        begins = np.array_equal(self.rows, other.rows) and np.array_equal(self.columns, other.columns)
        return begins and (self.height, self.width) == (other.height, other.width)

    @property
    def union(self) -> Boxes:
        """One box that holds those of all units."""
        top, left = self.rows.min(keepdims=True), self.columns.min(keepdims=True)
        height = int(self.rows.max() - top[0]) + self.height
        return Boxes(top, left, height, int(self.columns.max() - left[0]) + self.width)

    def sides(self, rows: AxisRule, columns: AxisRule, size: tuple[int, ...], outputs: tuple[int, ...]) -> Sides:
        """The rows and columns as outputs of an operator that reads a map of `size`."""
        down = Side(rows, self.rows, self.height, size[0], outputs[0])
        return down, Side(columns, self.columns, self.width, size[1], outputs[1])

    def hull(self, others: Sequence[Boxes]) -> Boxes:
        """For every unit a box that holds its boxes here and there."""
        every = (self, *others)
        rows = np.minimum.reduce([boxes.rows for boxes in every])
        columns = np.minimum.reduce([boxes.columns for boxes in every])
        bottoms = np.maximum.reduce([boxes.rows + boxes.height for boxes in every])
        rights = np.maximum.reduce([boxes.columns + boxes.width for boxes in every])
        return Boxes(rows, columns, int((bottoms - rows).max()), int((rights - columns).max()))


@dataclass(frozen=True, eq=False)
class MapSignal:
    """Signals into a map: `values` (unit, channel, row, column) on a box for each unit.

    `is_fresh` says that nobody else holds the values, so that they may be written over.
    """

    values: Shaped[Tensor, "unit channel row column"]
    boxes: Boxes
    is_fresh: bool = False

    def __len__(self) -> int:
        return len(self.values)

    def with_values(self, values: Shaped[Tensor, "unit channel row column"], *, is_fresh: bool = True) -> MapSignal:
        """Other values at the same places."""
        return MapSignal(values, self.boxes, is_fresh)

    @property
    def shared(self) -> MapSignal:
        """The same for several holders."""
        return MapSignal(self.values, self.boxes)


@dataclass(frozen=True, eq=False)
class WholeSignal:
    """Signals into a value without rows and columns: `values` in the value's own order of axes, units as images."""

    values: Shaped[Tensor, "*axes"]

    @property
    def is_fresh(self) -> bool:
        """Whether nobody else holds the values."""
        return False

    def with_values(self, values: Shaped[Tensor, "*axes"], *, is_fresh: bool = True) -> WholeSignal:  # noqa: ARG002
        """Other values in their place."""
        return WholeSignal(values)


Signal: TypeAlias = MapSignal | WholeSignal


def signal_at(
    values: Shaped[Tensor, "unit channel row column"],
    rows: Int64[Indices, " unit"],
    columns: Int64[Indices, " unit"],
    *,
    is_fresh: bool = False,
) -> MapSignal:
    """Values whose boxes begin at these rows and columns."""
    return MapSignal(values, Boxes(rows, columns, int(values.shape[2]), int(values.shape[3])), is_fresh)


def summed(parts: Sequence[MapSignal], size: tuple[int, ...]) -> MapSignal:
    """What flows into a map of this size from all its readers, cut to the map. The parts are left as they are."""
    first, *others = parts
    if not others:
        return cut(first, size)
    boxes = first.boxes.hull([other.boxes for other in others])
    laid = moved(first, boxes)
    total = laid.values if laid.is_fresh else laid.values.clone()
    for other in others:
        _add(total, other, other.boxes.rows - boxes.rows, other.boxes.columns - boxes.columns)
    return cut(MapSignal(total, boxes, is_fresh=True), size)


def _add(total: Tensor, part: MapSignal, tops: Indices, lefts: Indices) -> None:
    """Adds a part at its own place for each unit; units with the same place at once."""
    for top, left, chosen in _alike(tops, lefts):
        down, across = slice(top, top + part.boxes.height), slice(left, left + part.boxes.width)
        if len(chosen) == len(part):
            total[:, :, down, across] += part.values
        else:
            index = torch.from_numpy(chosen).to(total.device)
            total[index, :, down, across] += part.values[index]


def _alike(tops: Indices, lefts: Indices) -> Iterator[tuple[int, int, Indices]]:
    """The places that occur, and the units at each."""
    for top, left in np.unique(np.stack([tops, lefts]), axis=1).T.tolist():
        yield top, left, np.flatnonzero((tops == top) & (lefts == left))


def cut(signal: MapSignal, size: tuple[int, ...]) -> MapSignal:
    """The signal with what lies outside the map set to zero; on the whole map where the boxes are as large as that."""
    signal = moved(signal, _at_most(signal.boxes, size))
    above, below = _outside(signal.boxes.rows, signal.boxes.height, size[0])
    left, right = _outside(signal.boxes.columns, signal.boxes.width, size[1])
    sticking_out = np.flatnonzero(above + below + left + right)
    if not len(sticking_out):
        return signal
    values = signal.values if signal.is_fresh else signal.values.clone()
    height, width = values.shape[2:]
    # Only few units reach over a border: a mask over all of them would cost more than their filters.
    for unit in sticking_out.tolist():
        of_unit = values[unit]
        if above[unit]:
            of_unit[:, : above[unit]] = 0.0
        if below[unit]:
            of_unit[:, height - below[unit] :] = 0.0
        if left[unit]:
            of_unit[:, :, : left[unit]] = 0.0
        if right[unit]:
            of_unit[:, :, width - right[unit] :] = 0.0
    return signal.with_values(values)


def _outside(starts: Indices, count: int, size: int) -> tuple[Indices, Indices]:
    """How many places of each unit's box lie before the map, and how many behind it."""
    return np.clip(-starts, 0, count), np.clip(starts + count - size, 0, count)


def _at_most(boxes: Boxes, size: tuple[int, ...]) -> Boxes:
    """The boxes, but the map's own rows or columns where they have as many."""
    rows, height = (np.zeros_like(boxes.rows), size[0]) if boxes.height >= size[0] else (boxes.rows, boxes.height)
    columns, width = (np.zeros_like(boxes.columns), size[1]) if boxes.width >= size[1] else (boxes.columns, boxes.width)
    return Boxes(rows, columns, height, width)


def moved(signal: MapSignal, boxes: Boxes) -> MapSignal:
    """The same signal on other boxes: zero where it had no place, cut off where they have none."""
    if signal.boxes.is_same(boxes):
        return signal
    shape = (len(signal), signal.values.shape[1], boxes.height, boxes.width)
    made = blank(shape, signal.values)
    tops, lefts = signal.boxes.rows - boxes.rows, signal.boxes.columns - boxes.columns
    for top, left, chosen in _alike(tops, lefts):
        to_rows, from_rows = _overlap(top, signal.boxes.height, boxes.height)
        to_columns, from_columns = _overlap(left, signal.boxes.width, boxes.width)
        if len(chosen) == len(signal):
            made[:, :, to_rows, to_columns] = signal.values[:, :, from_rows, from_columns]
        else:
            index = torch.from_numpy(chosen).to(made.device)
            made[index, :, to_rows, to_columns] = signal.values[index][:, :, from_rows, from_columns]
    return MapSignal(made, boxes, is_fresh=True)


def blank(shape: tuple[int, ...], like: Tensor) -> Tensor:
    """Zeros, laid out channels last."""
    made = torch.empty(shape, dtype=like.dtype, device=like.device, memory_format=torch.channels_last)
    return made.zero_()


def _overlap(offset: int, source: int, target: int) -> tuple[slice, slice]:
    """Where `source` places laid at `offset` meet `target` places: in the target, and in the source."""
    first, last = max(offset, 0), max(min(offset + source, target), max(offset, 0))
    return slice(first, last), slice(first - offset, last - offset)


def on_whole_map(signal: MapSignal, size: tuple[int, ...]) -> MapSignal:
    """The signal on the whole map."""
    zeros = np.zeros_like(signal.boxes.rows)
    return moved(signal, Boxes(zeros, zeros, size[0], size[1]))
