"""The functional form of an exported program: the same graph without in-place writes.

`torch.export` records `relu_` and `add_` as they were called. Readers before a write must see the old value, later ones
the new one. Writes to whole tensors are handled here by renaming, which is fast; writes through views (or into a value
whose views are read later) go through torch's own functionalization.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.export import ExportedProgram
from torch.fx import Node as FxNode

from featmap.capture.inline import inline
from featmap.graph.schema import is_operator, plain_name, schema_of

# Operators that return their input itself in evaluation, though their schema does not say so.
_PASS_THROUGH = frozenset({"dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout", "dropout_"})


class _NeedsTorch(Exception):
    """A write that renaming cannot express."""


def functional(program: ExportedProgram) -> ExportedProgram:
    """The same program without in-place operators."""
    inline(program)
    try:
        _rename_writes(program)
    except _NeedsTorch:
        _name_views(program)
        program = program.run_decompositions({})
        _restore_batch_norms(program)
    return program


def is_pass_through(node: FxNode) -> bool:
    """Whether the operator returns one of its inputs unchanged: dropout in evaluation, contiguous.

    A detach stays: it passes no gradient.
    """
    if not is_operator(node.target):
        return False
    name = _name(node)
    if name in _PASS_THROUGH:
        return not node.args[2]
    if name in ("contiguous", "alias", "lift_fresh", "clone", "lift_fresh_copy"):
        return True
    return name in ("to", "_to_copy", "type_as") and _same_tensor(node)


def _same_tensor(node: FxNode) -> bool:
    before = node.all_input_nodes[0].meta["val"]
    after = node.meta["val"]
    return before.dtype == after.dtype and before.device == after.device


def _rename_writes(program: ExportedProgram) -> None:
    # Everything is checked before anything is changed: torch must get the unchanged program.
    order = {node: position for position, node in enumerate(program.graph.nodes)}
    group = _storage_groups(program)
    writes = [node for node in program.graph.nodes if _written(node) is not None]
    for node in writes:
        _check(node, group, order)
    for node in writes:
        _rename(node, order)


def _storage_groups(program: ExportedProgram) -> dict[FxNode, FxNode]:
    """For every node, the first node whose memory it may share."""
    group: dict[FxNode, FxNode] = {}
    for node in program.graph.nodes:
        base = _viewed(node)
        group[node] = group[base] if base is not None else node
    return group


def _viewed(node: FxNode) -> FxNode | None:
    if node.op != "call_function":
        return None
    if not is_operator(node.target):
        return node.all_input_nodes[0] if node.all_input_nodes else None
    returns_alias = any(value.alias_info is not None for value in schema_of(node.target).returns)
    if (returns_alias or _name(node) in _PASS_THROUGH) and node.all_input_nodes:
        return node.all_input_nodes[0]
    return None


def _name_views(program: ExportedProgram) -> None:
    # torch takes a dropout's value for a new tensor; in evaluation it is the input itself, and writes reach it.
    for node in program.graph.nodes:
        if is_operator(node.target) and _name(node) in _PASS_THROUGH and is_pass_through(node):
            node.target, node.args, node.kwargs = torch.ops.aten.alias.default, (node.args[0],), {}


def _restore_batch_norms(program: ExportedProgram) -> None:
    # torch's functional form returns three values, so no stage of a layer could hold the normalised maps.
    for node in program.graph.nodes:
        if not is_operator(node.target) or _name(node) != "_native_batch_norm_legit_no_training":
            continue
        source, weight, bias, mean, variance, momentum, epsilon = node.args
        with program.graph.inserting_before(node):
            arguments = (source, weight, bias, mean, variance, False, momentum, epsilon, False)
            norm = program.graph.call_function(torch.ops.aten.batch_norm.default, arguments)
        norm.meta = {**node.meta, "val": node.meta["val"][0]}
        for value in list(node.users):
            value.replace_all_uses_with(norm)


def _name(node: FxNode) -> str:
    return plain_name(node.target)


def _written(node: FxNode) -> FxNode | None:
    """The tensor that the node overwrites, if any."""
    if not is_operator(node.target):
        return None
    for argument, value in zip(schema_of(node.target).arguments, node.args, strict=False):
        if argument.alias_info is not None and argument.alias_info.is_write and isinstance(value, FxNode):
            return value
    return None


def _check(node: FxNode, group: dict[FxNode, FxNode], order: dict[FxNode, int]) -> None:
    written = _written(node)
    assert written is not None
    if written.op == "placeholder" or _functional_target(node) is None:
        raise _NeedsTorch
    if node.meta["val"].shape != written.meta["val"].shape or _changes_dtype(node, written):
        raise _NeedsTorch
    renamed = _renames(written)
    for other, base in group.items():
        shares = base is group[written] and other is not node and other not in renamed
        if shares and order[other] < order[node] and any(order[user] > order[node] for user in other.users):
            raise _NeedsTorch


def _renames(written: FxNode) -> set[FxNode]:
    """All names of the same whole tensor: the written value and its names before earlier writes."""
    names = {written}
    before = _written(written)
    while before is not None:
        names.add(before)
        before = _written(before)
    return names


def _changes_dtype(node: FxNode, written: FxNode) -> bool:
    others = [value.meta["val"] for value in node.all_input_nodes if value is not written and "val" in value.meta]
    return any(other.dtype != written.meta["val"].dtype for other in others)


def _functional_target(node: FxNode) -> Any:
    packet = getattr(torch.ops.aten, _name(node).removesuffix("_"), None)
    return getattr(packet, schema_of(node.target).overload_name or "default", None)


def _rename(node: FxNode, order: dict[FxNode, int]) -> None:
    written = _written(node)
    assert written is not None
    node.target = _functional_target(node)
    written.replace_all_uses_with(node, delete_user_cb=lambda user: order[user] > order[node])
