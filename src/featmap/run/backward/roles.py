"""How does a signal flow back through each operator? Decided by structure, before anything runs.

Rectifiers are where the rules differ (Zeiler and Fergus 2014; Springenberg et al. 2015); they are operators here, never
modules, so that a functional, a reused and an in-place ReLU are all the same thing. What is linear is transposed; every
other operator takes its gradient, which torch works out for that one operator.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Any, Literal

from torch import Tensor

from featmap.geometry import Window
from featmap.graph.graph import Node
from featmap.graph.operators.base.call import Call
from featmap.graph.operators.pointwise import CLAMPS
from featmap.graph.operators.resize import Padding
from featmap.graph.sized_graph import SizedGraph
from featmap.run.backward.whole_numbers import is_cast_of_pixels
from featmap.run.region.kinds import concatenates_channels, is_aligned, is_direct, keeps_places, reads_whole

Rule = Literal["deconvnet", "guided", "gradient"]
Norm = Literal["scale", "skip"]


_LINEAR_KINDS = ("convolution", "linear", "shape", "pad", "resize", "constant", "merge", "transform", "unpool")
_LINEAR_NAMES = (
    *("add", "sub", "rsub", "neg", "mean", "sum", "to", "_to_copy", "clone", "contiguous", "detach", "alias"),
    *("complex", "real", "imag", "conj", "_conj", "resolve_conj", "resolve_neg", "_neg_view", "copy"),
)
_PRODUCTS = ("mul", "div", "matmul", "mm", "bmm", "einsum", "grid_sampler")


class Role(StrEnum):
    """What is done with a signal at an operator."""

    CONVOLUTION = "filtered with the transposed filters"
    LINEAR = "multiplied with the transposed weights"
    RECTIFIER = "treated by the rule"
    MAXIMUM = "led to the switches"
    AVERAGE = "spread over the window"
    SCALE = "scaled per channel"
    PASS = "passed on as it is"
    SHIFT = "moved by the padding"
    SUM = "passed on to every operand"
    ITEM = "passed on to its place among several"
    CONCATENATION = "divided among the operands"
    PLACEWISE = "multiplied with the gradient, place by place"
    WHOLE = "multiplied with the gradient, on whole maps"


def role_of(sized: SizedGraph, node: Node, norm: Norm) -> Role:
    """The role of an operator of the graph."""
    call, operator = sized.call(node), sized.operator(node)
    if node.base_name == "getitem":
        return Role.ITEM
    if is_cast_of_pixels(sized, node):
        return Role.PASS
    if is_rectifier(call):
        return Role.RECTIFIER
    if operator.is_normalization and norm == "skip" and call.out_shape == call.main.shape:
        return Role.PASS
    if node.base_name == "linear" and _reads_one(call) and not keeps_places(call):
        return Role.LINEAR
    is_placed = all(o.axes.batch == 0 and o.axes.has_space for o in call.operands if o.depends_on_input)
    if not keeps_places(call) or not is_placed or reads_whole(sized, node.index):
        return Role.WHOLE
    return _role_in_space(sized, node, call)


def _role_in_space(sized: SizedGraph, node: Node, call: Call) -> Role:
    operator = sized.operator(node)
    if operator.is_convolution and _reads_one(call) and len(call.out_shape) == 4:
        return Role.WHOLE if operator.settings(call).transposed else Role.CONVOLUTION  # type: ignore[attr-defined]
    if node.base_name == "batch_norm" and _reads_one(call) and not node.args[5] and node.args[3] is not None:
        return Role.SCALE
    if node.base_name in ("max_pool2d", "avg_pool2d"):
        if _is_larger_than_map(sized, node):
            return Role.WHOLE
        return Role.MAXIMUM if node.base_name == "max_pool2d" else Role.AVERAGE
    if isinstance(operator, Padding) and _is_constant_border(sized, node, call):
        return Role.SHIFT
    if concatenates_channels(sized, node):
        return Role.CONCATENATION
    if node.base_name in ("add", "sub") and _adds_equals(sized, call):
        return Role.SUM
    return Role.PLACEWISE if is_direct(sized, node.index) else Role.WHOLE


def _is_larger_than_map(sized: SizedGraph, node: Node) -> bool:
    """Whether a window is larger than its map: what is laid out per place of it would be mostly empty."""
    source, rows, columns = window_rules(sized, node)
    height, width = sized.size(source)
    return rows.span > height or columns.span > width


def is_rectifier(call: Call) -> bool:
    """Whether the operator sets what is negative to zero: ReLU, ReLU6, a clamp or threshold at 0."""
    name = call.node.base_name
    if name in ("relu", "relu6"):
        return True
    if name in ("hardtanh", *CLAMPS):
        lower = call.get("min_val" if name == "hardtanh" else "min")
        return _is_zero(lower) and isinstance(_upper(call), int | float | None)
    return name == "threshold" and _is_zero(call.get("threshold")) and _is_zero(call.get("value"))


def _upper(call: Call) -> Any:
    """The upper bound of a rectifier, None where it has none."""
    if call.node.base_name == "relu6":
        return 6.0
    return call.get("max_val" if call.node.base_name == "hardtanh" else "max")


def mask_source(node: Node) -> int:
    """The value from which it is told where a rectifier lets the gradient through: what it gave, if that tells it."""
    # A clamp's gradient is 1 at its very bounds: there its value says nothing.
    return node.inputs[0] if node.base_name in CLAMPS else node.index


def passes(call: Call, value: Tensor) -> Tensor:
    """Where a rectifier lets the gradient through, from the value that `mask_source` names; as torch's own gradient."""
    upper = _upper(call)
    if call.node.base_name in CLAMPS:
        return (value >= 0) if upper is None else (value >= 0) & (value <= upper)
    return (value > 0) if upper is None else (value > 0) & (value < upper)


