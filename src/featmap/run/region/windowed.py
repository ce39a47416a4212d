"""How does an operator run whose boxes read other ones? What they read is gathered, and computed without padding.

Each kind of operator has its kernel: a function of (places, row side, column side) that gives (image, channel, row,
column) of the boxes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from featmap.geometry import AxisRule, TransposedWindow, Window
from featmap.graph.graph import Node
from featmap.graph.operators.base.call import Call
from featmap.graph.operators.resize import Interpolation, Padding
from featmap.run.program.steps import Step
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
from featmap.run.region.matrices import axis_matrices
from featmap.run.region.patches.patches import BORDER, Group, Patches
from featmap.run.region.recomputation import Recomputation, parts

Kernel = Callable[[Tensor, Side, Side], Tensor]


def windowed(run: Recomputation, step: Step, source: int) -> Patches | None:
    """The patches of a value whose boxes read boxes of `source`; None where no kernel serves the operator."""
    row_rule, column_rule = _rules(run, step, source)
    compute = _kernel(run, step, row_rule, column_rule)
    if compute is None:
        return None
    rows, columns = run.spans(step.result)
    height, width = run.sized.size(source)
    out_height, out_width = run.sized.size(step.result)
    table, layout = run.table(source), run.untouched.layout(step.result)
    values: dict[Group, Any] = {}
    for part in parts(rows, columns):
        row_side = Side(row_rule, part.row_starts, part.height, height, out_height)
        column_side = Side(column_rule, part.column_starts, part.width, width, out_width)
        sources = row_side.sources(), column_side.sources()
        lowest = _pools_maximum(step.node)
        places = table.gather(
            part.row_members, sources[0], part.column_members, sources[1], memory=run.memory, lowest=lowest
        )
        values[part.group] = layout.from_places(compute(places, row_side, column_side).permute(0, 2, 3, 1))
    return Patches(rows, columns, values, layout)


def _rules(run: Recomputation, step: Step, source: int) -> tuple[AxisRule, AxisRule]:
    call, operator = run.sized.call(step.node), run.sized.operator(step.node)
    if step.node.base_name == "pixel_shuffle":
        factor = call["upscale_factor"]
        return TransposedWindow(factor, factor), TransposedWindow(factor, factor)
    return operator.rules(call, next(operand for operand in call.operands if operand.index == source))


def _kernel(run: Recomputation, step: Step, row_rule: AxisRule, column_rule: AxisRule) -> Kernel | None:
    call, operator, node = run.sized.call(step.node), run.sized.operator(step.node), step.node
    if operator.is_convolution:
        return _convolution(run, node)
    if node.base_name == "pixel_shuffle":
        return lambda places, rows, columns: shuffled(places, call["upscale_factor"], rows, columns)
    if node.base_name == "pixel_unshuffle":
        factor = call["downscale_factor"]
        return lambda places, _rows, _columns: functional.pixel_unshuffle(places.permute(0, 3, 1, 2), factor)
    if isinstance(operator, Padding):
        return _padding(call, row_rule, column_rule)
    if isinstance(row_rule, Window) and isinstance(column_rule, Window) and node.base_name.endswith("pool2d"):
        return _pool(call, row_rule, column_rule)
    if is_moving(row_rule) and is_moving(column_rule):
        return lambda places, _rows, _columns: places.permute(0, 3, 1, 2)
    if isinstance(operator, Interpolation) or node.base_name == "adaptive_avg_pool2d":
        matrices = axis_matrices(run.sized, node)
        return lambda places, rows, columns: mixed(places, rows, columns, *matrices)
    return None


def _convolution(run: Recomputation, node: Node) -> Kernel | None:
    bound, settings = run.program.bound[node.index], run.program.settings.get(node.index)
    if bound is None or settings is None or len(settings.kernel) != 2:
        return None
    if settings.transposed:
        return lambda places, rows, columns: transposed(places, *bound, settings, rows, columns)
    return lambda places, _rows, _columns: convolved(places, *bound, settings)


def _pool(call: Call, row_rule: Window, column_rule: Window) -> Kernel:
    if _pools_maximum(call.node):
        return lambda places, _rows, _columns: maximum_pooled(places, row_rule, column_rule)
    divisor, counts = call.get("divisor_override"), bool(call.get("count_include_pad", True))
    return lambda places, rows, columns: average_pooled(places, rows, columns, divisor, counts_padding=counts)


def _pools_maximum(node: Node) -> bool:
    return node.base_name.startswith("max_pool")


def _padding(call: Call, row_rule: AxisRule, column_rule: AxisRule) -> Kernel | None:
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
