"""Operators that combine several values: each is gathered to the boxes of the result."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from featmap.graph.operators.moving.cutting import Concatenate
from featmap.run.program.steps import Step
from featmap.run.region.patches.patches import Group, Layout, Patches
from featmap.run.region.recomputation import Part, Recomputation, parts


def merged(run: Recomputation, step: Step) -> Patches:
    """The patches of a sum, product or concatenation."""
    rows, columns = run.spans(step.result)
    layout = run.untouched.layout(step.result)
    operator, call = run.sized.operator(step.node), run.sized.call(step.node)
    joins = isinstance(operator, Concatenate) and operator.joins_channels(call)
    compute = _concatenated if joins else _combined
    values: dict[Group, Any] = {part.group: compute(run, step, part, layout) for part in parts(rows, columns)}
    return Patches(rows, columns, values, layout)


def _combined(run: Recomputation, step: Step, part: Part, _layout: Layout) -> Any:
    variable = [index for index in dict.fromkeys(step.node.inputs) if run.graph[index].depends_on_input]
    node = step.node
    return run.program.call_step(
        step, node.args, node.kwargs, {index: _at(run, step, index, part) for index in variable}
    )


def _at(run: Recomputation, step: Step, index: int, part: Part) -> Tensor:
    """A value on the boxes of the result, from its patches and what was there before."""
    if _lies_there(run, step, index):
        return run.patches(index).values[part.group]
    return run.untouched.layout(index).from_places(part.gathered(run.table(index), run.memory))


def _lies_there(run: Recomputation, step: Step, index: int) -> bool:
    """Whether the value's own boxes are those of the result."""
    patches, (rows, columns) = run.patches(index), run.spans(step.result)
    return patches.rows.same_places(rows) and patches.columns.same_places(columns)


def _concatenated(run: Recomputation, step: Step, part: Part, layout: Layout) -> Tensor:
    """Every operand gathered right to where its channels lie: no copy is made of copies."""
    operands = [leaf.index for leaf in step.node.args[0]]
    tables = {index: run.table(index) for index in operands}
    out = run.memory.empty((part.count, part.height, part.width, *layout.channels), tables[operands[0]].known)
    channel = 0
    for index in operands:
        part.gather_into(out, channel, tables[index])
        channel += tables[index].known.shape[-1]
    return layout.from_places(out)
