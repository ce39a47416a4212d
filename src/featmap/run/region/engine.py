"""The region engine: a network recomputed where something changed, and in full behind operators that read all.

For every position of a change and every value only the reached places are computed; unreached places come from the
values of the untouched image. An operator that reads whole maps ends the regional part: from there on the values of all
positions are computed in full, as one batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from featmap.geometry import Box
from featmap.graph.operators.base.regions import Region
from featmap.graph.sized_graph import SizedGraph
from featmap.run.program.program import Program
from featmap.run.program.steps import Step
from featmap.run.region.direct import direct
from featmap.run.region.means import mean_change
from featmap.run.region.merged import merged
from featmap.run.region.patches.patches import Patches
from featmap.run.region.reach import Reach
from featmap.run.region.recomputation import Dense, Recomputation, State
from featmap.run.region.untouched import Untouched
from featmap.run.region.windowed import windowed


class NotRegional(Exception):
    """An operator on the way is computed from whole maps, where only boxes are known."""


class RegionEngine:
    """Recomputes the values of a program for changes of its image.

    `values` are those of the untouched image, by node, on the boxes `boxes` (the whole map where none is named).
    """

    def __init__(
        self, program: Program, sized: SizedGraph, values: Mapping[int, Tensor], boxes: Mapping[int, Box] | None = None
    ) -> None:
        self.program = program
        self.sized = sized
        self.untouched = Untouched(sized, values, boxes)
        self._last_read = _last_read(program.steps)

    def run(
        self,
        reach: Reach,
        row_positions: Sequence[int],
        column_positions: Sequence[int],
        image: Patches,
        target: int,
    ) -> State | None:
        """The target's value for the positions rows x columns; None where no change reaches it."""
        run = Recomputation(self.program, self.untouched, reach, row_positions, column_positions, image)
        return self._finished(run, {target}).get(target)

    def run_boxes(self, reach: Reach, image: Patches, wanted: set[int]) -> dict[int, State]:
        """Several values on their needed boxes, for a single position and nothing cached. Raises: NotRegional."""
        return self._finished(Recomputation(self.program, self.untouched, reach, [0], [0], image), wanted)

    def _finished(self, run: Recomputation, wanted: set[int]) -> dict[int, State]:
        """The wanted values that a change reaches."""
        with torch.no_grad():
            for at, step in enumerate(self.program.steps):
                state = self._state(run, at, step)
                if state is not None:
                    run.states[step.result] = state
                for index in self._last_read[at]:
                    if index not in wanted:
                        run.states.pop(index, None)
        return {index: state for index, state in run.states.items() if index in wanted}

    def _state(self, run: Recomputation, at: int, step: Step) -> State | None:
        changed = run.changed(step)
        needed = step.result in run.reach.needed or step.node.index in run.reach.needed
        if not changed or not needed:
            return None
        if not any(isinstance(run.states[index], Dense) for index in changed):
            state = self._regional(run, step, changed[0])
            if state is not None:
                return state
        return self._dense(run, at, step)

    def _regional(self, run: Recomputation, step: Step, source: int) -> State | None:
        """The recomputed regions; None where this operator has to be computed in full."""
        region = self.sized.region(step.node.index)
        if region == Region.MEAN and step.result in self.untouched.values:
            return Dense(self._mean(run, step, source))
        if region == Region.DIRECT:
            return direct(run, step, source)
        if region == Region.WINDOWED:
            return windowed(run, step)
        return merged(run, step) if region == Region.MERGED else None

    def _mean(self, run: Recomputation, step: Step, source: int) -> Tensor:
        places = self.untouched.places(source)
        assert places is not None
        before = self.untouched.values[step.result]
        factor = self.sized.operator(step.node).sums_map(self.sized.call(step.node))
        assert factor is not None
        change = factor * mean_change(run.patches(source), places, run.count, len(run.column_positions))
        return (before.double() + change.view(run.count, *before.shape[1:])).to(before.dtype)

    def _dense(self, run: Recomputation, at: int, step: Step) -> State:
        if not self.untouched.values:
            raise NotRegional(step.node.operator)
        shape = (run.count, *self.sized.shape(run.graph.image_input)[1:])
        args, kwargs = self.program.arguments_for(shape)[at]
        read = [index for index in dict.fromkeys(step.node.inputs) if run.graph[index].depends_on_input]
        return Dense(self.program.call_step(step, args, kwargs, {index: self._full(run, index) for index in read}))

    def _full(self, run: Recomputation, index: int) -> Any:
        """A value in full for every position."""
        state = run.states.get(index)
        if isinstance(state, Dense):
            return state.tensor
        if state is None:
            value = self.untouched.values[index]
            return value if run.count == 1 else value.expand(run.count, *value.shape[1:])
        made = self._laid_over(run, index)
        run.states[index] = Dense(made)
        return made

    def _laid_over(self, run: Recomputation, index: int) -> Tensor:
        """Patches laid over the untouched map, for every position."""
        height, width = self.sized.size(index)
        members = np.arange(len(run.row_positions)), np.arange(len(run.column_positions))
        rows = np.broadcast_to(np.arange(height), (len(members[0]), height))
        columns = np.broadcast_to(np.arange(width), (len(members[1]), width))
        places = run.table(index).gather(members[0], rows, members[1], columns, memory=run.memory)
        return self.untouched.layout(index).from_places(places)


def _last_read(steps: Sequence[Step]) -> list[list[int]]:
    """For every step the values that no later one reads, whether or not they are kept of the untouched image."""
    last = {index: at for at, step in enumerate(steps) for index in step.node.inputs}
    return [[index for index in dict.fromkeys(step.node.inputs) if last[index] == at] for at, step in enumerate(steps)]
