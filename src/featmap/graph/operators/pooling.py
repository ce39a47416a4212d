"""Pools: windows over the trailing axes, and pools to a given size."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from featmap.geometry import Adaptive, AxisRule, Pointwise, Whole, Window
from featmap.graph.graph import items_of
from featmap.graph.operators.base.call import Axes, Call, Operand
from featmap.graph.operators.base.channels import ChannelSet
from featmap.graph.operators.base.operator import (
    NotResizable,
    Rules,
    Weightless,
    lined_up,
    node_arguments,
    same_channels,
)
from featmap.graph.operators.base.regions import WindowKernel, moved_boxes, moves_maps
from featmap.graph.operators.base.roles import Role
from featmap.graph.operators.base.separable import separable
from featmap.graph.operators.base.sides import Side
from featmap.graph.operators.convolution import short
from featmap.graph.operators.reduction import summed_count


@dataclass(frozen=True)
class OverWindows(Weightless):
    """What pools of both kinds share: rows and columns where they make planes, and one rule along each."""

    kind: ClassVar[str] = "pool"
    is_linear: ClassVar[bool] = True
    """Linear given its switches."""
    keeps_rectified: ClassVar[bool] = True

    spatial: int = 2
    """How many of the last axes are pooled."""

    def axes(self, call: Call) -> Axes:
        return call.made_maps(self.spatial)

    def works_over(self, call: Call) -> int | None:
        return self.spatial

    def rules(self, call: Call, operand: Operand) -> Rules:
        return lined_up(call, operand, [self.axis_rule(call, operand, axis) for axis in call.out_axes.spatial])

    def passes_axis(self, call: Call, operand: Operand, axis: int) -> bool:
        return axis < operand.rank - self.spatial

    def axis_rule(self, call: Call, operand: Operand, axis: int | None) -> AxisRule:
        """How the value reads one of the operand's axes."""
        raise NotImplementedError

    def channels(self, call: Call, position: int, wanted: ChannelSet) -> ChannelSet:
        return same_channels(call, position, wanted)


@dataclass(frozen=True)
class Pool(OverWindows):
    """Maximum, average and power pools: windows over the trailing axes, however many those are."""

    def describe(self, call: Call) -> str:
        """Kernel and stride, and of the other settings those that are not as PyTorch has them by default."""
        axes = range(self.spatial)
        kernel = tuple(_at(call["kernel_size"], axis) for axis in axes)
        stride = tuple(_at(call["stride"], axis) for axis in axes) if call.get("stride") else kernel
        padding, dilation = (
            tuple(_at(call.get(name, default), axis) for axis in axes)
            for name, default in (("padding", 0), ("dilation", 1))
        )
        words = [" x ".join(map(str, kernel)), f"stride {short(stride)}"]
        words += [f"padding {short(padding)}"] if any(padding) else []
        words += [f"dilation {short(dilation)}"] if set(dilation) != {1} else []
        words += ["ceil_mode"] if call.get("ceil_mode") else []
        words += ["padding not counted"] if any(padding) and call.get("count_include_pad") is False else []
        divisor = call.get("divisor_override")
        return ", ".join(words + ([f"divided by {divisor}"] if divisor else []))

    def axis_rule(self, call: Call, operand: Operand, axis: int | None) -> AxisRule:
        if axis is None:
            return Whole(1)
        kernel = call["kernel_size"]
        position = axis - (operand.rank - self.spatial)
        if position < 0:
            return Pointwise()
        size = _at(kernel, position)
        stride = _at(call["stride"], position) if call.get("stride") else size
        padding = _at(call.get("padding", 0), position)
        dilation = _at(call.get("dilation", 1), position)
        return Window(size, stride, padding, padding, dilation, bool(call.get("ceil_mode", False)))

    def windows(self, call: Call, operand: Operand) -> WindowKernel | None:
        rules = self.rules(call, operand)
        if moves_maps(call, operand, *rules):
            return moved_boxes(*rules)
        rows, columns = rules
        if self.spatial != 2 or not isinstance(rows, Window) or not isinstance(columns, Window):
            return None
        return self.pooled(call, rows, columns)

    def pooled(self, call: Call, rows: Window, columns: Window) -> WindowKernel | None:
        """How boxes are pooled from gathered windows."""
        return None

    def window_role(self, call: Call, role: Role) -> Role | None:
        """The role, unless a window is larger than its map: what is laid out per place of it would be mostly empty."""
        if self.spatial != 2 or isinstance(call.specs[call.node.index], tuple):
            return None
        rows, columns = self.rules(call, call.main)
        if not isinstance(rows, Window) or not isinstance(columns, Window):
            return None
        height, width = (size or 1 for size in call.main.size)
        return Role.WHOLE if rows.span > height or columns.span > width else role


@dataclass(frozen=True)
class MaxPool(Pool):
    """The maximum of each window."""

    def pooled(self, call: Call, rows: Window, columns: Window) -> WindowKernel | None:
        return WindowKernel(rows, columns, lambda _weights: partial(maximum_pooled, rows, columns), pads_lowest=True)

    def role_in_space(self, call: Call) -> Role | None:
        return self.window_role(call, Role.MAXIMUM)


