"""How is a network recomputed where something changed? Region by region, and wholly behind operators that read all.

For every position of a change and every value only the reached places are computed; unreached places come from the
values of the untouched image. An operator that reads whole maps ends the regional part: from there on the values of all
positions are computed in full, as one batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from featmap.geometry import Box, Interval, TransposedWindow, Window
from featmap.network.graph import Node, Reference, TensorSpec, Weight, map_arguments
from featmap.network.operators.call import Call
from featmap.network.operators.operator import NotResizable
from featmap.network.operators.resize import Interpolation, Padding
from featmap.network.sized import SizedGraph
from featmap.run.program import Program
from featmap.run.region.kernels import (
    Side,
    average_pooled,
    convolved,
    is_moving,
    maximum_pooled,
    mixed,
    shuffled,
    transposed,
)
from featmap.run.region.kinds import is_direct, is_regional, is_windowed
from featmap.run.region.matrices import axis_matrices
from featmap.run.region.means import mean_change, reduces_space
from featmap.run.region.patches import BORDER, Cached, Group, Layout, Patches
from featmap.run.region.reach import Reach
from featmap.run.region.spans import Indices, Spans
from featmap.run.steps import Step


@dataclass(eq=False)
class Dense:
    """A value computed in full for every position: images first, ordered by row position, then column position."""

    tensor: Any


State = Patches | Dense


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
        self.graph = program.graph
        self.sized = sized
        self.values = values
        self.boxes = boxes or {}
        self.last_read = last_read(program.steps)
        self._cached: dict[int, Cached] = {}
        self._layouts: dict[int, Layout] = {}

    def run(
        self,
        reach: Reach,
        row_positions: Sequence[int],
        column_positions: Sequence[int],
        image: Patches,
        target: int,
    ) -> State | None:
        """The target's value for the positions rows x columns; None where no change reaches it."""
        with torch.no_grad():
            found = _Pass(self, reach, row_positions, column_positions, image)
            return found.run({target}).get(target)

    def run_boxes(self, reach: Reach, image: Patches, wanted: set[int]) -> dict[int, State]:
        """Several values on their needed boxes, for a single position and nothing cached. Raises: NotRegional."""
        with torch.no_grad():
            return _Pass(self, reach, [0], [0], image).run(wanted)

    def cached(self, index: int) -> Cached | None:
        """The untouched places of a value."""
        if index not in self.values:
            return None
        if index not in self._cached:
            places = self.layout(index).to_places(self.values[index])[0].contiguous()
            box = self.boxes.get(index, Box(0, 0, places.shape[0], places.shape[1]))
            self._cached[index] = Cached(places, box)
        return self._cached[index]

    def layout(self, index: int) -> Layout:
        """Where a value's axes are."""
        if index not in self._layouts:
            axes, shape = self.sized.axes[index], self.sized.shape(index)
            others = tuple(size for axis, size in enumerate(shape) if axis not in (axes.batch, axes.row, axes.column))
            self._layouts[index] = Layout(axes, others)
        return self._layouts[index]


def last_read(steps: Sequence[Step]) -> list[list[int]]:
    """For every step the values that no later one reads, whether or not they are kept of the untouched image."""
    last = {index: at for at, step in enumerate(steps) for index in step.node.inputs}
    return [[index for index in dict.fromkeys(step.node.inputs) if last[index] == at] for at, step in enumerate(steps)]


