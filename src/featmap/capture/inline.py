"""The inlining of inner graphs: parts of a model that run without gradients, or without autocast.

`torch.export` records `with torch.no_grad():` and `with torch.autocast(..., enabled=False):` as calls of inner graphs.
Neither changes a value here, so their operators replace the call; what leaves a block without gradients passes through
a detach, by which projections know that no gradient flows back. Enabled autocast changes what operators compute without
a trace in the graph; such a model is refused.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.export import ExportedProgram
from torch.fx import Graph, GraphModule
from torch.fx import Node as FxNode

from featmap.capture.gradient_record import MARK
from featmap.capture.value_sizes import where_of
from featmap.errors import CaptureRefused
from featmap.graph.schema import is_operator, plain_name, returns_view, schema_of

_GRADIENTS = "wrap_with_set_grad_enabled"
_AUTOCAST = "wrap_with_autocast"
WITHOUT_GRADIENTS = "featmap: without gradients"
"""The entry in an operator's `custom` metadata that says that it was in a block without gradients."""


def inline(program: ExportedProgram) -> None:
    """Inlines the operators of inner graphs into the program's own graph, which is changed.

    Raises: CaptureRefused: a part of the model runs under autocast.
    """
    while calls := [node for node in program.graph.nodes if _wrapped(node)]:
        for call in calls:
            _inline(program.graph_module, call)
        program.graph.eliminate_dead_code()


def check_no_inner_graphs(program: ExportedProgram) -> None:
    """Checks that there is one graph. Raises: CaptureRefused: it calls loops or branches that depend on values."""
    for node in program.graph.nodes:
        if node.op == "call_function" and isinstance(node.target, torch._ops.HigherOrderOperator):  # pyright: ignore[reportPrivateUsage]
            raise CaptureRefused(
                f"{where_of(node)} runs torch's '{node.target.__name__}', a loop or branch "
                "that depends on values, so the model is not a single graph.",
                "Decide it without looking at values (torch.where, masks, a fixed number of rounds), or trace the "
                "parts separately.",
            )


def _wrapped(node: FxNode) -> str:
    """The name of the wrapper where the node calls an inner graph."""
    name = getattr(node.target, "__name__", "") if node.op == "call_function" else ""
    return name if name in (_GRADIENTS, _AUTOCAST) else ""


def _inline(root: GraphModule, call: FxNode) -> None:
    settings = 1 if _wrapped(call) == _GRADIENTS else 4
    if settings > 1 and call.args[2]:
        raise CaptureRefused(
            f"The model runs a part of itself under autocast ({call.args[0]}, {call.args[1]}).",
            "Capture it without: the values that featmap shows are those of the module's own precision.",
        )
    holder: Any = call.args[settings]
    inner: Graph = getattr(root, holder.target).graph
    values: dict[FxNode, Any] = {}
    is_cut = settings == 1 and not call.args[0]
    arguments = iter(call.args[settings + 1 :])
    with root.graph.inserting_before(call):
        for node in inner.nodes:
            if node.op == "placeholder":
                values[node] = next(arguments)
            elif node.op == "output":
                written = _written_from_outside(inner) if is_cut else {}
                for outside, name in written.items():
                    _mark_later(call, values[outside], name)
                _hand_over(
                    call,
                    [
                        _left(root, call, part, values, written) if is_cut else values.get(part, part)
                        for part in node.args[0]
                    ],
                )
            else:
                values[node] = made = root.graph.node_copy(node, values.__getitem__)
                if is_cut:
                    made.meta["custom"] = {**made.meta.get("custom", {}), WITHOUT_GRADIENTS: True}


def _left(root: GraphModule, call: FxNode, part: Any, values: dict[FxNode, Any], written: dict[FxNode, str]) -> Any:
    """A result of a block without gradients: detached, or marked where it shares memory with an outer value."""
    value = values.get(part, part) if isinstance(part, FxNode) else part
    names = [written[base] for base in _bases(part) if base in written] if isinstance(part, FxNode) else []
    return _mark(call, value, names[0]) if names else _cut(root, value, call)


def _written_from_outside(inner: Graph) -> dict[FxNode, str]:
    """The outer values that a block writes into, each with the operator that does so.

    torch keeps the gradient that such a value had before the write, which no operator expresses.
    """
    written: dict[FxNode, str] = {}
    for node in inner.nodes:
        if not is_operator(node.target):
            continue
        for argument, value in zip(schema_of(node.target).arguments, node.args, strict=False):
            if argument.alias_info is not None and argument.alias_info.is_write and isinstance(value, FxNode):
                written.update(dict.fromkeys(_bases(value), f"{plain_name(node.target)} without gradient"))
    return written


def _bases(node: FxNode) -> set[FxNode]:
    """The outer values whose memory a value of an inner graph may share."""
    while node.op != "placeholder":
        if not node.all_input_nodes or (is_operator(node.target) and not returns_view(node.target)):
            return set()
        node = node.all_input_nodes[0]
    return {node}


def _mark(call: FxNode, value: FxNode, name: str) -> FxNode:
    made = call.graph.call_function(MARK, (value, name))
    made.meta = dict(value.meta)
    return made


def _mark_later(call: FxNode, value: Any, name: str) -> None:
    """Lets all readers after the block read the marked value."""
    order = {node: position for position, node in enumerate(call.graph.nodes)}
    later = {reader for reader in getattr(value, "users", ()) if order[reader] > order[call]}
    if later:
        value.replace_all_uses_with(_mark(call, value, name), delete_user_cb=lambda reader: reader in later)


def _cut(root: GraphModule, value: Any, block: FxNode) -> Any:
    """The value detached, since its block ran without gradients."""
    if not isinstance(value, FxNode) or not isinstance(value.meta.get("val"), torch.Tensor):
        return value
    made = root.graph.call_function(torch.ops.aten.detach.default, (value,))
    made.meta = {**value.meta, "nn_module_stack": block.meta.get("nn_module_stack"), "custom": {}}
    return made


def _hand_over(call: FxNode, results: Any) -> None:
    """Lets all readers of the call's results read the inner values instead."""
    for reader in list(call.users):
        position: Any = reader.args[1]
        reader.replace_all_uses_with(results[position])
