"""Reshapes, permutes, expansions and mirror images: where rows and columns go.

A reshape keeps an axis where that axis stands alone in both shapes. The same correspondence gives the reshape's numbers
at another input size, unless an axis of the new size would have to be split.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from math import prod
from types import MappingProxyType
from typing import Any, ClassVar

import torch

from featmap.geometry import AxisRule, Flip, Pointwise, Whole
from featmap.graph.graph import Node, TensorSpec, items_of
from featmap.graph.operators.base.call import Axes, Call, Operand
from featmap.graph.operators.base.channels import ALL, SOME, ChannelSet
from featmap.graph.operators.base.operator import NotResizable, Rules, Weightless, along_each, node_arguments
from featmap.graph.operators.base.regions import WindowKernel, moved_boxes, moves_maps, space
from featmap.graph.operators.pointwise import Elementwise

AxisGroups = list[tuple[list[int], list[int]]]


@dataclass(frozen=True)
class Moving(Weightless):
    """Operators that move values without computing: the rules follow from where the axes went."""

    kind: ClassVar[str] = "shape"
    is_linear: ClassVar[bool] = True
    may_be_view: ClassVar[bool] = True
    keeps_rectified: ClassVar[bool] = True

    def rules(self, call: Call, operand: Operand) -> Rules:
        return along_each(call, operand, partial(self._rule, call))

    def _rule(self, call: Call, axis: int | None, own: int | None) -> AxisRule:
        if axis is None or own is None:
            return Whole(1 if axis is None else call.out_shape[axis])
        return self.moved_rule(call, axis, own)

    def moved_rule(self, call: Call, axis: int, own: int) -> AxisRule:
        """How the value's axis reads the operand's axis that it comes from."""
        return Pointwise()

    def moves_positions_alone(self, call: Call) -> bool:
        """Whether rows and columns are moved and nothing else, so that boxes of the value are boxes of the operand."""
        return False

    def windows(self, call: Call, operand: Operand) -> WindowKernel | None:
        return windows_of_moves(self.rules(call, operand), call, operand) if self.moves_positions_alone(call) else None

    def channels(self, call: Call, position: int, wanted: ChannelSet) -> ChannelSet:
        return ALL if wanted is ALL else SOME


def windows_of_moves(rules: Rules, call: Call, operand: Operand) -> WindowKernel | None:
    """Boxes as they are gathered, where every position of the value is one of the operand."""
    return moved_boxes(*rules) if moves_maps(call, operand, *rules) else None


def axis_groups(before: tuple[int, ...], after: tuple[int, ...]) -> AxisGroups:
    """Which axes of a reshaped value hold the same numbers as which axes before.

    >>> axis_groups((1, 116, 28, 28), (1, 2, 58, 28, 28))
    [([0], [0]), ([1], [1, 2]), ([2], [3]), ([3], [4])]
    >>> axis_groups((1, 512, 7, 7), (1, 25088))
    [([0], [0]), ([1, 2, 3], [1])]
    """
    groups: AxisGroups = []
    left = right = 0
    while left < len(before) or right < len(after):
        ours, theirs = [left] if left < len(before) else [], [right] if right < len(after) else []
        left, right = left + len(ours), right + len(theirs)
        while prod(before[i] for i in ours) != prod(after[i] for i in theirs):
            if prod(before[i] for i in ours) < prod(after[i] for i in theirs):
                ours.append(left)
                left += 1
            else:
                theirs.append(right)
                right += 1
        groups.append((ours, theirs))
    return groups


@dataclass(frozen=True)
class Reshape(Moving):
    """flatten and unflatten; what all reshapes share."""

    keeps_order: ClassVar[bool] = True

    words: ClassVar[Mapping[str, str]] = MappingProxyType(
        {"size": "to", "sizes": "to", "start_dim": "from axis", "end_dim": "to axis"}
    )

    def stated(self, call: Call) -> dict[str, Any]:
        found = super().stated(call)
        return {"size": list(call.out_shape)} if {"size", "shape"} & found.keys() else found

    def axes(self, call: Call) -> Axes:
        return call.main.axes.each(self.where_axes_went(call).get)

    def where_axes_went(self, call: Call) -> dict[int, int]:
        """For every axis that stands alone in both shapes its number in the value's shape."""
        return _where_axes_went(call)