class _Pass:
    """One run over the steps for some positions."""

    def __init__(
        self, engine: RegionEngine, reach: Reach, rows: Sequence[int], columns: Sequence[int], image: Patches
    ) -> None:
        self.engine = engine
        self.sized = engine.sized
        self.graph = engine.graph
        self.reach = reach
        self.row_positions = rows
        self.column_positions = columns
        self.states: dict[int, State] = {self.graph.image_input: image}

    @property
    def count(self) -> int:
        return len(self.row_positions) * len(self.column_positions)

    def run(self, wanted: set[int]) -> dict[int, State]:
        """The wanted values that a change reaches."""
        for at, step in enumerate(self.engine.program.steps):
            state = self._state(at, step)
            if state is not None:
                self.states[step.result] = state
            for index in self.engine.last_read[at]:
                if index not in wanted:
                    self.states.pop(index, None)
        return {index: state for index, state in self.states.items() if index in wanted}

    def _state(self, at: int, step: Step) -> State | None:
        changed = [index for index in dict.fromkeys(step.node.inputs) if index in self.states]
        if not changed:
            return None
        if step.result not in self.reach.needed and step.node.index not in self.reach.needed:
            return None
        if not any(isinstance(self.states[index], Dense) for index in changed):
            state = self._regional(step, changed)
            if state is not None:
                return state
        return self._dense(at, step)

    # Regions

    def _regional(self, step: Step, changed: list[int]) -> State | None:
        """The recomputed regions; None where this operator has to be computed in full."""
        call, operator = self.sized.call(step.node), self.sized.operator(step.node)
        patches = self.states[changed[0]]
        assert isinstance(patches, Patches)
        if reduces_space(call, operator) and step.result in self.engine.values:
            return Dense(self._mean(step, call, changed[0], patches))
        index = step.node.index
        if not is_regional(self.sized, index):
            return None
        if is_direct(self.sized, index):
            return self._direct(step, patches)
        if is_windowed(self.sized, index):
            return self._windowed(step, call, operator, changed[0], patches)
        return self._merged(step)

    def _direct(self, step: Step, patches: Patches) -> Patches | None:
        try:
            values = {group: self._apply(step, value) for group, value in patches.values.items()}
        except NotResizable:
            return None
        return Patches(patches.rows, patches.columns, values, self._layout(step))

    def _layout(self, step: Step) -> Layout | None:
        spec = self.sized.specs[step.result]
        return self.engine.layout(step.result) if isinstance(spec, TensorSpec) else None

    def _apply(self, step: Step, value: Any) -> Any:
        program, node = self.engine.program, step.node
        bound = program.bound[node.index]
        if bound is not None:
            settings = program.settings[node.index]
            if settings.transposed:
                return torch.conv_transpose2d(value, *bound, groups=settings.groups)
            return torch.conv2d(value, *bound, groups=settings.groups)
        if node.base_name.startswith(("adaptive", "upsample", "_upsample")):
            # To the size that it has already: run on a patch it would give another size.
            return value
        args, kwargs = self._arguments(node, value)

        def tensor(leaf: Reference | Weight) -> Any:
            if isinstance(leaf, Reference) and leaf.index in self.states:
                return value
            return program.constants.leaf(leaf)

        target = step.target
        return target(*map_arguments(args, tensor), **{name: map_arguments(v, tensor) for name, v in kwargs.items()})

    def _arguments(self, node: Node, value: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The call's arguments for a patch in place of the whole map."""
        operator = self.sized.operator(node)
        if operator.kind != "shape" or not isinstance(value, Tensor):
            return node.args, node.kwargs
        specs = list(self.sized.specs)
        index = next(index for index in node.inputs if index in self.states)
        specs[index] = TensorSpec(tuple(value.shape), value.dtype)
        return operator.resized(Call(self.graph, node, specs, self.sized.axes))

    def _windowed(self, step: Step, call: Call, operator: Any, source: int, patches: Patches) -> Patches | None:
        row_rule, column_rule = operator.rules(call, next(o for o in call.operands if o.index == source))
        if step.node.base_name == "pixel_shuffle":
            row_rule = column_rule = TransposedWindow(call["upscale_factor"], call["upscale_factor"])
        compute = self._kernel(step, call, operator, row_rule, column_rule)
        if compute is None:
            return None
        rows, columns = self._spans(step.result)
        height, width = self.sized.size(source)
        out_height, out_width = self.sized.size(step.result)
        table = patches.table(self.engine.cached(source))
        layout = self.engine.layout(step.result)
        values: dict[Group, Any] = {}
        for group, row_members, column_members in _groups(rows, columns):
            row_side = Side(row_rule, rows.starts[row_members], rows.widths[group[0]], height, out_height)
            column_side = Side(column_rule, columns.starts[column_members], columns.widths[group[1]], width, out_width)
            row_sources, column_sources = row_side.sources(), column_side.sources()
            places = table.gather(
                row_members, row_sources, column_members, column_sources, lowest=_pools_maximum(step.node)
            )
            made = compute(places, row_side, column_side)
            values[group] = layout.from_places(made.permute(0, 2, 3, 1))
        return Patches(rows, columns, values, layout)

    def _kernel(self, step: Step, call: Call, operator: Any, row_rule: Any, column_rule: Any) -> Any:
        """The function of (places, row side, column side) that computes (image, channel, row, column)."""
        node, program = step.node, self.engine.program
        if operator.is_convolution:
            bound, settings = program.bound[node.index], program.settings.get(node.index)
            if bound is None or settings is None or len(settings.kernel) != 2:
                return None
            if settings.transposed:
                return lambda places, rows, columns: transposed(places, *bound, settings, rows, columns)
            return lambda places, _rows, _columns: convolved(places, *bound, node, settings)
        if node.base_name == "pixel_shuffle":
            return lambda places, rows, columns: shuffled(places, call["upscale_factor"], rows, columns)
        if node.base_name == "pixel_unshuffle":
            factor = call["downscale_factor"]
            return lambda places, _rows, _columns: functional.pixel_unshuffle(places.permute(0, 3, 1, 2), factor)
        if isinstance(operator, Padding):
            return self._padding(call, row_rule, column_rule)
        if isinstance(row_rule, Window) and isinstance(column_rule, Window) and node.base_name.endswith("pool2d"):
            if _pools_maximum(node):
                return lambda places, _rows, _columns: maximum_pooled(places, row_rule, column_rule)
            divisor, counts = call.get("divisor_override"), bool(call.get("count_include_pad", True))
            return lambda places, rows, columns: average_pooled(places, rows, columns, divisor, counts_padding=counts)
        if is_moving(row_rule) and is_moving(column_rule):
            return lambda places, _rows, _columns: places.permute(0, 3, 1, 2)
        if isinstance(operator, Interpolation) or node.base_name == "adaptive_avg_pool2d":
            matrices = axis_matrices(self.sized, node)
            return lambda places, rows, columns: mixed(places, rows, columns, *matrices)
        return None

    def _padding(self, call: Call, row_rule: Any, column_rule: Any) -> Any:
        if not (is_moving(row_rule) and is_moving(column_rule)):
            return None
        fill = float(call.get("value") or 0)

        def padded(places: Tensor, rows: Side, columns: Side) -> Tensor:
            made = places.permute(0, 3, 1, 2)
            if fill:
                outside_rows, outside_columns = rows.sources() == BORDER, columns.sources() == BORDER
                outside = outside_rows[:, None, :, None] | outside_columns[None, :, None]
                mask = torch.from_numpy(outside).reshape(len(made), 1, *made.shape[2:]).to(made.device)
                made = made.masked_fill(mask, fill)
            return made

        return padded

    def _merged(self, step: Step) -> Patches:
        """A sum, product or concatenation: every operand gathered to the boxes of the result."""
        rows, columns = self._spans(step.result)
        layout = self.engine.layout(step.result)
        values: dict[Group, Any] = {}
        for group, row_members, column_members in _groups(rows, columns):
            gathered = {
                index: self._at(index, group, rows, columns, row_members, column_members)
                for index in dict.fromkeys(step.node.inputs)
                if self.graph[index].depends_on_input
            }
            values[group] = self._combine(step, gathered)
        return Patches(rows, columns, values, layout)

    def _combine(self, step: Step, gathered: dict[int, Tensor]) -> Any:
        constants = self.engine.program.constants

        def tensor(leaf: Reference | Weight) -> Any:
            if isinstance(leaf, Reference) and leaf.index in gathered:
                return gathered[leaf.index]
            return constants.leaf(leaf)

        node = step.node
        assert node.target is not None
        return node.target(
            *map_arguments(node.args, tensor), **{name: map_arguments(v, tensor) for name, v in node.kwargs.items()}
        )

    def _at(
        self, index: int, group: Group, rows: Spans, columns: Spans, row_members: Indices, column_members: Indices
    ) -> Tensor:
        """A value on the boxes of a group, from its patches and what was there before."""
        state = self.states.get(index)
        if isinstance(state, Patches) and state.rows.same_places(rows) and state.columns.same_places(columns):
            return state.values[group]
        patches = state if isinstance(state, Patches) else self._untouched(index)
        table = patches.table(self.engine.cached(index))
        row_places = rows.starts[row_members][:, None] + np.arange(rows.widths[group[0]])
        column_places = columns.starts[column_members][:, None] + np.arange(columns.widths[group[1]])
        places = table.gather(row_members, row_places, column_members, column_places)
        return self.engine.layout(index).from_places(places)

    def _untouched(self, index: int) -> Patches:
        """A value that no change reaches, as patches of which there are none."""
        rows, columns = (_no_spans(len(positions)) for positions in (self.row_positions, self.column_positions))
        return Patches(rows, columns, {}, self.engine.layout(index))

    def _spans(self, index: int) -> tuple[Spans, Spans]:
        return self.reach.rows[index].part(self.row_positions), self.reach.columns[index].part(self.column_positions)

    def _mean(self, step: Step, call: Call, source: int, patches: Patches) -> Tensor:
        cached = self.engine.cached(source)
        assert cached is not None
        before = self.engine.values[step.result]
        change = mean_change(patches, cached, self.count, len(self.column_positions))
        if call.node.base_name != "sum":
            height, width = self.sized.size(source)
            change = change / (height * width)
        return (before.double() + change.view(self.count, *before.shape[1:])).to(before.dtype)

    # Whole maps

    def _dense(self, at: int, step: Step) -> State:
        if not self.engine.values:
            raise NotRegional(step.node.operator)
        program = self.engine.program
        shape = (self.count, *self.sized.shape(self.graph.image_input)[1:])
        args, kwargs = program.arguments_for(shape)[at]
        full = {index: self._full(index) for index in dict.fromkeys(step.node.inputs) if self._is_variable(index)}
        return Dense(program.call_step(step, args, kwargs, full))

    def _is_variable(self, index: int) -> bool:
        return self.graph[index].depends_on_input

    def _full(self, index: int) -> Any:
        """A value in full for every position."""
        state = self.states.get(index)
        if isinstance(state, Dense):
            return state.tensor
        if state is None:
            value = self.engine.values[index]
            return value if self.count == 1 else value.expand(self.count, *value.shape[1:])
        made = self.whole(state, index)
        self.states[index] = Dense(made)
        return made

    def whole(self, patches: Patches, index: int) -> Tensor:
        """Patches laid over the untouched map, for every position."""
        height, width = self.sized.size(index)
        rows = np.broadcast_to(np.arange(height), (len(self.row_positions), height))
        columns = np.broadcast_to(np.arange(width), (len(self.column_positions), width))
        members = np.arange(len(self.row_positions)), np.arange(len(self.column_positions))
        places = patches.table(self.engine.cached(index)).gather(members[0], rows, members[1], columns)
        return self.engine.layout(index).from_places(places)


def _groups(rows: Spans, columns: Spans) -> list[tuple[Group, Indices, Indices]]:
    return [
        ((row, column), row_members, column_members)
        for row, row_members in enumerate(rows.members)
        for column, column_members in enumerate(columns.members)
    ]


def _no_spans(count: int) -> Spans:
    return Spans((Interval(0, 0),) * count, np.zeros(count, dtype=np.int64), np.full(count, -1, dtype=np.int64), ())


def _pools_maximum(node: Node) -> bool:
    return node.base_name.startswith("max_pool")
