"""Pixel shuffles, which turn channels into positions and back, and the shuffle of channels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from torch import Tensor
from torch.nn import functional

from featmap.geometry import AxisRule, Pointwise, Repeat, TransposedWindow, Window
from featmap.graph.operators.base.call import Axes, Call, Operand
from featmap.graph.operators.base.operator import whole_axis
from featmap.graph.operators.base.regions import WindowKernel
from featmap.graph.operators.base.sides import Side, cut_boxes, offsets
from featmap.graph.operators.moving.reshape import Moving


@dataclass(frozen=True)
class Planes(Moving):
    """What both pixel shuffles share: the last two axes are rows and columns, each image goes by itself."""

    def passes_axis(self, call: Call, operand: Operand, axis: int) -> bool:
        return operand.rank == 4 and axis == 0

    def axes(self, call: Call) -> Axes:
        return call.map_axes(2)

    def works_over(self, call: Call) -> int | None:
        return 2

    def moved_rule(self, call: Call, axis: int, own: int) -> AxisRule:
        return whole_axis(call, axis) if axis != own else self.plane_rule(call)

    def plane_rule(self, call: Call) -> AxisRule:
        """How rows, and columns, of the value read those of the operand."""
        raise NotImplementedError


@dataclass(frozen=True)
class PixelShuffle(Planes):
    """pixel_shuffle: channels become positions."""

    def plane_rule(self, call: Call) -> AxisRule:
        return Repeat(call["upscale_factor"])

    def windows(self, call: Call, operand: Operand) -> WindowKernel | None:
        # It places as a transposed convolution with windows side by side does.
        factor = call["upscale_factor"]
        rule = TransposedWindow(factor, factor)
        return WindowKernel(rule, rule, lambda _weights: partial(shuffled, factor))


@dataclass(frozen=True)
class PixelUnshuffle(Planes):
    """pixel_unshuffle: positions become channels."""

    def plane_rule(self, call: Call) -> AxisRule:
        return Window(call["downscale_factor"], call["downscale_factor"])

    def divides_places(self, call: Call) -> bool:
        return True

    def windows(self, call: Call, operand: Operand) -> WindowKernel | None:
        rows, columns = self.rules(call, operand)
        return WindowKernel(rows, columns, lambda _weights: partial(unshuffled, call["downscale_factor"]))


def shuffled(factor: int, places: Tensor, rows: Side, columns: Side) -> Tensor:
    """A pixel shuffle of gathered positions, cut to the boxes."""
    full = functional.pixel_shuffle(places.permute(0, 3, 1, 2), factor)
    return cut_boxes(full, offsets(rows), rows.width, offsets(columns), columns.width)


def unshuffled(factor: int, places: Tensor, *_sides: Side) -> Tensor:
    """Gathered blocks of positions as channels."""
    return functional.pixel_unshuffle(places.permute(0, 3, 1, 2), factor)


@dataclass(frozen=True)
class ChannelShuffle(Moving):
    """channel_shuffle: channels change places, pixels do not."""

    def axes(self, call: Call) -> Axes:
        return call.main.axes

    def moved_rule(self, call: Call, axis: int, own: int) -> AxisRule:
        return whole_axis(call, axis) if own == 1 else Pointwise()