def _is_zero(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value == 0


def _reads_one(call: Call) -> bool:
    """Whether the first operand alone depends on the input."""
    depends = [operand.depends_on_input for operand in call.operands]
    return depends[:1] == [True] and not any(depends[1:])


def _is_constant_border(sized: SizedGraph, node: Node, call: Call) -> bool:
    amounts = call.get("pad") or call.get("padding") or ()
    rules = next(iter(sized.reads(node.index)))[1:]
    is_constant = all(getattr(rule, "mode", None) == "constant" for rule in rules)
    return is_constant and not any(amounts[4:]) and (call.out_axes.row, call.out_axes.column) == (2, 3)


def _adds_equals(sized: SizedGraph, call: Call) -> bool:
    """Whether all operands are maps of the result's own shape."""
    variable = [operand for operand in call.operands if operand.depends_on_input]
    same = all(operand.shape == call.out_shape for operand in variable)
    return same and len(variable) == len(call.operands) == 2 and is_aligned(sized, call)


def values_to_keep(sized: SizedGraph, nodes: Iterable[Node], rule: Rule, norm: Norm) -> set[int]:
    """The forward values that a signal asks for on its way back."""
    kept: set[int] = set()
    for node in nodes:
        role = role_of(sized, node, norm)
        if role == Role.RECTIFIER and rule != "deconvnet":
            kept.add(mask_source(node))
        elif role in (Role.MAXIMUM, Role.PLACEWISE, Role.WHOLE):
            kept.update(index for index in node.inputs if sized.graph[index].depends_on_input)
    return {index for index in kept if not isinstance(sized.specs[index], tuple)}


def window_rules(sized: SizedGraph, node: Node) -> tuple[int, Window, Window]:
    """What a pool or convolution reads, with its windows along rows and columns."""
    source, rows, columns = next(iter(sized.reads(node.index)))
    assert isinstance(rows, Window)
    assert isinstance(columns, Window)
    return source, rows, columns


def gradient_takers(sized: SizedGraph, nodes: Iterable[Node], norm: Norm) -> tuple[str, ...]:
    """What is neither linear nor a rectifier, by operator name: it takes its gradient under every rule."""
    names = [node.base_name for node in nodes if _takes_gradient(sized, node, norm)]
    return tuple(sorted(set(names)))


def _takes_gradient(sized: SizedGraph, node: Node, norm: Norm) -> bool:
    role, operator = role_of(sized, node, norm), sized.operator(node)
    if role not in (Role.PLACEWISE, Role.WHOLE) or operator.kind in _LINEAR_KINDS or node.base_name in _LINEAR_NAMES:
        return False
    if node.base_name in _PRODUCTS:
        # Linear where one factor is a constant.
        return not _reads_one(sized.call(node))
    return operator.kind != "pool"
