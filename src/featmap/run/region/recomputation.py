"""The state of one recomputation: the values that are known for some positions of a change."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int64, Shaped
from torch import Tensor

from featmap.geometry import Interval
from featmap.graph.graph import TensorSpec
from featmap.graph.operators.base.sides import Indices
from featmap.graph.sized_graph import SizedGraph
from featmap.run.program.program import Program
from featmap.run.program.steps import Step
from featmap.run.region.patches.patches import Group, Layout, Patches, Table
from featmap.run.region.patches.scratch import Scratch
from featmap.run.region.patches.spans import Spans
from featmap.run.region.reach import Reach
from featmap.run.region.untouched import Untouched


@dataclass(eq=False)
class Dense:
    """A value computed in full for every position: images first, ordered by row position, then column position."""

    tensor: Any


State = Patches | Dense


@dataclass(frozen=True, eq=False)
class Part:
    """The boxes of a value that are recomputed as one batch: positions of one height and one width."""

    group: Group
    row_members: Int64[Indices, " row_position"]
    column_members: Int64[Indices, " column_position"]
    row_starts: Int64[Indices, " row_position"]
    column_starts: Int64[Indices, " column_position"]
    height: int
    width: int

    @property
    def count(self) -> int:
        return len(self.row_members) * len(self.column_members)

    def gathered(self, table: Table, memory: Scratch) -> Shaped[Tensor, "image row column channel"]:
        """Another value at these very places: (image, row, column, channel)."""
        return table.gather(*self._places(), memory=memory)

    def gather_into(self, out: Tensor, channel: int, table: Table) -> None:
        """The same, into the channels of `out` from `channel` on."""
        table.gather_into(out, channel, *self._places())

    def _places(self) -> tuple[Indices, Indices, Indices, Indices]:
        rows = self.row_starts[:, None] + np.arange(self.height)
        columns = self.column_starts[:, None] + np.arange(self.width)
        return self.row_members, rows, self.column_members, columns


class Recomputation:
    """One run over the steps of a program for the positions rows x columns: the values recomputed so far."""

    def __init__(
        self,
        program: Program,
        untouched: Untouched,
        reach: Reach,
        rows: Sequence[int],
        columns: Sequence[int],
        image: Patches,
    ) -> None:
        self.program = program
        self.graph = program.graph
        self.untouched = untouched
        self.sized: SizedGraph = untouched.sized
        self.reach = reach
        self.row_positions = rows
        self.column_positions = columns
        self.memory = untouched.memory
        self.states: dict[int, State] = {self.graph.image_input: image}

    @property
    def count(self) -> int:
        """The number of positions."""
        return len(self.row_positions) * len(self.column_positions)

    def changed(self, step: Step) -> list[int]:
        """The values that a step reads and that a change reached."""
        read = (source for source, _ in self.sized.reads(step.node.index))
        return [index for index in dict.fromkeys(read) if index in self.states]

    def spans(self, index: int) -> tuple[Spans, Spans]:
        """The rows and columns of a value that are recomputed."""
        return self.reach.rows[index].part(self.row_positions), self.reach.columns[index].part(self.column_positions)

    def patches(self, index: int) -> Patches:
        """The recomputed parts of a value, of which there are none where no change reaches it."""
        state = self.states.get(index)
        if isinstance(state, Patches):
            return state
        rows, columns = (no_spans(len(positions)) for positions in (self.row_positions, self.column_positions))
        return Patches(rows, columns, {}, self.untouched.layout(index))

    def table(self, index: int) -> Table:
        """The rows from which places of a value are gathered."""
        return self.patches(index).table(self.untouched.places(index))

    def layout(self, index: int) -> Layout | None:
        """Where a value's axes are; None for an operator that returns several values."""
        return self.untouched.layout(index) if isinstance(self.sized.specs[index], TensorSpec) else None


def parts(rows: Spans, columns: Spans) -> Iterator[Part]:
    """The boxes rows x columns, by height and width."""
    for row, row_members in enumerate(rows.members):
        for column, column_members in enumerate(columns.members):
            starts = rows.starts[row_members], columns.starts[column_members]
            yield Part((row, column), row_members, column_members, *starts, rows.widths[row], columns.widths[column])


def no_spans(count: int) -> Spans:
    """No recomputed place at any of so many positions."""
    return Spans((Interval(0, 0),) * count, np.zeros(count, dtype=np.int64), np.full(count, -1, dtype=np.int64), ())
