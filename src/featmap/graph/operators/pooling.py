"""What do pools and means over space read?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

from featmap.geometry import Adaptive, AxisRule, Pointwise, Whole, Window
from featmap.graph.operators.base.call import Axes, Call, Operand
from featmap.graph.operators.base.channels import ALL, ChannelSet, channel_axis
from featmap.graph.operators.base.operator import (
    NotResizable,
    Operator,
    Rules,
    lined_up,
    node_arguments,
    same_channels,
    whole,
)
from featmap.graph.operators.convolution import short


@dataclass(frozen=True)
class OverWindows(Operator):
    """What pools of both kinds share: rows and columns where they make planes, and one rule along each."""

    kind: ClassVar[str] = "pool"
    is_known: ClassVar[bool] = True

    def axes(self, call: Call) -> Axes:
        return call.plane_axes() if _window_rank(call) == 2 else call.main.axes

    def rules(self, call: Call, operand: Operand) -> Rules:
        axes = call.out_axes
        rows, columns = self.axis_rule(call, operand, axes.row), self.axis_rule(call, operand, axes.column)
        return lined_up(call, operand, rows, columns)

    def passes_axis(self, call: Call, operand: Operand, axis: int) -> bool:
        return axis < operand.rank - _window_rank(call)

    def axis_rule(self, call: Call, operand: Operand, axis: int | None) -> AxisRule:
        """How the value reads one of the operand's axes."""
        raise NotImplementedError

    def channels(self, call: Call, position: int, wanted: ChannelSet) -> ChannelSet:
        return same_channels(call, position, wanted)

    def macs(self, call: Call) -> int | None:
        return 0


@dataclass(frozen=True)
class Pool(OverWindows):
    """Maximum, average and power pools: windows over the trailing axes, however many those are."""

    def describe(self, call: Call) -> str:
        """Kernel and stride, and of the other settings those that are not as PyTorch has them by default."""
        axes = range(_window_rank(call))
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
        position = axis - (operand.rank - _window_rank(call))
        if position < 0:
            return Pointwise()
        size = _at(kernel, position)
        stride = _at(call["stride"], position) if call.get("stride") else size
        padding = _at(call.get("padding", 0), position)
        dilation = _at(call.get("dilation", 1), position)
        return Window(size, stride, padding, padding, dilation, bool(call.get("ceil_mode", False)))

    def resized(self, call: Call) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return node_arguments(call.node)


def _window_rank(call: Call) -> int:
    return 3 if "3d" in call.node.operator else 1 if "1d" in call.node.operator else 2


def _at(setting: Any, position: int) -> int:
    values = list(setting) if isinstance(setting, list | tuple) else [setting]
    return values[0] if len(values) == 1 else values[position]


@dataclass(frozen=True)
class AdaptivePool(OverWindows):
    """Pools with a fixed output size."""

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


@dataclass(frozen=True)
class Reduction(Operator):
    """Mean, sum, maximum, norm over some axes: reads the whole map where those are rows and columns."""

    kind: ClassVar[str] = "reduction"
    words: ClassVar[Mapping[str, str]] = MappingProxyType({"p": "order"})
    is_known: ClassVar[bool] = True

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
        axes = Axes(None if axes.batch in reduced else axes.batch, axes.row, axes.column)
        if keep:
            return axes
        gone_before = [sum(other < axis for other in reduced) for axis in range(call.main.rank)]
        return axes.each(lambda axis: None if axis in reduced else axis - gone_before[axis])

    def rules(self, call: Call, operand: Operand) -> Rules:
        reduced, axes = _reduced(call), operand.axes
        return _reduced_rule(axes.row, reduced), _reduced_rule(axes.column, reduced)

    def channels(self, call: Call, position: int, wanted: ChannelSet) -> ChannelSet:
        axis = channel_axis(call.main.axes, call.main.rank)
        return ALL if axis is None or axis in _reduced(call) else wanted

    def macs(self, call: Call) -> int | None:
        return 0

    def resized(self, call: Call) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return node_arguments(call.node)


def _reduced(call: Call) -> frozenset[int]:
    rank = call.main.rank
    wanted = -1 if call.node.base_name == "pairwise_distance" else call.get("dim")
    if wanted is None or wanted == []:
        return frozenset(range(rank))
    dims = wanted if isinstance(wanted, list | tuple) else [wanted]
    return frozenset(dim % rank for dim in dims)


@dataclass(frozen=True)
class PairReduction(Reduction):
    """pairwise_distance and cosine_similarity: one number for two vectors at the same place."""

    def rules(self, call: Call, operand: Operand) -> Rules:
        is_same = operand.axes == call.main.axes and operand.shape == call.main.shape
        return super().rules(call, operand) if is_same else whole(call, operand)


def _reduced_rule(axis: int | None, reduced: frozenset[int]) -> AxisRule:
    return Whole(1) if axis is None or axis in reduced else Pointwise()
