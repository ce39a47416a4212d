"""Which operator calls stay regional, and how? Decided by structure alone, so that it is known before anything runs."""

from __future__ import annotations

from collections.abc import Iterable

from featmap.geometry import Whole
from featmap.network.operators.call import Call
from featmap.network.sized import SizedGraph
from featmap.run.region.means import reduces_space


def is_direct(sized: SizedGraph, index: int) -> bool:
    """Whether every place is computed from the same place of one value, so that patches go through as they are."""
    node = sized.graph[index]
    call = sized.call(node)
    if sum(1 for operand in call.operands if operand.depends_on_input) != 1 or not keeps_places(call):
        return False
    _, rows, columns = next(iter(sized.reads(index)))
    return not rows.moves and not columns.moves and not has_map_of_weights(sized, call)


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
    if operator.is_convolution or operator.is_normalization or operator.kind == "linear":
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
        if not is_direct(sized, index) or sized.operator(node).kind == "shape":
            kept.update(source for source in node.inputs if sized.graph[source].depends_on_input)
        if reduces_space(sized.call(node), sized.operator(node)):
            kept.add(index)
    return {index for index in kept if not isinstance(sized.specs[index], tuple)}
