"""How does an operator run on patches that stay where they are? On each patch as if it were a map."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from featmap.network.graph import TensorSpec
from featmap.network.operators.call import Call
from featmap.network.operators.operator import NotResizable
from featmap.run.region.patches import Patches
from featmap.run.region.recomputation import Recomputation
from featmap.run.steps import Step

_RESHAPING = ("view", "_unsafe_view", "reshape", "unflatten", "flatten")


def direct(run: Recomputation, step: Step, source: int) -> Patches | None:
    """The patches of a value each place of which is computed from the same place; None where shapes forbid it."""
    patches = run.patches(source)
    try:
        values = {group: _computed(run, step, source, value) for group, value in patches.values.items()}
    except NotResizable:
        return None
    return Patches(patches.rows, patches.columns, values, run.layout(step.result))


def _computed(run: Recomputation, step: Step, source: int, value: Any) -> Any:
    program, node = run.program, step.node
    bound = program.bound[node.index]
    if bound is not None:
        settings = program.settings[node.index]
        convolution = torch.conv_transpose2d if settings.transposed else torch.conv2d
        return convolution(value, *bound, groups=settings.groups)
    if node.base_name.startswith(("adaptive", "upsample", "_upsample")):
        # To the size that it has already: run on a patch it would give another size.
        return value
    if run.sized.operator(node).kind != "shape" or not isinstance(value, Tensor):
        return run.call(step, {source: value})
    return _reshaped(run, step, source, value)


def _reshaped(run: Recomputation, step: Step, source: int, value: Tensor) -> Any:
    """An operator of shapes, whose arguments hold sizes of the whole map. Memory stays place by place."""
    name, layouts = step.node.base_name, (run.layout(source), run.layout(step.result))
    if name in _RESHAPING and layouts[0] is not None and layouts[1] is not None:
        return layouts[1].from_places(layouts[0].to_places(value))
    specs = list(run.sized.specs)
    specs[source] = TensorSpec(tuple(value.shape), value.dtype)
    call = Call(run.graph, step.node, specs, run.sized.axes)
    args, kwargs = run.sized.operator(step.node).resized(call)
    if name in ("clone", "contiguous"):
        kwargs = {**kwargs, "memory_format": torch.preserve_format}
    return run.call(step, {source: value}, args, kwargs)
