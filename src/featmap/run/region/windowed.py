"""Operators whose boxes read other ones: what they read is gathered, and computed without padding."""

from __future__ import annotations

from typing import Any

from featmap.graph.operators.base.regions import variable
from featmap.graph.operators.base.sides import Side
from featmap.run.program.steps import Step
from featmap.run.region.patches.patches import Group, Patches
from featmap.run.region.recomputation import Recomputation, parts


def windowed(run: Recomputation, step: Step) -> Patches:
    """The patches of a value whose boxes read boxes of the one value that depends on the input."""
    call, operator = run.sized.call(step.node), run.sized.operator(step.node)
    (operand,) = variable(call)
    windows, source = operator.windows(call, operand), operand.index
    assert windows is not None
    assert source is not None
    compute = windows.kernel(run.program.bound[step.node.index])
    rows, columns = run.spans(step.result)
    height, width = run.sized.size(source)
    out_height, out_width = run.sized.size(step.result)
    table, layout = run.table(source), run.untouched.layout(step.result)
    values: dict[Group, Any] = {}
    for part in parts(rows, columns):
        row_side = Side(windows.rows, part.row_starts, part.height, height, out_height)
        column_side = Side(windows.columns, part.column_starts, part.width, width, out_width)
        gathered = table.gather(
            part.row_members,
            row_side.sources(),
            part.column_members,
            column_side.sources(),
            memory=run.memory,
            lowest=windows.pads_lowest,
        )
        values[part.group] = layout.from_places(compute(gathered, row_side, column_side).permute(0, 2, 3, 1))
    return Patches(rows, columns, values, layout)
