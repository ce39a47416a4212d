"""Which operators compute a value from the values at the same place? Nonlinearities, arithmetic, normalisation.

Operands are lined up as broadcasting does. An operand with one row that stands against many is read by all of them.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from featmap.geometry import Nearest, Pointwise, Whole
from featmap.graph.operators.base.call import NO_AXES, Axes, Call, Operand
from featmap.graph.operators.base.channels import ALL, ChannelSet, channel_axis
from featmap.graph.operators.base.operator import (
    NotResizable,
    Operator,
    Rules,
    node_arguments,
    reads_images_besides,
    same_channels,
    whole,
    whole_axis,
)
from featmap.graph.operators.base.wording import defaults_of


@dataclass(frozen=True)
class Elementwise(Operator):
    """Arithmetic on values at the same place, broadcast."""

    kind: ClassVar[str] = "pointwise"
    is_known: ClassVar[bool] = True

    def axes(self, call: Call) -> Axes:
        rank = len(call.out_shape)
        found = NO_AXES
        for operand in call.operands:
            if operand.depends_on_input:
                found = joined_axes(found, aligned(operand, rank))
        return found

    def mixes_images(self, call: Call) -> bool:
        rank = len(call.out_shape)
        return len({aligned(operand, rank).batch for operand in call.operands if operand.depends_on_input}) > 1

    def rules(self, call: Call, operand: Operand) -> Rules:
        own = aligned(operand, len(call.out_shape))
        return (
            _axis_rule(call, operand, call.out_axes.row, own.row),
            _axis_rule(call, operand, call.out_axes.column, own.column),
        )

    def channels(self, call: Call, position: int, wanted: ChannelSet) -> ChannelSet:
        return same_channels(call, position, wanted)

    def macs(self, call: Call) -> int | None:
        return 0

    def resized(self, call: Call) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return node_arguments(call.node)


def aligned(operand: Operand, rank: int) -> Axes:
    """The operand's axes after broadcasting has put missing axes in front."""
    return operand.axes.each(lambda axis: axis + rank - operand.rank)


def joined_axes(first: Axes, second: Axes) -> Axes:
    def pick(one: int | None, other: int | None) -> int | None:
        return one if one is not None else other

    return Axes(pick(first.batch, second.batch), pick(first.row, second.row), pick(first.column, second.column))


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
class Like(Elementwise):
    """zeros_like, fill, copy: a value in the shape of another one, whose own values are not read."""

    def axes(self, call: Call) -> Axes:
        return joined_axes(call["self"].axes, super().axes(call))


CLAMPS = ("clamp", "clamp_min", "clip")


@dataclass(frozen=True)
class Nonlinearity(Elementwise):
    """A function of one value, the step from pre-activation z to activation a."""

    kind: ClassVar[str] = "activation"
    is_nonlinearity: ClassVar[bool] = True

    def is_zero_on_a_half_line(self, call: Call) -> bool:
        """Whether everything below some bound becomes 0, as under ReLU: what never rises above it says nothing."""
        name = call.node.base_name
        if name in ("relu", "relu6", "hardswish", "hardsigmoid"):
            return True
        # In torch's words a threshold's value replaces what is not above it.
        lower = {"hardtanh": "min_val", "threshold": "value"}.get(name, "min")
        bound = call.get(lower) if name in ("hardtanh", "threshold", *CLAMPS) else None
        return isinstance(bound, int | float) and bound == 0

    def left_out(self, call: Call) -> Mapping[str, Any]:
        """Few know by heart which slopes and bounds are the usual ones."""
        return {"scale": 1, "input_scale": 1, "approximate": "none"}


@dataclass(frozen=True)
class Sum(Elementwise):
    """Addition; a merge where both sides are maps."""

    kind: ClassVar[str] = "merge"
    is_merge: ClassVar[bool] = True


USUAL_NORM = {"eps": 1e-5, "use_input_stats": True}
"""What PyTorch's layers of normalisation have by default."""


