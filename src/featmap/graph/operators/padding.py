"""Padding in every mode."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor

from featmap.geometry import AxisRule, IndexSet, Pad, Pointwise, Whole
from featmap.graph.operators.base.call import Axes, Call, Operand
from featmap.graph.operators.base.channels import ChannelSet, channel_axis, shifted
from featmap.graph.operators.base.operator import Rules, Weightless, same_channels
from featmap.graph.operators.base.regions import WindowKernel, moved_boxes, moves_maps, space
from featmap.graph.operators.base.roles import Role
from featmap.graph.operators.base.sides import BORDER, Side


@dataclass(frozen=True)
class Padding(Weightless):
    """Padding in every mode; negative padding crops. `mode`: of an operator that has one by its name."""

    mode: str | None = None

    kind: ClassVar[str] = "pad"
    is_linear: ClassVar[bool] = True

    def axes(self, call: Call) -> Axes:
        return call.main.axes

    def rules(self, call: Call, operand: Operand) -> Rules:
        return tuple(self._rule(call, operand, axis) for axis in operand.axes.spatial)

    def _rule(self, call: Call, operand: Operand, axis: int | None) -> AxisRule:
        if axis is None:
            return Whole(1)
        before, after = _amounts(call, operand, axis)
        return Pad(before, after, self.mode_of(call)) if (before, after) != (0, 0) else Pointwise()

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
        return axis is not None and self.mode_of(call) == "constant" and _amounts(call, call.main, axis) != (0, 0)

    def mode_of(self, call: Call) -> Any:
        """The mode of a call."""
        return self.mode or call.get("mode", "constant")

    def windows(self, call: Call, operand: Operand) -> WindowKernel | None:
        rows, columns = self.rules(call, operand)
        padded = {call.main.rank - 1 - at // 2 for at, amount in enumerate(_given(call)) if amount}
        if not (padded <= space(call) and moves_maps(call, operand, rows, columns)):
            return None
        fill = float(call.get("value") or 0)
        return (
            WindowKernel(rows, columns, lambda _weights: partial(_filled, fill)) if fill else moved_boxes(rows, columns)
        )

    def role_in_space(self, call: Call) -> Role | None:
        is_constant = all(getattr(rule, "mode", None) == "constant" for rule in self.rules(call, call.main))
        is_of_planes = not any(_given(call)[4:]) and call.out_axes.spatial == (2, 3)
        return Role.SHIFT if is_constant and is_of_planes else None


def _filled(fill: float, places: Tensor, rows: Side, columns: Side) -> Tensor:
    """Gathered boxes with a number on the border."""
    outside_rows, outside_columns = rows.sources() == BORDER, columns.sources() == BORDER
    outside = outside_rows[:, None, :, None] | outside_columns[None, :, None]
    made = places.permute(0, 3, 1, 2)
    return made.masked_fill(torch.as_tensor(outside).reshape(len(made), 1, *made.shape[2:]).to(made.device), fill)


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