@dataclass(frozen=True)
class VolumePool(MaxPool):
    """max_pool3d, of volumes with or without an axis of images; torch takes those without as they are captured."""

    needs_contiguous: ClassVar[bool] = True


@dataclass(frozen=True)
class AveragePool(Pool):
    """The mean of each window."""

    def pooled(self, call: Call, rows: Window, columns: Window) -> WindowKernel | None:
        divisor, counts_padding = call.get("divisor_override"), bool(call.get("count_include_pad", True))
        pool = partial(average_pooled, divisor=divisor, counts_padding=counts_padding)
        return WindowKernel(rows, columns, lambda _weights: pool)

    def role_in_space(self, call: Call) -> Role | None:
        return self.window_role(call, Role.AVERAGE)

    def divisors(self, call: Call, rows: Side, columns: Side) -> tuple[Tensor, Tensor] | float:
        """By what each window is divided: how many rows and columns count, (position, output) each; or one number."""
        divisor = call.get("divisor_override")
        if divisor is not None:
            return float(divisor)
        counts_padding = bool(call.get("count_include_pad", True))
        # A box may hold outputs outside of the map, which count nothing and get no signal.
        down, across = (counts(side, counts_padding=counts_padding).clamp_min(1) for side in (rows, columns))
        return down, across


def maximum_pooled(row_rule: Window, column_rule: Window, places: Tensor, *_sides: Side) -> Tensor:
    """A maximum pool without padding."""
    maps = places.permute(0, 3, 1, 2)
    kernel, stride = (row_rule.kernel, column_rule.kernel), (row_rule.stride, column_rule.stride)
    return functional.max_pool2d(maps, kernel, stride, 0, (row_rule.dilation, column_rule.dilation))


def average_pooled(places: Tensor, rows: Side, columns: Side, divisor: int | None, *, counts_padding: bool) -> Tensor:
    """An average pool without padding; every window is divided by as many places as the whole map's pool counts."""
    assert isinstance(rows.rule, Window)
    assert isinstance(columns.rule, Window)
    maps = places.permute(0, 3, 1, 2)
    kernel, stride = (rows.rule.kernel, columns.rule.kernel), (rows.rule.stride, columns.rule.stride)
    sums = functional.avg_pool2d(maps, kernel, stride, 0, divisor_override=divisor or 1)
    if divisor is not None:
        return sums
    heights, widths = (counts(side, counts_padding=counts_padding) for side in (rows, columns))
    factors = (
        heights.repeat_interleave(len(columns.starts), 0)[:, :, None] * widths.repeat(len(rows.starts), 1)[:, None]
    )
    return sums / factors[:, None].to(sums)


def counts(side: Side, *, counts_padding: bool) -> Tensor:
    """How many places of each window count, (position, output)."""
    rule = side.rule
    assert isinstance(rule, Window)
    outputs = side.starts[:, None] + np.arange(side.width)
    first = outputs * rule.stride - rule.before
    last = np.minimum(first + rule.kernel, side.size + rule.after)
    if not counts_padding:
        first, last = np.maximum(first, 0), np.minimum(last, side.size)
    return torch.as_tensor(last - first)


def _at(setting: Any, position: int) -> int:
    values = items_of(setting)
    return values[0] if len(values) == 1 else values[position]


@dataclass(frozen=True)
class AdaptivePool(OverWindows):
    """Pools with a fixed output size."""

    gives_size: ClassVar[bool] = True

    def describe(self, call: Call) -> str:
        """The sizes that come out."""
        return f"to {' x '.join(map(str, call['output_size']))}"

    def axis_rule(self, call: Call, operand: Operand, axis: int | None) -> AxisRule:
        if axis is None:
            return Whole(1)
        if axis < operand.rank - len(call["output_size"]):
            return Pointwise()
        outputs = call.out_shape[axis]
        if outputs == operand.shape[axis]:
            return Pointwise()
        return Whole(1) if outputs == 1 else Adaptive(outputs)

    def resized(self, call: Call) -> tuple[tuple[Any, ...], dict[str, Any]]:
        for before, now, wanted in zip(
            reversed(call.captured_main_shape), reversed(call.main.shape), reversed(call["output_size"]), strict=False
        ):
            # An output as large as the input was may stand for "as it is" (None in the model's code).
            if wanted == before != now:
                raise NotResizable(call.node.operator)
        return node_arguments(call.node)

    def windows(self, call: Call, operand: Operand) -> WindowKernel | None:
        rules = self.rules(call, operand)
        return moved_boxes(*rules) if moves_maps(call, operand, *rules) else None


@dataclass(frozen=True)
class AdaptiveAveragePool(AdaptivePool):
    """Means of blocks of a fixed number."""

    def windows(self, call: Call, operand: Operand) -> WindowKernel | None:
        if self.spatial != 2:
            return super().windows(call, operand)
        return super().windows(call, operand) or separable(call, operand, *self.rules(call, operand))

    def sums_map(self, call: Call) -> float | None:
        count = summed_count(call)
        return 1 / count if count is not None and list(call["output_size"]) == [1, 1] else None