@dataclass(frozen=True)
class View(Reshape):
    """view and reshape: to sizes that the call names."""

    def function(self, node: Node) -> Callable[..., Any]:
        # Values may lie in memory channels last, where a view of the captured order does not exist.
        return torch.ops.aten.reshape.default

    def resized(self, call: Call) -> tuple[tuple[Any, ...], dict[str, Any]]:
        captured = call.node.spec
        assert isinstance(captured, TensorSpec)
        sizes = resized_shape(call.captured_main_shape, call.main.shape, captured.shape)
        return (call.node.args[0], sizes), {}


@dataclass(frozen=True)
class Bits(Weightless):
    """view with a type: the same memory read as numbers of another type, of which there may be more or fewer."""

    kind: ClassVar[str] = "shape"
    needs_contiguous: ClassVar[bool] = True


@dataclass(frozen=True)
class ViewAs(Reshape):
    """reshape_as and view_as: to the shape of another value."""

    def function(self, node: Node) -> Callable[..., Any]:
        return torch.ops.aten.reshape_as.default


@dataclass(frozen=True)
class Unsqueeze(Reshape):
    """unsqueeze: a new axis of size one."""

    def axis_count(self, call: Call) -> int:
        return len(call.out_shape)

    def where_axes_went(self, call: Call) -> dict[int, int]:
        rank = call.main.rank
        return {axis: axis + (axis >= call["dim"] % (rank + 1)) for axis in range(rank)}


@dataclass(frozen=True)
class Squeeze(Reshape):
    """squeeze: axes of size one go away."""

    def where_axes_went(self, call: Call) -> dict[int, int]:
        shape, rank, dim = call.main.shape, call.main.rank, call.get("dim")
        dims = range(rank) if dim is None else items_of(dim)
        gone = {axis % rank for axis in dims if shape[axis] == 1}
        return {axis: number for number, axis in enumerate(axis for axis in range(rank) if axis not in gone)}


def _where_axes_went(call: Call) -> dict[int, int]:
    before, after = call.main.shape, call.out_shape
    found: dict[int, int] = {}
    for ours, theirs in axis_groups(before, after):
        if len(ours) > 1 or len(theirs) > 1:
            # Axes of size one hold nothing, so that an axis among them still stands alone.
            ours, theirs = [i for i in ours if before[i] != 1], [i for i in theirs if after[i] != 1]
        if len(ours) == 1 and len(theirs) == 1:
            found[ours[0]] = theirs[0]
    return found


def resized_shape(before: tuple[int, ...], now: tuple[int, ...], after: tuple[int, ...]) -> list[int]:
    """The shape that a reshape from `before` to `after` has when its input has the shape `now`.

    >>> resized_shape((1, 116, 28, 28), (8, 116, 14, 14), (1, 2, 58, 28, 28))
    [8, 2, 58, 14, 14]
    """
    sizes = list(after)
    for ours, theirs in axis_groups(before, after):
        old, new = prod(before[i] for i in ours), prod(now[i] for i in ours)
        if old == new:
            continue
        carriers = [i for i in theirs if after[i] == old] if len(theirs) > 1 else theirs
        if len(carriers) != 1:
            raise NotResizable("a reshape splits an axis whose size depends on the input")
        sizes[carriers[0]] = new
    return sizes


@dataclass(frozen=True)
class Permute(Moving):
    """permute: axes in another order."""

    words: ClassVar[Mapping[str, str]] = MappingProxyType({"dims": "order"})

    def axes(self, call: Call) -> Axes:
        to = {old: new for new, old in enumerate(self.order(call))}
        return call.main.axes.each(to.__getitem__)

    def order(self, call: Call) -> list[int]:
        """For every axis of the value the operand's axis that it is."""
        return [dim % call.main.rank for dim in call["dims"]]


