"""Operators that take values from between the pixels, or put them back where a pool found them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any, ClassVar

from featmap.geometry import AxisRule, Perhaps, Pointwise, TransposedWindow, Whole, Window
from featmap.graph.graph import Node, Reference
from featmap.graph.operators.base.call import NO_AXES, Axes, Call, Operand
from featmap.graph.operators.base.channels import ALL, ChannelSet
from featmap.graph.operators.base.operator import (
    NotResizable,
    Operator,
    Rules,
    Weightless,
    along_each,
    lined_up,
    same_channels,
    whole,
    whole_axis,
)
from featmap.graph.operators.base.regions import reads_one
from featmap.graph.operators.base.registry import operator_of
from featmap.graph.operators.moving.cutting import Item
from featmap.graph.operators.pooling import MaxPool


@dataclass(frozen=True)
class GridSample(Weightless):
    """grid_sample: values of a map at the places that a grid names: any of the map, the same place of the grid."""

    kind: ClassVar[str] = "sampling"

    def acts_linearly(self, call: Call) -> bool:
        return reads_one(call)

    def axes(self, call: Call) -> Axes:
        return _last_axes(call)

    def works_over(self, call: Call) -> int | None:
        return len(call.out_shape) - 2

    def rules(self, call: Call, operand: Operand) -> Rules:
        if operand.index != call["grid"].index or operand.index == call["input"].index:
            return whole(call, operand)
        return along_each(call, operand, partial(self._of_grid, call))

    def _of_grid(self, call: Call, axis: int | None, own: int | None) -> AxisRule:
        # The coordinates are a grid's last axis, the channels a map's second.
        return Pointwise() if axis is not None and own == axis - 1 else whole_axis(call, axis)

    def channels(self, call: Call, position: int, wanted: ChannelSet) -> ChannelSet:
        is_grid = call.operands[position].index == call["grid"].index
        return ALL if is_grid else same_channels(call, position, wanted)


@dataclass(frozen=True)
class AffineGrid(Operator):
    """affine_grid: the coordinates of every place, multiplied with one small matrix per image."""

    kind: ClassVar[str] = "matrix product"
    is_known: ClassVar[bool] = True
    may_be_view: ClassVar[bool] = True

    def axes(self, call: Call) -> Axes:
        rank = len(call.out_shape)
        return Axes(0 if call.main.axes.batch == 0 else None, tuple(range(1, rank - 1)))

    def macs(self, call: Call) -> int | None:
        return prod(call.out_shape) * call["theta"].shape[-1]

    def resized(self, call: Call) -> tuple[tuple[Any, ...], dict[str, Any]]:
        raise NotResizable("a grid of a size that may depend on the input")


@dataclass(frozen=True)
class Unpool(Weightless):
    """max_unpool: each value of a map at the place where a maximum pool found its maximum, zeros elsewhere.

    It may have been found anywhere in its window, so that each place reads the windows that it lies in. Where the
    places come from elsewhere than a pool, it may read the whole map.
    """

    kind: ClassVar[str] = "unpool"
    is_linear: ClassVar[bool] = True

    def axes(self, call: Call) -> Axes:
        return _last_axes(call)

    def works_over(self, call: Call) -> int | None:
        return max(len(call.out_shape) - 2, 2)

    def rules(self, call: Call, operand: Operand) -> Rules:
        return lined_up(call, operand, [_found_along(call, axis) for axis in call.out_axes.spatial])

    def channels(self, call: Call, position: int, wanted: ChannelSet) -> ChannelSet:
        return same_channels(call, position, wanted)

    def resized(self, call: Call) -> tuple[tuple[Any, ...], dict[str, Any]]:
        raise NotResizable("an unpooling to a size that may depend on the input")


def _last_axes(call: Call) -> Axes:
    """Images first where they are so before, the axes of maps last; at least rows and columns."""
    rank = len(call.out_shape)
    first = min(2, rank - 2)
    return Axes(0 if call.main.axes.batch == 0 else None, tuple(range(first, rank)))


def _found_along(call: Call, axis: int | None) -> AxisRule:
    """The windows in which the maxima were found, from the places' side."""
    found = _pool_of(call)
    if found is None or axis is None:
        return whole_axis(call, axis)
    node, pool = found
    pooled = Call(call.graph, node, call.specs, call.axes)
    outputs, spatial = call.out_shape[axis], slice(2 - len(call.out_shape), None)
    window = pool.axis_rule(pooled, pooled.main, axis)
    if pooled.main.shape[spatial] != call.out_shape[spatial] or not isinstance(window, Window):
        # torch counts the places in the map that was pooled: in one of another size they lie elsewhere.
        return Whole(outputs)
    last = (call["self"].shape[axis] - 1) * window.stride + window.span - window.before
    # A value arrives only where the maximum was found.
    return Perhaps(TransposedWindow(window.kernel, window.stride, window.before, last - outputs, window.dilation))


def _pool_of(call: Call) -> tuple[Node, MaxPool] | None:
    """The maximum pool that found the places, None where none did."""
    leaf = dict(zip(("self", "indices"), call.node.args, strict=False)).get("indices")
    if not isinstance(leaf, Reference):
        return None
    item = call.graph[leaf.index]
    if not isinstance(operator_of(item), Item) or item.args[1] != 1:
        return None
    node = call.graph[item.inputs[0]]
    pool = operator_of(node)
    return (node, pool) if isinstance(pool, MaxPool) and node.depends_on_input else None


@dataclass(frozen=True)
class WindowColumns(Weightless):
    """im2col (unfold): windows of a map as the columns of a matrix; rows and columns lie on one axis, and are none."""

    kind: ClassVar[str] = "shape"
    is_linear: ClassVar[bool] = True
    may_be_view: ClassVar[bool] = True

    def axes(self, call: Call) -> Axes:
        # Of three axes the first are channels, whatever they were before.
        return Axes(0) if call.main.axes.batch == 0 and call.main.rank == 4 else NO_AXES


@dataclass(frozen=True)
class AddedColumns(WindowColumns):
    """col2im (fold): columns of a matrix added up to a map."""

    def axes(self, call: Call) -> Axes:
        found = _last_axes(call)
        return found if call.main.rank == 3 else found.without_batch()

    def resized(self, call: Call) -> tuple[tuple[Any, ...], dict[str, Any]]:
        raise NotResizable("columns put together to a size that may depend on the input")
