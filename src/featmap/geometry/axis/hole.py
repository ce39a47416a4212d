"""The axis rule of a map that an operator keeps except for some rows or columns, which it overwrites."""

from __future__ import annotations

from dataclasses import dataclass

from featmap.geometry.axis.move import Slice
from featmap.geometry.axis.period import Period
from featmap.geometry.axis.rule import AxisRule
from featmap.geometry.index_set import IndexSet
from featmap.geometry.interval import EMPTY, Interval


@dataclass(frozen=True, slots=True)
class Outside(AxisRule):
    """Each output outside a slice reads the input of its own index; outputs in the slice read nothing.

    >>> [list(Outside(Slice(1, 3)).sources(output, 4)) for output in range(4)]
    [[0], [], [], [3]]
    """

    hole: Slice

    def output_size(self, size: int) -> int:
        return size

    def sources(self, output: int, size: int) -> range:
        return range(0) if output in self.hole.kept(size) else range(output, output + 1)

    def needed(self, outputs: Interval, size: int) -> Interval:
        read = [output for output in range(outputs.start, outputs.stop) if output not in self.hole.kept(size)]
        return Interval(read[0], read[-1] + 1) if read else EMPTY

    def affected(self, inputs: Interval, size: int) -> Interval:
        return self.needed(inputs.clip(size), size)

    def needed_set(self, outputs: IndexSet, size: int) -> IndexSet:
        return IndexSet(outputs.clip(size).mask & ~IndexSet.of(self.hole.kept(size)).mask)

    def period(self, size: int) -> Period | None:  # noqa: ARG002
        # The position of the hole is fixed relative to the map's borders.
        return None
