"""Operators that lay copies of a map, or windows of it, side by side: repeat, roll, unfold.

Along an axis whose order changes in a way that no rule describes a value reads everything, along all others its own
place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from featmap.geometry import AxisRule, Nearest, Pointwise, Repeat
from featmap.graph.operators.base.call import NO_AXES, Axes, Call
from featmap.graph.operators.base.operator import whole_axis
from featmap.graph.operators.moving.reshape import Moving


@dataclass(frozen=True)
class Roll(Moving):
    """roll: one axis, or several, turned round."""

    def axes(self, call: Call) -> Axes:
        axes = call.main.axes if call["dims"] else NO_AXES
        for dim in _dims(call):
            axes = axes.mixed_along(dim)
        return axes

    def moved_rule(self, call: Call, axis: int, own: int) -> AxisRule:
        return whole_axis(call, axis) if own in _dims(call) else Pointwise()


def _dims(call: Call) -> list[int]:
    return [dim % call.main.rank for dim in call["dims"]]


@dataclass(frozen=True)
class Unfold(Moving):
    """unfold: windows of one axis, their places on a new last axis."""

    def axes(self, call: Call) -> Axes:
        return call.main.axes.mixed_along(call["dimension"] % call.main.rank)

    def moved_rule(self, call: Call, axis: int, own: int) -> AxisRule:
        # A unit of one channel reads one place of its window: the window itself would promise too much.
        return whole_axis(call, axis) if own == call["dimension"] % call.main.rank else Pointwise()


@dataclass(frozen=True)
class Repetition(Moving):
    """repeat and tile: the whole of an axis again and again, new axes in front."""

    def stated(self, call: Call) -> dict[str, Any]:
        found = super().stated(call)
        return {"repeats": found["dims"] if "dims" in found else found["repeats"]}

    def axes(self, call: Call) -> Axes:
        shift, batch = len(call.out_shape) - call.main.rank, call.main.axes.batch
        axes = call.main.axes.each(lambda axis: axis + shift)
        if batch is None or call.out_shape[batch + shift] == call.main.shape[batch]:
            return axes
        return axes.mixed_along(batch + shift)

    def moved_rule(self, call: Call, axis: int, own: int) -> AxisRule:
        before, after = call.main.shape[own], call.out_shape[axis]
        if before == 1 < after:
            return Nearest(outputs=after)
        return Pointwise() if before == after else whole_axis(call, axis)


@dataclass(frozen=True)
class RepeatedUnits(Moving):
    """repeat_interleave: each position of one axis several times."""

    def moves_positions_alone(self, call: Call) -> bool:
        return True

    def axes(self, call: Call) -> Axes:
        if call["dim"] is None or not isinstance(call["repeats"], int):
            return NO_AXES
        return call.main.axes.mixed_along(call["dim"] % call.main.rank)

    def moved_rule(self, call: Call, axis: int, own: int) -> AxisRule:
        return Repeat(call["repeats"]) if own == call["dim"] % call.main.rank else Pointwise()
