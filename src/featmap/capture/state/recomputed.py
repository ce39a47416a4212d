"""Attributes that a forward computes from its weights alone: every call writes the same, so they are not state.

The old weight_norm and spectral_norm of torch and its pruning set `conv.weight` anew before each call.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.fx import Node as FxNode
from torch.fx.experimental.proxy_tensor import get_proxy_mode, get_proxy_slot

from featmap.graph.schema import is_operator, plain_name, returns_view, schema_of

_KEEP_STATISTICS = ("batch_norm", "instance_norm")


def recorded_weights(root: nn.Module) -> tuple[tuple[Tensor, FxNode], ...]:
    """The module's parameters and buffers, with their nodes in the record that begins now."""
    pairs = ((weight, _recorded(weight)) for weight in _weights(root))
    return tuple((weight, node) for weight, node in pairs if node is not None)


def unreplaced(root: nn.Module, weights: tuple[tuple[Tensor, FxNode], ...]) -> frozenset[FxNode]:
    """The nodes of those weights that the forward put no others in the place of."""
    present = set(map(id, _weights(root)))
    return frozenset(node for weight, node in weights if id(weight) in present)


def _weights(root: nn.Module) -> Iterator[Tensor]:
    yield from root.parameters()
    yield from root.buffers()


def weights_alone(value: Tensor, weights: frozenset[FxNode]) -> bool:
    """Whether a tensor is made of these weights alone, as far as the forward is recorded now.

    False also where it cannot be told: of random numbers, constants, and what is written in place.
    """
    made = _recorded(value)
    behind = None if made is None else _behind(made, weights)
    return made is not None and behind is not None and behind.isdisjoint(_written(made))


def _recorded(value: Tensor) -> FxNode | None:
    """The node that makes a tensor in the record that is being made."""
    mode = get_proxy_mode()
    slot = None if mode is None else get_proxy_slot(value, mode.tracer, None)
    return None if slot is None else slot.proxy.node


def _behind(made: FxNode, weights: frozenset[FxNode]) -> set[FxNode] | None:
    """A node and all that it is computed from, down to the weights; None where that is anything else."""
    seen: set[FxNode] = set()
    waiting = [made]
    while waiting:
        node = waiting.pop()
        if node in seen:
            continue
        seen.add(node)
        if node not in weights:
            if not node.all_input_nodes or _is_random(node):
                return None
            waiting += node.all_input_nodes
    return seen


def _is_random(node: FxNode) -> bool:
    return is_operator(node.target) and torch.Tag.nondeterministic_seeded in node.target.tags  # type: ignore[union-attr]


def _written(made: FxNode) -> set[FxNode]:
    """The nodes whose values some operator of the record writes in place."""
    return {base for node in made.graph.nodes for value in _writes(node) for base in _bases(value)}


def _writes(node: FxNode) -> Iterator[FxNode]:
    if not is_operator(node.target):
        return
    arguments = schema_of(node.target).arguments
    keeps = plain_name(node.target) in _KEEP_STATISTICS
    for argument, value in zip(arguments, node.args, strict=False):
        is_written = argument.alias_info is not None and argument.alias_info.is_write
        if isinstance(value, FxNode) and (is_written or (keeps and argument.name.startswith("running_"))):
            yield value


def _bases(node: FxNode) -> Iterator[FxNode]:
    """A value and those in whose memory it may lie."""
    yield node
    while node.all_input_nodes and returns_view(node.target):
        node = node.all_input_nodes[0]
        yield node
