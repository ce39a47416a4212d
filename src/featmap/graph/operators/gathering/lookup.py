"""Operators that look values up, or put them down, at positions that other values name.

Along an axis whose places are named by numbers nobody knows which are read: there a value may read all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from featmap.geometry import AxisRule, Pointwise
from featmap.graph.operators.base.call import NO_AXES, Axes, Call, Operand
from featmap.graph.operators.base.channels import ALL, SOME, ChannelSet, channel_axis
from featmap.graph.operators.base.operator import (
    NotResizable,
    Rules,
    Weightless,
    along_each,
    node_arguments,
    same_channels,
    whole,
    whole_axis,
)
from featmap.graph.operators.base.regions import constant_shapes
from featmap.graph.operators.moving.reshape import Moving
from featmap.graph.operators.pointwise import Elementwise, joined_axes


@dataclass(frozen=True)
class IndexedPlaces(Moving):
    """index: some positions of one or several axes, by their numbers."""

    def named(self, call: Call) -> dict[int, Operand]:
        """The axes whose positions are named, each with the numbers of its positions."""
        return {axis: index for axis, index in enumerate(call["indices"]) if index is not None}

    def new_axes(self, call: Call) -> int:
        """How many axes the named positions have in the value."""
        return max((index.rank for index in self.named(call).values()), default=0)

    def axes(self, call: Call) -> Axes:
        axes: Axes = call["self"].axes
        # Images that are named are in any order, and as many as there are numbers.
        axes = axes.without_batch() if axes.batch in self.named(call) else axes
        return axes.each(_where_axes_went(self.named(call), call["self"].rank, self.new_axes(call)).get)

    def rules(self, call: Call, operand: Operand) -> Rules:
        names = any(index.index == operand.index for index in self.named(call).values())
        return whole(call, operand) if names else super().rules(call, operand)

    def moved_rule(self, call: Call, axis: int, own: int) -> AxisRule:
        return whole_axis(call, axis) if own in self.named(call) else Pointwise()

    def channels(self, call: Call, position: int, wanted: ChannelSet) -> ChannelSet:
        source: Operand = call["self"]
        looks_up = channel_axis(source.axes, source.rank) in {None, *self.named(call)}
        return SOME if looks_up else same_channels(call, position, wanted)

    def resized(self, call: Call) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Numbers of places hold for the size that the axis had."""
        before, now = call.captured_main_shape, call.main.shape
        if call.main != call["self"] or any(before[axis] != now[axis] for axis in self.named(call)):
            raise NotResizable(call.node.operator)
        return node_arguments(call.node)


@dataclass(frozen=True)
class SelectedPlaces(IndexedPlaces):
    """index_select: some positions of one axis."""

    def named(self, call: Call) -> dict[int, Operand]:
        return {call["dim"] % call["self"].rank: call["index"]}

    def new_axes(self, call: Call) -> int:
        return 1


def _where_axes_went(named: Mapping[int, Operand], rank: int, new: int) -> dict[int, int]:
    """The numbers of the axes in the value, as torch's indexing lays them out."""
    first, last = min(named, default=0), max(named, default=-1)
    is_one_block = last - first + 1 == len(named)
    start = first if is_one_block else 0
    kept = [axis for axis in range(rank) if axis not in named]
    found: dict[int, int] = {axis: at + new * (at >= start) for at, axis in enumerate(kept)}
    if is_one_block and new == len(named):
        # As many axes of numbers as axes that they name: rows stay rows, whichever they are.
        found.update({axis: axis for axis in named})
    return found


@dataclass(frozen=True)
class Gathering(Elementwise):
    """gather: each value from the same place of all axes but one, along which a number names it."""

    kind: ClassVar[str] = "shape"
    joins_positions: ClassVar[bool] = False
    is_linear: ClassVar[bool] = True
    may_be_view: ClassVar[bool] = True

    def mixes_images(self, call: Call) -> bool:
        return is_for_one_image(call)

    def axes(self, call: Call) -> Axes:
        dim = along(call)
        return NO_AXES if dim is None else super().axes(call).mixed_along(dim)

    def rules(self, call: Call, operand: Operand) -> Rules:
        dim = along(call) if operand.index == call["self"].index else -1
        return whole(call, operand) if dim is None else same_but(call, operand, dim)

    def channels(self, call: Call, position: int, wanted: ChannelSet) -> ChannelSet:
        is_source = call.operands[position].index == call["self"].index
        if is_source and along(call) in (None, channel_axis(call.out_axes, len(call.out_shape))):
            return SOME
        return same_channels(call, position, wanted)


