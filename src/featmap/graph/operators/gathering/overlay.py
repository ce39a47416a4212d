"""Values that are one tensor with another laid over a part of it, as slice assignments do."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import ClassVar

from featmap.geometry import AxisRule, IndexSet, Outside, Pointwise, Slice, TransposedWindow
from featmap.graph.operators.base.call import Axes, Call, Operand
from featmap.graph.operators.base.channels import ALL, SOME, ChannelSet, channel_axis
from featmap.graph.operators.base.operator import Rules, lined_up, pairs, same_channels, whole, whole_axis
from featmap.graph.operators.base.regions import constant_shapes
from featmap.graph.operators.moving.reshape import Moving
from featmap.graph.operators.pointwise import joined_axes


@dataclass(frozen=True)
class Overlay(Moving):
    """slice_scatter: `src` on some positions of one axis, `self` on all others."""

    selects: ClassVar[bool] = False
    """Whether one position is laid over, along an axis that `src` does not have."""

    def axes(self, call: Call) -> Axes:
        joined = joined_axes(call["self"].axes, self.source_axes(call))
        covers_all = len(self.covered(call)) == call.out_shape[_dim(call)]
        if _dim(call) == joined.batch:
            # Of one image many slices are everything; of more images only the one from the first on without an end.
            covers_all = covers_all and not self.selects and _takes_any_number(call)
        return joined if covers_all else joined.mixed_along(_dim(call))

    def mixes_images(self, call: Call) -> bool:
        return bool(constant_shapes(call))

    def rules(self, call: Call, operand: Operand) -> Rules:
        if call["self"].index == call["src"].index:
            return whole(call, operand)
        if operand.index == call["self"].index:
            return lined_up(call, operand, [self._rest(call, axis) for axis in call.out_axes.spatial])
        return tuple(self._laid(call, axis, own) for axis, own in pairs(call.out_axes, self.source_axes(call)))

    def _rest(self, call: Call, axis: int | None) -> AxisRule:
        """How the value reads `self` along one axis."""
        if axis is None or axis != _dim(call):
            return Pointwise()
        covered = self.covered(call)
        return Outside(Slice(covered.start, covered.stop, covered.step))

    def _laid(self, call: Call, axis: int | None, own: int | None) -> AxisRule:
        """How the value reads `src` along one axis."""
        covered = self.covered(call)
        if axis is None or axis != own or not covered:
            return whole_axis(call, axis)
        if axis != _dim(call):
            return Pointwise()
        behind = covered[-1] + 1 - call.out_shape[axis]
        return TransposedWindow(1, covered.step, -covered.start, behind)

    def channels(self, call: Call, position: int, wanted: ChannelSet) -> ChannelSet:
        if not self.is_along_channels(call):
            return same_channels(call, position, wanted)
        if wanted is SOME:
            return SOME
        covered, every = self.covered(call), range(call.out_shape[_dim(call)])
        asked = every if wanted is ALL else [channel for channel in every if channel in wanted]
        if call.operands[position].index == call["self"].index:
            return IndexSet.of(channel for channel in asked if channel not in covered)
        found = IndexSet.of(covered.index(channel) for channel in asked if channel in covered)
        return ALL if found and self.selects else found

    def is_along_channels(self, call: Call) -> bool:
        """Whether some channels come from `src` and the others from `self`."""
        return channel_axis(call.out_axes, len(call.out_shape)) == _dim(call)

    def covered(self, call: Call) -> range:
        """The positions on which `src` lies."""
        return range(*slice(call["start"], call["end"], call["step"]).indices(call.out_shape[_dim(call)]))

    def source_axes(self, call: Call) -> Axes:
        """The axes of `src`, counted as the value's."""
        axes: Axes = call["src"].axes
        return axes


@dataclass(frozen=True)
class SelectOverlay(Overlay):
    """select_scatter: `src` on one position of an axis that `src` does not have."""

    selects: ClassVar[bool] = True

    def may_skip(self, call: Call, operand: Operand) -> bool:
        # The one position that is laid over reads `src`, the others do not.
        return operand.index == call["src"].index

    def covered(self, call: Call) -> range:
        index = call["index"] % call.out_shape[_dim(call)]
        return range(index, index + 1)

    def source_axes(self, call: Call) -> Axes:
        axes: Axes = call["src"].axes
        return axes.each(lambda axis: axis + (axis >= _dim(call)))


def _dim(call: Call) -> int:
    return call["dim"] % len(call.out_shape)


def _takes_any_number(call: Call) -> bool:
    """Whether a slice covers the whole axis however long it is."""
    return not call["start"] and call["step"] == 1 and (call["end"] or sys.maxsize) > 2**31
