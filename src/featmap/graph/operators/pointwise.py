"""Operators that compute a value from the values at the same position: arithmetic, casts, copies; softmax and its kin.

Operands are lined up as broadcasting does. An operand with one row that stands against many is read by all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from featmap.geometry import Nearest, Pointwise, Whole
from featmap.graph.graph import Graph, Node
from featmap.graph.operators.base.call import NO_AXES, Axes, Call, Operand
from featmap.graph.operators.base.channels import ALL, ChannelSet, channel_axis
from featmap.graph.operators.base.operator import (
    Rules,
    Weightless,
    pairs,
    same_channels,
    whole,
    whole_axis,
)
from featmap.graph.operators.base.regions import is_aligned, reads_one, variable
from featmap.graph.operators.base.roles import Role


@dataclass(frozen=True)
class Elementwise(Weightless):
    """Arithmetic on values at the same position, broadcast."""

    kind: ClassVar[str] = "pointwise"
    joins_positions: ClassVar[bool] = True

    def axes(self, call: Call) -> Axes:
        rank = len(call.out_shape)
        found = NO_AXES
        for operand in call.operands:
            if operand.depends_on_input:
                own = aligned(operand, rank)
                own = own.without_batch() if stands_for_many(call, operand, own) else own
                found = joined_axes(found, own)
        return found

    def mixes_images(self, call: Call) -> bool:
        rank = len(call.out_shape)
        return len({aligned(operand, rank).batch for operand in call.operands if operand.depends_on_input}) > 1

    def rules(self, call: Call, operand: Operand) -> Rules:
        both = pairs(call.out_axes, aligned(operand, len(call.out_shape)))
        return tuple(_axis_rule(call, operand, axis, own) for axis, own in both)

    def channels(self, call: Call, position: int, wanted: ChannelSet) -> ChannelSet:
        return same_channels(call, position, wanted)


def aligned(operand: Operand, rank: int) -> Axes:
    """The operand's axes after broadcasting has put missing axes in front."""
    return operand.axes.each(lambda axis: axis + rank - operand.rank)


def stands_for_many(call: Call, operand: Operand, axes: Axes) -> bool:
    """Whether broadcasting repeats the images, so that the axis counts something else."""
    batch = axes.batch
    return batch is not None and operand.shape[batch - len(call.out_shape) + operand.rank] != call.out_shape[batch]


def joined_axes(first: Axes, second: Axes) -> Axes:
    def pick(one: int | None, other: int | None) -> int | None:
        return one if one is not None else other

    one, other = first.spatial, second.spatial
    spatial = tuple(map(pick, one, other)) if len(one) == len(other) else max(one, other, key=len)
    return Axes(pick(first.batch, second.batch), spatial)


def _axis_rule(call: Call, operand: Operand, axis: int | None, own: int | None) -> Pointwise | Nearest | Whole:
    if axis is None:
        return Whole(1)
    size = call.out_shape[axis]
    if own != axis:
        # The operand's rows are on another axis, or mixed up with others: nobody knows who reads what.
        return Whole(size)
    own_size = operand.shape[axis - (len(call.out_shape) - operand.rank)]
    return Pointwise() if own_size == size else Nearest(outputs=size)


@dataclass(frozen=True)
class LinearPointwise(Elementwise):
    """Signs, and the parts of complex numbers: linear in what they read."""

    is_linear: ClassVar[bool] = True


@dataclass(frozen=True)
class Copy(Elementwise):
    """clone, alias, contiguous: the same values, perhaps in other memory."""

    is_linear: ClassVar[bool] = True
    keeps_rectified: ClassVar[bool] = True


@dataclass(frozen=True)
class Detach(Copy):
    """detach: the same values, through which no gradient goes back."""

    passes_gradient: ClassVar[bool] = False


@dataclass(frozen=True)
class Cast(Copy):
    """to, type_as: the same values in another type."""

    is_cast: ClassVar[bool] = True
    may_be_view: ClassVar[bool] = True


