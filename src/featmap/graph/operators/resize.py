"""What do padding and interpolation read?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from featmap.geometry import AxisRule, Cubic, IndexSet, Linear, Nearest, Pad, Pointwise, Whole
from featmap.graph.operators.base.call import Axes, Call, Operand
from featmap.graph.operators.base.channels import ChannelSet, channel_axis, shifted
from featmap.graph.operators.base.operator import NotResizable, Operator, Rules, lined_up, node_arguments, same_channels
from featmap.graph.operators.convolution import short


@dataclass(frozen=True)
class Padding(Operator):
    """Padding in every mode; negative padding crops."""

    kind: ClassVar[str] = "pad"
    is_known: ClassVar[bool] = True

    def axes(self, call: Call) -> Axes:
        return call.main.axes

    def rules(self, call: Call, operand: Operand) -> Rules:
        return self._rule(call, operand, operand.axes.row), self._rule(call, operand, operand.axes.column)

    def _rule(self, call: Call, operand: Operand, axis: int | None) -> AxisRule:
        if axis is None:
            return Whole(1)
        before, after = _amounts(call, operand, axis)
        return Pad(before, after, _mode(call)) if (before, after) != (0, 0) else Pointwise()

    def describe(self, call: Call) -> str:
        """What is added to each side, what is taken away with a minus, and with what it is filled."""
        words = [f"{_side(call, at)} {count}" for at, count in enumerate(_given(call)) if count] or ["0"]
        mode, value = call.get("mode", "constant"), call.get("value")
        words += [mode] if mode != "constant" else []
        return ", ".join(words + ([f"value {value}"] if value else []))

    def channels(self, call: Call, position: int, wanted: ChannelSet) -> ChannelSet:
        if not isinstance(wanted, IndexSet) or not self.pads_channels(call):
            return same_channels(call, position, wanted)
        operand = call.operands[position]
        axis = channel_axis(operand.axes, operand.rank)
        assert axis is not None
        before, _ = _amounts(call, operand, axis)
        return shifted(wanted, before, operand.shape[axis])

    def pads_channels(self, call: Call) -> bool:
        """Whether constants stand before or behind the channels: such a channel reads nothing."""
        axis = channel_axis(call.main.axes, call.main.rank)
        return axis is not None and _mode(call) == "constant" and _amounts(call, call.main, axis) != (0, 0)

    def macs(self, call: Call) -> int | None:
        return 0

    def resized(self, call: Call) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return node_arguments(call.node)


_SIDES = ("left", "right", "top", "bottom", "front", "back")


def _side(call: Call, position: int) -> str:
    """Which side an amount is for: torch pads the last axis first, and calls the sides of three axes by name."""
    if position < len(_SIDES):
        return _SIDES[position]
    return f"axis {call.main.rank - 1 - position // 2} {'behind' if position % 2 else 'before'}"


def _given(call: Call) -> list[int]:
    return call.get("pad") or call.get("padding")


def _amounts(call: Call, operand: Operand, axis: int) -> tuple[int, int]:
    """How much is added before and behind one axis."""
    amounts = _given(call)
    position = 2 * (operand.rank - 1 - axis)
    before, after = amounts[position : position + 2] or (0, 0)
    return before, after


def _mode(call: Call) -> str:
    name = call.node.base_name
    for part, mode in (("reflection", "reflect"), ("replication", "replicate"), ("circular", "circular")):
        if part in name:
            return mode
    return call.get("mode", "constant")


@dataclass(frozen=True)
class Interpolation(Operator):
    """Interpolation to another size, by a factor or to a fixed size."""

    kind: ClassVar[str] = "resize"
    is_known: ClassVar[bool] = True

    def describe(self, call: Call) -> str:
        """The factor or the size that is aimed at; the operator's name says how."""
        factors, size = call.get("scale_factors"), call.get("output_size")
        names = [name for name in ("scales_d", "scales_h", "scales_w", "scales") if call.get(name) is not None]
        factors = factors or [call[name] for name in names]
        words = [f"to {' x '.join(map(str, size))}"] if size is not None else []
        words += [f"factor {short(tuple(map(_number, factors)))}"] if factors else []
        return ", ".join(words + (["align_corners"] if call.get("align_corners") else []))

    def axes(self, call: Call) -> Axes:
        return call.plane_axes() if _resized_axes(call) == 2 else call.main.axes

    def rules(self, call: Call, operand: Operand) -> Rules:
        axes = call.out_axes
        return lined_up(call, operand, self._rule(call, axes.row), self._rule(call, axes.column))

    def passes_axis(self, call: Call, operand: Operand, axis: int) -> bool:
        return axis < 2

    def _rule(self, call: Call, axis: int | None) -> AxisRule:
        if axis is None:
            return Whole(1)
        position = axis - (len(call.out_shape) - _resized_axes(call))
        if position < 0:
            return Pointwise()
        outputs = call.out_shape[axis]
        scale = _scale(call, position)
        name = call.node.base_name
        if "_aa" in name:
            return Whole(outputs)
        if "nearest" in name:
            return Nearest(outputs, scale, "exact" in name)
        corners = bool(call.get("align_corners", False))
        return (Cubic if "cubic" in name else Linear)(outputs, scale, corners)

    def channels(self, call: Call, position: int, wanted: ChannelSet) -> ChannelSet:
        return same_channels(call, position, wanted)

    def macs(self, call: Call) -> int | None:
        return 0

    def resized(self, call: Call) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if call.get("output_size") is not None:
            raise NotResizable("an interpolation to a size that may depend on the input")
        return node_arguments(call.node)


def _resized_axes(call: Call) -> int:
    """How many of the last axes are resized."""
    return 3 if "3d" in call.node.base_name else 1 if "1d" in call.node.base_name else 2


def _number(value: float) -> str:
    """A number without a point where it is whole."""
    return str(int(value)) if value == int(value) else str(value)


def _scale(call: Call, position: int) -> float | None:
    factors = call.get("scale_factors")
    if factors is not None:
        return factors[position]
    names = {1: ("scales",), 2: ("scales_h", "scales_w"), 3: ("scales_d", "scales_h", "scales_w")}
    return call.get(names[_resized_axes(call)][position])
