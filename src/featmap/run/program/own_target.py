"""The function that computes a node's value and leaves what it reads as it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from featmap.graph.graph import Node

_VIEWS = frozenset({"view", "_unsafe_view"})


def without_overwriting(node: Node) -> Callable[..., Any]:
    """The operator's function that leaves what it reads as it is."""
    assert node.target is not None
    if node.base_name in _VIEWS:
        # Values may lie in memory channels last, where a view of the captured order does not exist.
        return torch.ops.aten.reshape.default
    return _OTHERS.get(node.base_name, node.target)


def _copied(own: Tensor, source: Tensor, *, non_blocking: bool = False) -> Tensor:
    """What aten.copy returns, for which torch has no gradient: the source in the shape and type of what it replaces."""
    del non_blocking
    return source.to(own.dtype).expand_as(own).clone()


def _as_complex(pairs: Tensor) -> Tensor:
    """view_as_complex of values whose pairs need not lie side by side in memory."""
    return torch.view_as_complex(pairs.contiguous())


_OTHERS: dict[str, Callable[..., Any]] = {
    "copy": _copied,
    "view_as": torch.ops.aten.reshape_as.default,
    "view_as_complex": _as_complex,
}