@dataclass(frozen=True)
class Transpose(Permute):
    """transpose, swapaxes, t, mT: two axes change places, the last two where a call names none."""

    def order(self, call: Call) -> list[int]:
        rank = call.main.rank
        order = list(range(rank))
        names = next((names for names in (("dim0", "dim1"), ("axis0", "axis1")) if names[0] in call.arguments), None)
        first, second = (call[name] % rank for name in names) if names else (rank - 2, rank - 1)
        order[first], order[second] = order[second], order[first]
        return order


@dataclass(frozen=True)
class Reversal(Permute):
    """numpy_T: all axes in the reverse order."""

    def order(self, call: Call) -> list[int]:
        return list(range(call.main.rank))[::-1]


@dataclass(frozen=True)
class MoveAxes(Permute):
    """movedim: some axes at other places."""

    def order(self, call: Call) -> list[int]:
        return _moved(list(range(call.main.rank)), call["source"], call["destination"])


def _moved(order: list[int], source: int | list[int], destination: int | list[int]) -> list[int]:
    """Some axes at other places, all others in their order.

    >>> _moved([0, 1, 2, 3], 1, -1)
    [0, 2, 3, 1]
    """
    rank = len(order)
    sources = [axis % rank for axis in ([source] if isinstance(source, int) else source)]
    places = [axis % rank for axis in ([destination] if isinstance(destination, int) else destination)]
    others = iter(axis for axis in order if axis not in sources)
    return [sources[places.index(place)] if place in places else next(others) for place in order]


@dataclass(frozen=True)
class Expand(Elementwise):
    """expand: axes of size one repeated."""

    kind: ClassVar[str] = "shape"
    joins_positions: ClassVar[bool] = False
    is_linear: ClassVar[bool] = True
    may_be_view: ClassVar[bool] = True
    keeps_rectified: ClassVar[bool] = True
    words: ClassVar[Mapping[str, str]] = MappingProxyType({"size": "to"})

    def stated(self, call: Call) -> dict[str, Any]:
        return {"size": list(call.out_shape)}

    def windows(self, call: Call, operand: Operand) -> WindowKernel | None:
        return windows_of_moves(self.rules(call, operand), call, operand)

    def resized(self, call: Call) -> tuple[tuple[Any, ...], dict[str, Any]]:
        captured = call.node.spec
        assert isinstance(captured, TensorSpec)
        before = call.captured_main_shape
        shift = len(captured.shape) - len(before)
        sizes = list(captured.shape)
        in_space = call.main.axes.in_space
        for axis, (old, new) in enumerate(zip(before, call.main.shape, strict=True)):
            if old != new and old == captured.shape[axis + shift]:
                sizes[axis + shift] = new
            elif old == 1 and captured.shape[axis + shift] != 1 and axis in in_space and call.main.shape != before:
                raise NotResizable("an expansion to a size that may depend on the input")
        return (call.node.args[0], sizes), {}


@dataclass(frozen=True)
class ExpandAs(Expand):
    """expand_as: to the shape of another value."""

    def stated(self, call: Call) -> dict[str, Any]:
        return {}

    def resized(self, call: Call) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return node_arguments(call.node)


@dataclass(frozen=True)
class Reverse(Moving):
    """flip."""

    def axes(self, call: Call) -> Axes:
        axes = call.main.axes
        for dim in call["dims"]:
            axes = axes.mixed_along(dim % call.main.rank)
        return axes

    def moved_rule(self, call: Call, axis: int, own: int) -> AxisRule:
        return Flip() if own in {dim % call.main.rank for dim in call["dims"]} else Pointwise()

    def moves_positions_alone(self, call: Call) -> bool:
        return {dim % call.main.rank for dim in call["dims"]} <= space(call)
