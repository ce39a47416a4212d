"""Plainer operators for some calls: ReLU6 for a hardtanh, and others for those that use only a tensor's type.

The plainer operator reads only what is really read, and has the name that people know.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.fx import Node as FxNode

from featmap.graph.operators.base.call import by_name
from featmap.graph.schema import is_operator, plain_name

_FACTORIES = {"new_zeros": "zeros", "new_ones": "ones", "new_full": "full", "new_empty": "empty"}
Call = tuple[Any, tuple[Any, ...], dict[str, Any]]


def copied(node: FxNode) -> FxNode | None:
    """The source of a copy into a tensor of the same shape and type, which equals the copy; None for other calls."""
    if not is_operator(node.target) or plain_name(node.target) != "copy" or not isinstance(node.args[1], FxNode):
        return None
    source, made = node.args[1].meta["val"], node.meta["val"]
    is_same = (source.shape, source.dtype, source.device) == (made.shape, made.dtype, made.device)
    return node.args[1] if is_same else None


def plain_call(node: FxNode) -> Call:
    """Target and arguments of a call, or of a plainer operator where there is one."""
    name = plain_name(node.target) if is_operator(node.target) else ""
    if name == "hardtanh" and _bounds(node) == (0, 6):
        return torch.ops.aten.relu6.default, node.args[:1], {}
    if name == "type_as" or (name == "copy" and _is_cast(node)):
        return torch.ops.aten.to.dtype, (node.args[name == "copy"], node.meta["val"].dtype), {}
    if name in _FACTORIES:
        made = node.meta["val"]
        target = getattr(torch.ops.aten, _FACTORIES[name])
        given = by_name(node.target, node.args, node.kwargs)
        values = (given["fill_value"],) if name == "new_full" else ()
        overload = "memory_format" if name == "new_empty" else "default"
        settings = {"dtype": made.dtype, "device": made.device}
        return getattr(target, overload), (given["size"], *values), settings
    return node.target, node.args, node.kwargs


def _bounds(node: FxNode) -> tuple[Any, Any]:
    """The bounds of a hardtanh."""
    given = by_name(node.target, node.args, node.kwargs)
    return given["min_val"], given["max_val"]


def _is_cast(node: FxNode) -> bool:
    """Whether a copy changes the type of its source and nothing else."""
    source = node.args[1]
    return isinstance(source, FxNode) and source.meta["val"].shape == node.meta["val"].shape
