"""Which operator calls stay regional, and how? Decided by structure alone, so that it is known before anything runs."""

from __future__ import annotations

from collections.abc import Iterable

from featmap.geometry import Whole, Window
from featmap.graph.graph import Node, Reference, TensorSpec
from featmap.graph.operators.base.call import Axes, Call
from featmap.graph.sized_graph import SizedGraph
from featmap.run.region.kernels import is_moving
from featmap.run.region.means import reduces_space

_MOVING = ("slice", "narrow", "repeat_interleave", "expand", "expand_as")
"""Operators of many kinds that only move rows and columns."""


def is_regional(sized: SizedGraph, index: int) -> bool:
    """Whether an operator is computed on regions; where not, its value is computed in full."""
    call, operator = sized.call(sized.graph[index]), sized.operator(sized.graph[index])
    if not keeps_places(call) or reads_whole(sized, index) or not any(o.depends_on_input for o in call.operands):
        return False
    if is_direct(sized, index):
        return True
    if is_windowed(sized, index):
        return True
    return (operator.is_merge or operator.kind == "pointwise") and is_aligned(sized, call)


def is_windowed(sized: SizedGraph, index: int) -> bool:
    """Whether regions of the value are computed from regions of one map that lie elsewhere or are larger."""
    call, operator = sized.call(sized.graph[index]), sized.operator(sized.graph[index])
    variable = [operand for operand in call.operands if operand.depends_on_input]
    if len(variable) != 1 or not isinstance(sized.specs[index], TensorSpec) or len(call.out_shape) != 4:
        return False
    if operator.is_convolution or call.node.base_name in ("pixel_shuffle", "pixel_unshuffle"):
        return True
    rows, columns = operator.rules(call, variable[0])
    if is_moving(rows) and is_moving(columns):
        before, after = _channels(variable[0].shape, variable[0].axes), _channels(call.out_shape, call.out_axes)
        return before == after and (operator.kind in ("resize", "pool") or _moves_places_alone(call))
    pools = call.node.base_name.endswith("pool2d") and isinstance(rows, Window) and isinstance(columns, Window)
    return pools or operator.kind == "resize" or call.node.base_name == "adaptive_avg_pool2d"


def _moves_places_alone(call: Call) -> bool:
    space = {call.out_axes.row, call.out_axes.column}
    if call.node.base_name == "flip":
        return {dim % call.main.rank for dim in call["dims"]} <= space
    amounts = call.get("pad") or call.get("padding")
    if amounts is not None:
        # Pairs from the last axis on.
        return {call.main.rank - 1 - at // 2 for at, amount in enumerate(amounts) if amount} <= space
    return call.node.base_name in _MOVING


def _channels(shape: tuple[int, ...], axes: Axes) -> list[int]:
    return [size for axis, size in enumerate(shape) if axis not in (axes.batch, axes.row, axes.column)]


def concatenates_channels(sized: SizedGraph, node: Node) -> bool:
    """Whether the operator lays maps side by side in their only axis of channels."""
    call = sized.call(node)
    axes, rank = call.out_axes, len(call.out_shape)
    if node.base_name not in ("cat", "concat", "concatenate") or rank != 4 or not keeps_places(call):
        return False
    operands, dtypes = (
        node.args[0],
        {getattr(sized.specs[index], "dtype", None) for index in (*node.inputs, node.index)},
    )
    variable = all(isinstance(leaf, Reference) and sized.graph[leaf.index].depends_on_input for leaf in operands)
    is_channels = call["dim"] % rank not in (axes.batch, axes.row, axes.column)
    return variable and len(dtypes) == 1 and is_channels and is_aligned(sized, call)


def is_aligned(sized: SizedGraph, call: Call) -> bool:
    """Whether all operands are maps of the value's own size with the same order of axes."""
    size = sized.size(call.node.index)
    variable = [operand for operand in call.operands if operand.depends_on_input]
    fits = all(o.axes == call.out_axes and (o.rows, o.columns) == size for o in variable)
    return fits and not has_map_of_weights(sized, call)


def is_direct(sized: SizedGraph, index: int) -> bool:
    """Whether every place is computed from the same place of one value, so that patches go through as they are."""
    node = sized.graph[index]
    call = sized.call(node)
    if sum(1 for operand in call.operands if operand.depends_on_input) != 1 or not keeps_places(call):
        return False
    if len({source for source in node.inputs if sized.graph[source].depends_on_input}) != 1 or _resizes_more(call):
        return False
    _, rows, columns = next(iter(sized.reads(index)))
    return not rows.moves and not columns.moves and not has_map_of_weights(sized, call)


def _resizes_more(call: Call) -> bool:
    """Whether an operator that is given its output's size changes another axis than rows and columns."""
    gives_size = call.node.base_name.startswith(("adaptive", "_adaptive", "upsample", "_upsample"))
    return gives_size and call.out_shape != call.main.shape


def keeps_places(call: Call) -> bool:
    """Whether the value has images, rows and columns, so that it can be kept as patches."""
    return call.out_axes.has_space and call.out_axes.batch == 0


def reads_whole(sized: SizedGraph, index: int) -> bool:
    """Whether the operator reads a whole map (or something that is no map)."""
    for source, rows, columns in sized.reads(index):
        if isinstance(rows, Whole) or isinstance(columns, Whole) or not sized.axes[source].has_space:
            return True
    return False


def has_map_of_weights(sized: SizedGraph, call: Call) -> bool:
    """Whether a constant operand differs from place to place (a learned position, say)."""
    operator = sized.operator(call.node)
    weights_are_channels = operator.is_convolution or operator.is_normalization or operator.kind == "linear"
    if weights_are_channels or call.node.base_name == "prelu":
        return False
    rank, axes = len(call.out_shape), call.out_axes
    constants = [sized.graph.weights[name].spec.shape for name in call.node.weights]
    constants += [operand.shape for operand in call.operands if not operand.depends_on_input]
    return any(
        len(shape) >= rank - axis and shape[axis - rank] > 1
        for shape in constants
        for axis in (axes.row, axes.column)
        if axis is not None
    )


def values_to_keep(sized: SizedGraph, needed: Iterable[int]) -> set[int]:
    """The values of the untouched image that regional steps read: what windows and merges read, and means."""
    kept: set[int] = set()
    for index in needed:
        node = sized.graph[index]
        if node.is_input or not node.depends_on_input:
            continue
        reduces = reduces_space(sized.call(node), sized.operator(node))
        if reduces:
            kept.add(index)
        if reduces or not is_direct(sized, index) or sized.operator(node).kind == "shape":
            kept.update(source for source in node.inputs if sized.graph[source].depends_on_input)
    return {index for index in kept if not isinstance(sized.specs[index], tuple)}
