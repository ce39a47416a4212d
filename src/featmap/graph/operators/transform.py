"""Fourier transforms, and complex numbers as pairs of real ones."""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from featmap.geometry import AxisRule, Pointwise
from featmap.graph.graph import Node
from featmap.graph.operators.base.call import Axes, Call, Operand
from featmap.graph.operators.base.channels import ALL, ChannelSet, channel_axis
from featmap.graph.operators.base.operator import Rules, same_channels, whole_axis
from featmap.graph.operators.moving.reshape import Moving
from featmap.graph.operators.pointwise import Elementwise


@dataclass(frozen=True)
class Transform(Elementwise):
    """fft and its kin: all values along the transformed axes, the same place of all others.

    What a transform costs depends on how it is done; nobody counts it here.
    """

    kind: ClassVar[str] = "transform"
    joins_positions: ClassVar[bool] = False
    is_linear: ClassVar[bool] = True

    def axes(self, call: Call) -> Axes:
        axes = call.main.axes
        for dim in _dims(call):
            axes = axes.mixed_along(dim)
        return axes

    def rules(self, call: Call, operand: Operand) -> Rules:
        dims = _dims(call)
        return tuple(_along(call, axis, dims) for axis in operand.axes.spatial)

    def channels(self, call: Call, position: int, wanted: ChannelSet) -> ChannelSet:
        axis = channel_axis(call.main.axes, call.main.rank)
        return ALL if axis is None or axis in _dims(call) else same_channels(call, position, wanted)

    def macs(self, call: Call) -> int | None:
        return None


@dataclass(frozen=True)
class Shift(Transform):
    """fft_fftshift and fft_ifftshift: halves of axes change places."""

    def macs(self, call: Call) -> int | None:
        return 0


def _along(call: Call, axis: int | None, dims: Container[int]) -> AxisRule:
    return whole_axis(call, axis) if axis is None or axis in dims else Pointwise()


def _dims(call: Call) -> set[int]:
    """The axes that are transformed: those that are named, else as many of the last as there are sizes, else all."""
    rank, dims = call.main.rank, call.get("dim")
    if dims is None:
        sizes = call.get("s")
        return set(range(rank)) if sizes is None else set(range(rank - len(sizes), rank))
    return {dim % rank for dim in ([dims] if isinstance(dims, int) else dims)}


@dataclass(frozen=True)
class Pairs(Moving):
    """view_as_real: the real and the imaginary part on a last axis of their own."""

    def axes(self, call: Call) -> Axes:
        return call.main.axes.each(lambda axis: axis if axis < len(call.out_shape) else None)


@dataclass(frozen=True)
class ComplexPairs(Pairs):
    """view_as_complex."""

    def function(self, node: Node) -> Callable[..., Any]:
        return _as_complex


def _as_complex(pairs: Tensor) -> Tensor:
    """view_as_complex of values whose pairs need not lie side by side in memory."""
    return torch.view_as_complex(pairs.contiguous())
