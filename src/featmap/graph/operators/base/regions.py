"""How an operator call runs on regions of its value: decided by structure alone, before anything runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from torch import Tensor

from featmap.geometry import AxisRule
from featmap.graph.operators.base.call import Axes, Call, Operand
from featmap.graph.operators.base.sides import Side, is_moving

Rules = tuple[AxisRule, ...]
Weights: TypeAlias = "tuple[Tensor, Tensor | None] | None"
"""Weight and bias of a convolution as they are run, folded and in the run's own type."""

Kernel = Callable[[Tensor, Side, Side], Tensor]
"""From what is gathered, (image, row, column, channel), and its sides to the boxes, (image, channel, row, column)."""


class Region(Enum):
    """How a value is computed where its input changed."""

    DIRECT = "every position from the same position of one value"
    WINDOWED = "boxes from gathered boxes of one value"
    MERGED = "boxes from the same boxes of several values"
    MEAN = "by the change of the sum over the whole map"
    DENSE = "in full"

    @property
    def is_regional(self) -> bool:
        """Whether boxes of the value are computed from boxes of what it reads."""
        return self in (Region.DIRECT, Region.WINDOWED, Region.MERGED)


@dataclass(frozen=True)
class WindowKernel:
    """How boxes of a value are computed from gathered boxes of one value, with the map's true borders.

    `rows` and `columns` say what is gathered. `kernel` makes the function that computes the boxes, from the weights of
    this run where the operator is a convolution. `pads_lowest`: what lies outside of the map counts as minus infinity.
    """

    rows: AxisRule
    columns: AxisRule
    kernel: Callable[[Weights], Kernel]
    pads_lowest: bool = False


def moved_boxes(rows: AxisRule, columns: AxisRule) -> WindowKernel:
    """Boxes of a value each of which positions is one position of what it reads."""
    return WindowKernel(rows, columns, lambda _weights: _as_gathered)


def _as_gathered(places: Tensor, _rows: Side, _columns: Side) -> Tensor:
    return places.permute(0, 3, 1, 2)


def moves_maps(call: Call, operand: Operand, rows: AxisRule, columns: AxisRule) -> bool:
    """Whether every position of the value is one of the operand, or border, and the channels stay as many."""
    same = _channels(operand.shape, operand.axes) == _channels(call.out_shape, call.out_axes)
    return same and is_moving(rows) and is_moving(columns)


def _channels(shape: tuple[int, ...], axes: Axes) -> list[int]:
    return [size for axis, size in enumerate(shape) if axis not in axes.known]


def space(call: Call) -> set[int | None]:
    """The axes of the value's maps."""
    return set(call.out_axes.spatial)


def is_of_maps(call: Call) -> bool:
    """Whether the value has an axis of images, one of channels, and those of its maps."""
    return len(call.out_shape) == len(call.out_axes.spatial) + 2


def variable(call: Call) -> list[Operand]:
    """The operands that depend on the input."""
    return [operand for operand in call.operands if operand.depends_on_input]


def keeps_positions(call: Call) -> bool:
    """Whether the value holds maps of images, so that it can be kept as patches."""
    return call.out_axes.has_space and call.out_axes.batch == 0


def is_aligned(call: Call) -> bool:
    """Whether all operands that depend on the input are maps of the value's own size with the same order of axes."""
    axes, shape = call.out_axes, call.out_shape
    size = tuple(1 if axis is None else shape[axis] for axis in axes.spatial)
    return all(o.axes == axes and o.size == size for o in variable(call))


def reads_one(call: Call) -> bool:
    """Whether the first operand alone depends on the input."""
    depends = [operand.depends_on_input for operand in call.operands]
    return depends[:1] == [True] and not any(depends[1:])


def constant_shapes(call: Call) -> list[tuple[int, ...]]:
    """The shapes of the operands that no image changes."""
    weights = [call.graph.weights[name].spec.shape for name in call.node.weights]
    return weights + [operand.shape for operand in call.operands if not operand.depends_on_input]


def has_map_of_weights(call: Call) -> bool:
    """Whether a constant operand differs from position to position (a learned position embedding, say)."""
    rank, axes = len(call.out_shape), call.out_axes
    return any(
        len(shape) >= rank - axis and shape[axis - rank] > 1
        for shape in constant_shapes(call)
        for axis in axes.in_space
    )


def has_weights_in_space(call: Call) -> bool:
    """Whether the axis of one weight per channel, the second, is one of the maps: maps with their channels last."""
    return 1 in space(call)
