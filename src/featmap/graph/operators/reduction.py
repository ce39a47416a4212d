"""Reductions over some axes: means, sums, extremes, norms, distances of pairs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from types import MappingProxyType
from typing import Any, ClassVar

from featmap.geometry import AxisRule, Pointwise, Whole
from featmap.graph.graph import items_of
from featmap.graph.operators.base.call import Axes, Call, Operand
from featmap.graph.operators.base.channels import ALL, ChannelSet, channel_axis
from featmap.graph.operators.base.operator import Rules, Weightless, whole


@dataclass(frozen=True)
class Reduction(Weightless):
    """Mean, sum, maximum, norm over some axes: reads the whole map where those are rows and columns."""

    kind: ClassVar[str] = "reduction"
    words: ClassVar[Mapping[str, str]] = MappingProxyType({"p": "order"})

    def describe(self, call: Call) -> str:
        """The axes first; a variance's correction, and the order of a norm, always."""
        everything = "all axes" if call.get("dim") in (None, []) else ""
        return ", ".join(text for text in (everything, super().describe(call)) if text)

    def stated(self, call: Call) -> dict[str, Any]:
        found = super().stated(call)
        # torch takes a correction that is not given for 1.
        return {**found, "correction": 1} if "correction" in found and found["correction"] is None else found

    def left_out(self, call: Call) -> Mapping[str, Any]:
        return {"keepdim": False}

    def axes(self, call: Call) -> Axes:
        reduced, keep = _reduced(call), bool(call.get("keepdim", False))
        axes = call.main.axes
        # What is reduced over the images belongs to none of them any more, also where the axis is kept.
        axes = axes.without_batch() if axes.batch in reduced else axes
        if keep:
            return axes
        gone_before = [sum(other < axis for other in reduced) for axis in range(call.main.rank)]
        return axes.each(lambda axis: None if axis in reduced else axis - gone_before[axis])

    def rules(self, call: Call, operand: Operand) -> Rules:
        reduced = _reduced(call)
        return tuple(_reduced_rule(axis, reduced) for axis in operand.axes.spatial)

    def channels(self, call: Call, position: int, wanted: ChannelSet) -> ChannelSet:
        axis = channel_axis(call.main.axes, call.main.rank)
        return ALL if axis is None or axis in _reduced(call) else wanted


@dataclass(frozen=True)
class Average(Reduction):
    """mean."""

    is_linear: ClassVar[bool] = True
    keeps_rectified: ClassVar[bool] = True

    def sums_map(self, call: Call) -> float | None:
        count = _reduced_count(call)
        return None if count is None else 1 / count


@dataclass(frozen=True)
class Total(Reduction):
    """sum."""

    is_linear: ClassVar[bool] = True

    def sums_map(self, call: Call) -> float | None:
        return None if _reduced_count(call) is None else 1.0


@dataclass(frozen=True)
class Largest(Reduction):
    """amax."""

    keeps_rectified: ClassVar[bool] = True


def summed_count(call: Call) -> int | None:
    """How many positions a map has, where the call reads one map of images of which there is something to sum."""
    main = call.main
    if main.axes.batch != 0 or len(call.node.inputs) != 1 or not main.axes.has_space:
        return None
    count = prod(main.shape[axis] for axis in main.axes.in_space)
    return None if count == 1 else count


def _reduced_count(call: Call) -> int | None:
    """The same, where exactly the axes of its maps are reduced."""
    dims, axes = call.get("dim"), call.main.axes
    is_space = dims is not None and {dim % call.main.rank for dim in dims} == set(axes.spatial)
    return summed_count(call) if is_space else None


def _reduced(call: Call) -> frozenset[int]:
    rank = call.main.rank
    wanted = call.get("dim", -1 if "x2" in call.arguments else None)
    if wanted is None or wanted == []:
        return frozenset(range(rank))
    return frozenset(dim % rank for dim in items_of(wanted))


@dataclass(frozen=True)
class PairReduction(Reduction):
    """pairwise_distance and cosine_similarity: one number for two vectors at the same place."""

    def rules(self, call: Call, operand: Operand) -> Rules:
        is_same = operand.axes == call.main.axes and operand.shape == call.main.shape
        return super().rules(call, operand) if is_same else whole(call, operand)


def _reduced_rule(axis: int | None, reduced: frozenset[int]) -> AxisRule:
    return Whole(1) if axis is None or axis in reduced else Pointwise()
