"""Operators that compute every position from the same position: each patch runs as if it were a map."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from featmap.graph.graph import TensorSpec
from featmap.graph.operators.base.call import Call
from featmap.graph.operators.base.operator import NotResizable
from featmap.run.program.program import Program
from featmap.run.program.steps import Step
from featmap.run.region.patches.patches import Patches
from featmap.run.region.recomputation import Recomputation
from featmap.run.region.untouched import Untouched


def direct(run: Recomputation, step: Step, source: int) -> Patches | None:
    """The patches of a value each place of which is computed from the same place; None where shapes forbid it."""
    patches = run.patches(source)
    try:
        values = {
            group: computed(run.program, run.untouched, step, source, value) for group, value in patches.values.items()
        }
    except NotResizable:
        return None
    return Patches(patches.rows, patches.columns, values, run.layout(step.result))


def computed(program: Program, untouched: Untouched, step: Step, source: int, value: Any) -> Any:
    """The operator's value on a patch of its source, both in their own order of axes. Raises: NotResizable."""
    node, sized = step.node, untouched.sized
    bound = program.bound[node.index]
    if bound is not None:
        settings = program.settings[node.index]
        convolution = torch.conv_transpose2d if settings.transposed else torch.conv2d
        return convolution(value, *bound, groups=settings.groups)
    if sized.operator(node).gives_size:
        # To the size that it has already: run on a patch it would give another size.
        return value
    if sized.operator(node).kind != "shape" or not isinstance(value, Tensor):
        return program.call_step(step, node.args, node.kwargs, {source: value})
    return _reshaped(program, untouched, step, source, value)


def _reshaped(program: Program, untouched: Untouched, step: Step, source: int, value: Tensor) -> Any:
    """An operator of shapes, whose arguments hold sizes of the whole map. Memory stays place by place."""
    sized = untouched.sized
    has_one_value = all(isinstance(sized.specs[index], TensorSpec) for index in (source, step.result))
    if sized.operator(step.node).keeps_order and has_one_value:
        return untouched.layout(step.result).from_places(untouched.layout(source).to_places(value))
    specs = list(sized.specs)
    specs[source] = TensorSpec(tuple(value.shape), value.dtype)
    args, kwargs = sized.operator(step.node).resized(Call(sized.graph, step.node, specs, sized.axes))
    return program.call_step(step, args, kwargs, {source: value})