@dataclass(frozen=True)
class Bucket(Elementwise):
    """bucketize: the number of the bucket of each value; the boundaries, which are no map, are read by all."""

    joins_positions: ClassVar[bool] = False
    weights_are_channels: ClassVar[bool] = True

    def axes(self, call: Call) -> Axes:
        value = call["self"]
        return value.axes if isinstance(value, Operand) and value.depends_on_input else NO_AXES

    def rules(self, call: Call, operand: Operand) -> Rules:
        return whole(call, operand) if operand == call["boundaries"] else super().rules(call, operand)

    def channels(self, call: Call, position: int, wanted: ChannelSet) -> ChannelSet:
        is_boundary = call.operands[position] == call["boundaries"]
        return ALL if is_boundary else super().channels(call, position, wanted)


@dataclass(frozen=True)
class Overwrite(LinearPointwise):
    """copy: values in the shape and type of those that they replace, which are not read."""

    def axes(self, call: Call) -> Axes:
        return joined_axes(call["self"].axes, super().axes(call))

    def function(self, node: Node) -> Callable[..., Any]:
        # torch has no gradient for aten.copy.
        return _copied


def _copied(own: Tensor, source: Tensor, non_blocking: bool = False) -> Tensor:
    del non_blocking
    return source.to(own.dtype).expand_as(own).clone()


@dataclass(frozen=True)
class Product(Elementwise):
    """mul and div: linear where one factor is a constant."""

    def acts_linearly(self, call: Call) -> bool:
        return reads_one(call)


@dataclass(frozen=True)
class Like(Elementwise):
    """zeros_like, fill: a value in the shape of another one, whose own values are not read."""

    def axes(self, call: Call) -> Axes:
        return joined_axes(call["self"].axes, super().axes(call))


@dataclass(frozen=True)
class SignedSum(Elementwise):
    """A sum of two values, the second with a sign and a factor."""

    sign: ClassVar[int] = 1
    joins_positions: ClassVar[bool] = True
    is_linear: ClassVar[bool] = True
    is_fresh: ClassVar[bool] = True

    def factor(self, call: Call) -> float:
        """By what the second summand is multiplied."""
        return self.sign * call.get("alpha", 1)

    def role_in_space(self, call: Call) -> Role | None:
        read = variable(call)
        same = all(operand.shape == call.out_shape for operand in read)
        adds = same and len(read) == len(call.operands) == 2 and is_aligned(call) and not self.has_map_of_weights(call)
        return Role.SUM if adds else None


@dataclass(frozen=True)
class Sum(SignedSum):
    """add; a merge where both sides are maps."""

    kind: ClassVar[str] = "merge"
    is_merge: ClassVar[bool] = True

    def in_place(self, graph: Graph, node: Node) -> Callable[..., Any] | None:
        return in_place_form(node)


@dataclass(frozen=True)
class Difference(SignedSum):
    """sub."""

    sign: ClassVar[int] = -1


def in_place_form(node: Node) -> Callable[..., Any] | None:
    """torch's form of an operator that writes over its first argument; None where it has none, as of plain numbers."""
    name, overload = node.base_name + "_", node.operator.rpartition(".")[2]
    return getattr(getattr(torch.ops.aten, name, None), overload, None)


@dataclass(frozen=True)
class AlongAxis(Elementwise):
    """An operator that mixes the values along one axis alone: softmax, cumulative sums, gates, sorting."""

    def channels(self, call: Call, position: int, wanted: ChannelSet) -> ChannelSet:
        axis = channel_axis(call.main.axes, call.main.rank)
        mixes = axis is None or axis == call["dim"] % call.main.rank
        return ALL if mixes else same_channels(call, position, wanted)

    def rules(self, call: Call, operand: Operand) -> Rules:
        dim = call["dim"] % max(operand.rank, 1)
        return tuple(mixed_rule(call, axis, (dim,)) for axis in operand.axes.spatial)

    def axes(self, call: Call) -> Axes:
        return call.main.axes.mixed_along(call["dim"] % max(call.main.rank, 1))


def mixed_rule(call: Call, axis: int | None, dims: Container[int]) -> Pointwise | Whole:
    """Whole along an axis whose values the operator mixes, pointwise along the others."""
    return whole_axis(call, axis) if axis is None or axis in dims else Pointwise()