@dataclass(frozen=True)
class Normalization(Elementwise):
    """Normalisation by stored statistics: in evaluation a scale and a shift per channel."""

    kind: ClassVar[str] = "normalization"
    is_normalization: ClassVar[bool] = True

    def left_out(self, call: Call) -> Mapping[str, Any]:
        return {**USUAL_NORM, **defaults_of(call)}

    def axes(self, call: Call) -> Axes:
        # Of four axes the second are channels; where nobody knows the others, they are those of maps.
        found = super().axes(call)
        is_known = found.row is not None or found.column is not None
        return found if is_known or len(call.out_shape) != 4 else call.plane_axes()

    def mixes_images(self, call: Call) -> bool:
        return bool(call.get("training")) or reads_images_besides(call, "input")

    def rules(self, call: Call, operand: Operand) -> Rules:
        # Without stored statistics it takes those of the batch, in evaluation too.
        return whole(call, operand) if call.get("training") else super().rules(call, operand)

    def resized(self, call: Call) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if call.get("training") and call.main.shape[0] != call.captured_main_shape[0]:
            raise NotResizable("statistics of the batch")
        return super().resized(call)


@dataclass(frozen=True)
class LayerNorm(Elementwise):
    """Normalisation over the trailing axes: pointwise in space where those hold channels only."""

    kind: ClassVar[str] = "normalization"
    is_normalization: ClassVar[bool] = True

    def left_out(self, call: Call) -> Mapping[str, Any]:
        return {**USUAL_NORM, **defaults_of(call)}

    def channels(self, call: Call, position: int, wanted: ChannelSet) -> ChannelSet:
        return ALL

    def rules(self, call: Call, operand: Operand) -> Rules:
        if not operand.depends_on_input:
            return super().rules(call, operand)
        first = operand.rank - len(call["normalized_shape"])
        axes = operand.axes
        return _mixed(call, axes.row, range(first, operand.rank)), _mixed(call, axes.column, range(first, operand.rank))


@dataclass(frozen=True)
class MapNorm(Elementwise):
    """Group and instance normalisation: the statistics are the map's own, so every value reads the whole map.

    An instance normalisation that uses stored statistics is a scale and a shift per channel.
    """

    kind: ClassVar[str] = "normalization"
    is_normalization: ClassVar[bool] = True

    def left_out(self, call: Call) -> Mapping[str, Any]:
        return {**USUAL_NORM, **defaults_of(call)}

    def channels(self, call: Call, position: int, wanted: ChannelSet) -> ChannelSet:
        return ALL if _uses_own_statistics(call) else super().channels(call, position, wanted)

    def rules(self, call: Call, operand: Operand) -> Rules:
        return whole(call, operand) if _uses_own_statistics(call) else super().rules(call, operand)


def _uses_own_statistics(call: Call) -> bool:
    return bool(call.get("use_input_stats", True))


@dataclass(frozen=True)
class AlongAxis(Elementwise):
    """An operator that mixes the values along one axis alone: softmax, cumulative sums, gates, sorting."""

    def channels(self, call: Call, position: int, wanted: ChannelSet) -> ChannelSet:
        axis = channel_axis(call.main.axes, call.main.rank)
        mixes = axis is None or axis == call["dim"] % call.main.rank
        return ALL if mixes else same_channels(call, position, wanted)

    def rules(self, call: Call, operand: Operand) -> Rules:
        dim = call["dim"] % max(operand.rank, 1)
        return _mixed(call, operand.axes.row, (dim,)), _mixed(call, operand.axes.column, (dim,))

    def axes(self, call: Call) -> Axes:
        return call.main.axes.mixed_along(call["dim"] % max(call.main.rank, 1))


def _mixed(call: Call, axis: int | None, dims: Container[int]) -> Pointwise | Whole:
    """Whole along an axis whose values the operator mixes, pointwise along the others."""
    return whole_axis(call, axis) if axis is None or axis in dims else Pointwise()
