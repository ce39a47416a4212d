"""Interpolation to another size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

from torch import Tensor

from featmap.geometry import AxisRule, Nearest, Pointwise, Whole
from featmap.graph.graph import Node
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
from featmap.graph.operators.base.separable import separable
from featmap.graph.operators.convolution import short


@dataclass(frozen=True)
class Interpolation(Weightless):
    """Interpolation to another size, by a factor or to a fixed size.

    `rule` makes what one axis reads from (outputs, scale, align_corners); without one it reads everything.
    """

    rule: Callable[[int, float | None, bool], AxisRule] | None = None
    spatial: int = 2

    kind: ClassVar[str] = "resize"
    is_linear: ClassVar[bool] = True
    gives_size: ClassVar[bool] = True

    def describe(self, call: Call) -> str:
        """The factor or the size that is aimed at; the operator's name says how."""
        factors, size = call.get("scale_factors"), call.get("output_size")
        names = [name for name in ("scales_d", "scales_h", "scales_w", "scales") if call.get(name) is not None]
        factors = factors or [call[name] for name in names]
        words = [f"to {' x '.join(map(str, size))}"] if size is not None else []
        words += [f"factor {short(tuple(map(_number, factors)))}"] if factors else []
        return ", ".join(words + (["align_corners"] if call.get("align_corners") else []))

    def axes(self, call: Call) -> Axes:
        return call.made_maps(self.spatial)

    def works_over(self, call: Call) -> int | None:
        return self.spatial

    def rules(self, call: Call, operand: Operand) -> Rules:
        return lined_up(call, operand, [self._rule(call, axis) for axis in call.out_axes.spatial])

    def passes_axis(self, call: Call, operand: Operand, axis: int) -> bool:
        return axis < 2

    def _rule(self, call: Call, axis: int | None) -> AxisRule:
        if axis is None:
            return Whole(1)
        position = axis - (len(call.out_shape) - self.spatial)
        if position < 0:
            return Pointwise()
        outputs, scale = call.out_shape[axis], self._scale(call, position)
        corners = bool(call.get("align_corners", False))
        return Whole(outputs) if self.rule is None else self.rule(outputs, scale, corners)

    def _scale(self, call: Call, position: int) -> float | None:
        factors = call.get("scale_factors")
        if factors is not None:
            return factors[position]
        names = {1: ("scales",), 2: ("scales_h", "scales_w"), 3: ("scales_d", "scales_h", "scales_w")}
        return call.get(names[self.spatial][position])

    def function(self, node: Node) -> Callable[..., Any]:
        # torch 2.13's smoothing ones give other values for channels last, where one column comes out.
        return partial(_of_contiguous, super().function(node)) if self.rule is None else super().function(node)

    def windows(self, call: Call, operand: Operand) -> WindowKernel | None:
        rows, columns = self.rules(call, operand)
        if moves_maps(call, operand, rows, columns):
            return moved_boxes(rows, columns)
        return separable(call, operand, rows, columns) if self.spatial == 2 else None

    def channels(self, call: Call, position: int, wanted: ChannelSet) -> ChannelSet:
        return same_channels(call, position, wanted)

    def resized(self, call: Call) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if call.get("output_size") is not None:
            raise NotResizable("an interpolation to a size that may depend on the input")
        return node_arguments(call.node)


def _number(value: float) -> str:
    """A number without a point where it is whole."""
    return str(int(value)) if value == int(value) else str(value)


def nearest(outputs: int, scale: float | None, _corners: bool) -> AxisRule:
    """The rule of nearest neighbours as torch has long computed it."""
    return Nearest(outputs, scale)


def nearest_exact(outputs: int, scale: float | None, _corners: bool) -> AxisRule:
    """The rule of nearest neighbours by the pixels' centres."""
    return Nearest(outputs, scale, True)


def _of_contiguous(function: Callable[..., Any], maps: Tensor, *settings: Any, **named: Any) -> Tensor:
    return function(maps.contiguous(), *settings, **named)