@dataclass(frozen=True)
class Taking(Gathering):
    """take_along_dim, which without an axis takes everything in the order of memory."""

    needs_contiguous: ClassVar[bool] = True


@dataclass(frozen=True)
class Scattering(Elementwise):
    """scatter, index_add, index_put and their kin: values put down on some places of a tensor, which keeps its shape.

    Where nobody knows on which places, a value may be its own, what was put there, or their sum.
    """

    kind: ClassVar[str] = "shape"
    joins_positions: ClassVar[bool] = False
    is_linear: ClassVar[bool] = True
    may_be_view: ClassVar[bool] = True

    def mixes_images(self, call: Call) -> bool:
        return is_for_one_image(call)

    def axes(self, call: Call) -> Axes:
        found, rank = call["self"].axes, len(call.out_shape)
        for operand in call.operands:
            found = joined_axes(found, operand.axes) if operand.rank == rank else found
        for dim in self.put_along(call):
            found = found.mixed_along(dim)
        return found

    def along(self, call: Call) -> int | None:
        """The axis along which positions are named; None where it is not one of the value's."""
        return along(call)

    def put_along(self, call: Call) -> set[int]:
        """The axes along which positions are named, or values taken one after the other."""
        dim = self.along(call)
        if dim is not None:
            return {dim}
        return {axis for axis, index in enumerate(call["indices"]) if index is not None}

    def rules(self, call: Call, operand: Operand) -> Rules:
        if operand.index == call["self"].index and call.node.inputs.count(operand.index or 0) == 1:
            return same_but(call, operand, -1)
        dim = self.along(call)
        return whole(call, operand) if dim is None else same_but(call, operand, dim)

    def channels(self, call: Call, position: int, wanted: ChannelSet) -> ChannelSet:
        if call.operands[position].index == call["self"].index:
            return same_channels(call, position, wanted)
        is_elsewhere = self.along(call) in (None, channel_axis(call.out_axes, len(call.out_shape)))
        return SOME if is_elsewhere else same_channels(call, position, wanted)

    def divides_places(self, call: Call) -> bool:
        # A value that was overwritten reads no more what it was.
        return True


@dataclass(frozen=True)
class IndexPut(Scattering):
    """index_put; one number that is put down wherever a mask says so reads the same position of the mask."""

    def along(self, call: Call) -> int | None:
        is_masked = not call["values"].rank and len(call["indices"]) == 1
        return -1 if is_masked and call["indices"][0].spec.dtype == torch.bool else along(call)


@dataclass(frozen=True)
class MaskedScatter(Scattering):
    """masked_scatter: values taken one after the other wherever a mask says so."""

    def put_along(self, call: Call) -> set[int]:
        return set(range(len(call.out_shape)))


def is_for_one_image(call: Call) -> bool:
    """Whether a constant has all axes of the value: it holds as many images as were captured, and is not broadcast."""
    return any(len(shape) == len(call.out_shape) for shape in constant_shapes(call))


def along(call: Call) -> int | None:
    """The axis along which positions are named; None where it is not one of the value's."""
    dim = call.get("dim")
    return dim % len(call.out_shape) if isinstance(dim, int) and call.out_shape else None


def same_but(call: Call, operand: Operand, dim: int) -> Rules:
    """The same place of all axes but one, where the operand's axes are the value's; whole along that one."""

    def rule(axis: int | None, own: int | None) -> AxisRule:
        if axis is None or axis != own or axis == dim or operand.rank != len(call.out_shape):
            return whole_axis(call, axis)
        return Pointwise() if operand.shape[axis] == call.out_shape[axis] else whole_axis(call, axis)

    return along_each(call, operand, rule)


@dataclass(frozen=True)
class Lookup(Weightless):
    """embedding and one_hot: a vector of a table for every number, on a new last axis."""

    kind: ClassVar[str] = "shape"
    is_linear: ClassVar[bool] = True
    may_be_view: ClassVar[bool] = True

    def axes(self, call: Call) -> Axes:
        return _numbers(call).axes

    def rules(self, call: Call, operand: Operand) -> Rules:
        numbers = _numbers(call)
        return same_but_last(call, operand) if operand.index == numbers.index else whole(call, operand)

    def channels(self, call: Call, position: int, wanted: ChannelSet) -> ChannelSet:
        numbers = _numbers(call)
        return ALL if channel_axis(numbers.axes, numbers.rank) is None else SOME


def _numbers(call: Call) -> Operand:
    return call["indices"] if "indices" in call.arguments else call["self"]


def same_but_last(call: Call, operand: Operand) -> Rules:
    """The same place, of an operand to whose axes one was added behind."""
    return along_each(call, operand, lambda axis, own: Pointwise() if own is not None else whole_axis(call, axis))
