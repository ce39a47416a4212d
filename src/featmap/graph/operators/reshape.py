"""What happens to rows and columns when a value is reshaped, permuted, mirrored or shuffled?

A reshape keeps an axis where that axis stands alone in both shapes. The same correspondence gives the reshape's numbers
at another input size, unless an axis of the new size would have to be split.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from types import MappingProxyType
from typing import Any, ClassVar

from featmap.geometry import AxisRule, Flip, Pointwise, Repeat, Whole, Window
from featmap.graph.graph import TensorSpec
from featmap.graph.operators.base.call import Axes, Call, Operand
from featmap.graph.operators.base.channels import ALL, SOME, ChannelSet
from featmap.graph.operators.base.operator import NotResizable, Operator, Rules, node_arguments, whole_axis
from featmap.graph.operators.pointwise import Elementwise

AxisGroups = list[tuple[list[int], list[int]]]


@dataclass(frozen=True)
class Moving(Operator):
    """Operators that move values without computing: the rules follow from where the axes went."""

    kind: ClassVar[str] = "shape"
    is_known: ClassVar[bool] = True

    def rules(self, call: Call, operand: Operand) -> Rules:
        axes = call.out_axes
        return self._rule(call, axes.row, operand.axes.row), self._rule(call, axes.column, operand.axes.column)

    def _rule(self, call: Call, axis: int | None, own: int | None) -> AxisRule:
        if axis is None or own is None:
            return Whole(1 if axis is None else call.out_shape[axis])
        return self.moved_rule(call, axis, own)

    def moved_rule(self, call: Call, axis: int, own: int) -> AxisRule:
        """How the value's axis reads the operand's axis that it comes from."""
        return Pointwise()

    def channels(self, call: Call, position: int, wanted: ChannelSet) -> ChannelSet:
        return ALL if wanted is ALL else SOME

    def macs(self, call: Call) -> int | None:
        return 0

    def resized(self, call: Call) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return node_arguments(call.node)


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
    """view, reshape, flatten, unflatten, squeeze, unsqueeze."""

    keeps_order: ClassVar[bool] = True

    words: ClassVar[Mapping[str, str]] = MappingProxyType(
        {"size": "to", "sizes": "to", "start_dim": "from axis", "end_dim": "to axis"}
    )

    def stated(self, call: Call) -> dict[str, Any]:
        found = super().stated(call)
        return {"size": list(call.out_shape)} if {"size", "shape"} & found.keys() else found

    def axis_count(self, call: Call) -> int:
        return len(call.out_shape) if call.node.base_name == "unsqueeze" else call.main.rank

    def axes(self, call: Call) -> Axes:
        return call.main.axes.each(_where_axes_went(call).get)

    def resized(self, call: Call) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if call.node.base_name not in ("view", "reshape", "_unsafe_view"):
            return node_arguments(call.node)
        captured = call.node.spec
        assert isinstance(captured, TensorSpec)
        sizes = resized_shape(call.captured_main_shape, call.main.shape, captured.shape)
        return (call.node.args[0], sizes), {}


def _where_axes_went(call: Call) -> dict[int, int]:
    """For every axis that stands alone in both shapes its place after the reshape."""
    if call.node.base_name in ("squeeze", "unsqueeze"):
        return _where_kept_axes_went(call)
    before, after = call.main.shape, call.out_shape
    found: dict[int, int] = {}
    for ours, theirs in axis_groups(before, after):
        if len(ours) > 1 or len(theirs) > 1:
            # Axes of size one hold nothing, so that an axis among them still stands alone.
            ours, theirs = [i for i in ours if before[i] != 1], [i for i in theirs if after[i] != 1]
        if len(ours) == 1 and len(theirs) == 1:
            found[ours[0]] = theirs[0]
    return found


def _where_kept_axes_went(call: Call) -> dict[int, int]:
    shape, rank, dim = call.main.shape, call.main.rank, call.get("dim")
    if call.node.base_name == "unsqueeze":
        return {axis: axis + (axis >= dim % (rank + 1)) for axis in range(rank)}
    dims = range(rank) if dim is None else dim if isinstance(dim, list | tuple) else [dim]
    gone = {axis % rank for axis in dims if shape[axis] == 1}
    return {axis: place for place, axis in enumerate(axis for axis in range(rank) if axis not in gone)}


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
    """permute, transpose, movedim, mT: axes change places."""

    words: ClassVar[Mapping[str, str]] = MappingProxyType({"dims": "order"})

    def axes(self, call: Call) -> Axes:
        order = _order(call)
        to = {old: new for new, old in enumerate(order)}
        return call.main.axes.each(to.__getitem__)


def _order(call: Call) -> list[int]:
    rank = call.main.rank
    if "dims" in call.arguments:
        return [dim % rank for dim in call["dims"]]
    order = list(range(rank))
    if call.node.base_name == "numpy_T":
        return order[::-1]
    if "source" in call.arguments:
        return _moved(order, call["source"], call["destination"])
    names = next((names for names in (("dim0", "dim1"), ("axis0", "axis1")) if names[0] in call.arguments), None)
    first, second = (call[name] % rank for name in names) if names else (rank - 2, rank - 1)
    order[first], order[second] = order[second], order[first]
    return order


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
    """expand and expand_as: axes of size one repeated."""

    kind: ClassVar[str] = "shape"
    words: ClassVar[Mapping[str, str]] = MappingProxyType({"size": "to"})

    def stated(self, call: Call) -> dict[str, Any]:
        return {"size": list(call.out_shape)} if call.node.base_name == "expand" else {}

    def resized(self, call: Call) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if call.node.base_name == "expand_as":
            return node_arguments(call.node)
        captured = call.node.spec
        assert isinstance(captured, TensorSpec)
        before = call.captured_main_shape
        shift = len(captured.shape) - len(before)
        sizes = list(captured.shape)
        in_space = (call.main.axes.row, call.main.axes.column)
        for axis, (old, new) in enumerate(zip(before, call.main.shape, strict=True)):
            if old != new and old == captured.shape[axis + shift]:
                sizes[axis + shift] = new
            elif old == 1 and captured.shape[axis + shift] != 1 and axis in in_space and call.main.shape != before:
                raise NotResizable("an expansion to a size that may depend on the input")
        return (call.node.args[0], sizes), {}


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


@dataclass(frozen=True)
class PixelShuffle(Moving):
    """pixel_shuffle and pixel_unshuffle: channels become places, or places channels."""

    def passes_axis(self, call: Call, operand: Operand, axis: int) -> bool:
        return operand.rank == 4 and axis == 0

    def axes(self, call: Call) -> Axes:
        return call.plane_axes()

    def moved_rule(self, call: Call, axis: int, own: int) -> AxisRule:
        if axis != own:
            return whole_axis(call, axis)
        if call.node.base_name == "pixel_shuffle":
            return Repeat(call["upscale_factor"])
        factor = call["downscale_factor"]
        return Window(factor, factor)

    def divides_places(self, call: Call) -> bool:
        return call.node.base_name == "pixel_unshuffle"


@dataclass(frozen=True)
class ChannelShuffle(Moving):
    """channel_shuffle: channels change places, pixels do not."""

    def axes(self, call: Call) -> Axes:
        return call.main.axes

    def moved_rule(self, call: Call, axis: int, own: int) -> AxisRule:
        return whole_axis(call, axis) if own == 1 else Pointwise()
