"""The base of all operator classes: what an entry of the operator table has to say of a call.

The base class itself is the honest answer for an operator that nobody described: it may read everything (`whole`), its
cost is unknown, its arguments hold for the captured size alone, and it runs on whole maps, forwards and backwards.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor

from featmap.geometry import AxisRule, Whole
from featmap.graph.graph import Graph, Node
from featmap.graph.operators.base.call import NO_AXES, Axes, Call, Operand
from featmap.graph.operators.base.channels import ALL, SOME, ChannelSet, channel_axis, channel_count
from featmap.graph.operators.base.regions import (
    Region,
    Rules,
    WindowKernel,
    has_map_of_weights,
    is_aligned,
    is_of_maps,
    keeps_positions,
    variable,
)
from featmap.graph.operators.base.roles import Norm, Role
from featmap.graph.operators.base.wording import defaults_of, in_words, settings_of


class NotResizable(Exception):
    """The arguments of a call hold for the captured input size alone; the model must be captured again."""


@dataclass(frozen=True)
class Operator:
    """An operator that is not in the table: always right, never fast."""

    kind: ClassVar[str] = "unknown"
    is_known: ClassVar[bool] = False
    is_nonlinearity: ClassVar[bool] = False
    is_normalization: ClassVar[bool] = False
    is_merge: ClassVar[bool] = False
    is_convolution: ClassVar[bool] = False
    keeps_order: ClassVar[bool] = False
    """Whether the value holds the operand's numbers in their order, cut into axes elsewhere."""
    returns_parts: ClassVar[bool] = False
    """Whether it returns parts of one axis, each with a size of its own."""
    words: ClassVar[Mapping[str, str]] = MappingProxyType({})
    gives_size: ClassVar[bool] = False
    """Whether a call names the size of its value, so that run on a part of a map it would give another one."""
    weights_are_channels: ClassVar[bool] = False
    """Whether the last axes of weights are no rows and columns, however many they are."""
    chooses_operand: ClassVar[bool] = False
    """Whether some of the values come from one operand alone and others from another one."""
    joins_positions: ClassVar[bool] = False
    """Whether a value is made of the same position of several maps."""
    is_linear: ClassVar[bool] = False
    """Whether the value is a linear function of every operand, so that every rule sends a signal back alike."""
    passes_gradient: ClassVar[bool] = True
    is_cast: ClassVar[bool] = False
    """Whether it gives the same numbers in another type."""
    keeps_rectified: ClassVar[bool] = False
    """Whether of values that are 0 on a half line of what they are made of it gives such values."""
    is_fresh: ClassVar[bool] = False
    """Whether the value lies in new memory that may be written over."""
    needs_contiguous: ClassVar[bool] = False
    """Whether torch takes the first operand in some layouts of memory alone."""
    may_be_view: ClassVar[bool] = False
    """Whether the value may share memory with an operand though torch's schema does not say so."""

    def called(self) -> str:
        """What people call it, where that is another word than torch's."""
        return ""

    def axes(self, call: Call) -> Axes:
        """The axes of the value; an unknown operator keeps them only where it keeps the shape."""
        if call.operands and call.main.shape == call.out_shape:
            return call.main.axes
        return NO_AXES

    def works_over(self, call: Call) -> int | None:
        """How many axes of maps it works over, which are the last ones; None where each axis goes by itself."""
        return None

    def item_axes(self, call: Call, item: int) -> Axes:
        """The axes of one of the tensors, where it returns several."""
        return call.out_axes

    def rules(self, call: Call, operand: Operand) -> Rules:
        """How the value reads the operand along each axis of its maps."""
        return whole(call, operand)

    def passes_axis(self, call: Call, operand: Operand, axis: int) -> bool:
        """Whether one of the operand's axes, counted from the last, is gone over one by one: images, or tokens."""
        return False

    def picked_place(self, call: Call, axis: int) -> int | None:
        """The one place of the operand's axis that the value is made of, where there is such a place."""
        return None

    def reads_all_along(self, call: Call, operand: Operand, axis: int) -> bool:
        """Whether each value certainly reads everything along one of the operand's axes."""
        return False

    def channels(self, call: Call, position: int, wanted: ChannelSet) -> ChannelSet:
        """The channels of the operand at `position` in `call.operands` that the wanted channels of the value read."""
        return ALL

    def mixes_images(self, call: Call) -> bool:
        """Whether images that run together may change one another's values, though it is known which is whose."""
        return False

    def divides_places(self, call: Call) -> bool:
        """Whether one channel reads only some of the places that the rules name: the channels share them out."""
        return False

    def may_skip(self, call: Call, operand: Operand) -> bool:
        """Whether some values read nothing of an operand, whatever the rules name."""
        return False

    def macs(self, call: Call) -> int | None:
        """Multiply-adds, one per weight and output value, biases not counted; `None` where nobody knows."""
        return None

    def describe(self, call: Call) -> str:
        """The call's settings in a few words, as a plan prints them: enough to compute its value."""
        return in_words(self.stated(call), self.left_out(call), self.words, self.axis_count(call))

    def stated(self, call: Call) -> dict[str, Any]:
        """The settings that the words are made of, by argument."""
        return settings_of(call)

    def left_out(self, call: Call) -> Mapping[str, Any]:
        """The values that go without saying, by argument."""
        return defaults_of(call)

    def axis_count(self, call: Call) -> int:
        """How many axes those are that the settings count."""
        return call.main.rank if call.operands else 0

    def resized(self, call: Call) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The call's arguments at the operands' present shapes."""
        raise NotResizable(call.node.operator)

    # How a value is computed.

    def function(self, node: Node) -> Callable[..., Any]:
        """What computes the value and leaves what it reads as it is."""
        assert node.target is not None
        return partial(_of_contiguous, node.target) if self.needs_contiguous else node.target

    def in_place(self, graph: Graph, node: Node) -> Callable[..., Any] | None:
        """What computes the value over its first argument's memory; None where nothing does."""
        return None

    # How it runs on regions.

    def region(self, call: Call) -> Region:
        """How the value is computed where a part of the input changed."""
        if self.sums_map(call) is not None:
            return Region.MEAN
        read = variable(call)
        if not read or not keeps_positions(call) or self.reads_whole(call) or not call.out_axes.is_plane:
            return Region.DENSE
        if self.is_positionwise(call):
            return Region.DIRECT
        if len(read) == 1 and self.runs_on_boxes(call) and self.windows(call, read[0]) is not None:
            return Region.WINDOWED
        fits = self.joins_positions and is_aligned(call) and not self.has_map_of_weights(call)
        return Region.MERGED if fits else Region.DENSE

    def windows(self, call: Call, operand: Operand) -> WindowKernel | None:
        """How boxes of the value are computed from gathered boxes of its one operand; None where they cannot be."""
        return None

    def sums_map(self, call: Call) -> float | None:
        """The factor of the sum over a whole map that each channel of the value is; None where it is something else."""
        return None

    def runs_on_boxes(self, call: Call) -> bool:
        """Whether the value is one tensor of images and channels, as kernels for boxes make them."""
        return not isinstance(call.specs[call.node.index], tuple) and is_of_maps(call)

    def is_positionwise(self, call: Call) -> bool:
        """Whether every position is computed from the same position of one value: patches go through as they are."""
        read = variable(call)
        sources = {index for index in call.node.inputs if call.graph[index].depends_on_input}
        if len(read) != 1 or len(sources) != 1 or not keeps_positions(call):
            return False
        is_several = isinstance(call.specs[call.node.index], tuple)
        if self.gives_size and (is_several or call.out_shape != call.main.shape):
            return False
        moves = any(rule.moves for rule in self.rules(call, read[0]))
        return not moves and not self.has_map_of_weights(call)

    def reads_whole(self, call: Call) -> bool:
        """Whether the operator reads a whole map, or something that is no map."""
        for operand in variable(call):
            if not operand.axes.has_space or any(isinstance(rule, Whole) for rule in self.rules(call, operand)):
                return True
        return False

    def has_map_of_weights(self, call: Call) -> bool:
        """Whether a constant operand differs from position to position."""
        return not self.weights_are_channels and has_map_of_weights(call)

    # How a signal goes back.

    def role(self, call: Call, norm: Norm) -> Role:
        """What is done with a signal into the value; `norm` says how normalisations are treated."""
        if self.is_normalization and norm == "skip" and call.out_shape == call.main.shape:
            return Role.PASS
        is_placed = all(o.axes.batch == 0 and o.axes.is_plane for o in variable(call))
        if not keeps_positions(call) or not is_placed or self.reads_whole(call):
            return Role.WHOLE
        return self.role_in_space(call) or (Role.PLACEWISE if self.is_positionwise(call) else Role.WHOLE)

    def role_in_space(self, call: Call) -> Role | None:
        """The role between maps, where the operator has a way back of its own; None: it takes its gradient."""
        return None

    def acts_linearly(self, call: Call) -> bool:
        """Whether a signal goes back in the same way under every rule, as through everything linear."""
        return self.is_linear

    # What is known of its values.

    def is_rectified(self, call: Call) -> bool:
        """Whether everything below some bound becomes 0, as under ReLU: what never rises above it says nothing."""
        return False

    def saturation(self, node: Node) -> tuple[float | None, float | None]:
        """The values at which it saturates, below and above; None where there is none. A rectifier's 0 is none."""
        return None, None

    def is_probability(self, call: Call) -> bool:
        """Whether each value is a probability by itself."""
        return False

    def uses_batch_statistics(self, node: Node) -> bool:
        """Whether it takes mean and variance from the images that run together, in evaluation too."""
        return False


@dataclass(frozen=True)
class Weightless(Operator):
    """What operators without weights share: no multiply-adds, and arguments that hold at every size."""

    is_known: ClassVar[bool] = True

    def macs(self, call: Call) -> int | None:
        return 0

    def resized(self, call: Call) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return node_arguments(call.node)


def _of_contiguous(function: Callable[..., Any], value: Tensor, *settings: Any, **named: Any) -> Any:
    # A copy: with axes of one element memory may count as contiguous and as channels last.
    return function(value.clone(memory_format=torch.contiguous_format), *settings, **named)


def whole(call: Call, operand: Operand) -> Rules:
    """Every output reads the operand's whole map."""
    del operand
    return tuple(whole_axis(call, axis) for axis in call.out_axes.spatial)


def whole_axis(call: Call, axis: int | None) -> Whole:
    """Every output along one of the value's axes reads everything; one output where it has no such axis."""
    return Whole(1 if axis is None else call.out_shape[axis])


def pairs(axes: Axes, own: Axes) -> list[tuple[int | None, int | None]]:
    """For every axis of a value's maps that axis, and the operand's axis that is its counterpart."""
    known = own.spatial if len(own.spatial) == len(axes.spatial) else (None,) * len(axes.spatial)
    return list(zip(axes.spatial, known, strict=True))


def along_each(call: Call, operand: Operand, rule: Callable[[int | None, int | None], AxisRule]) -> Rules:
    """The rule for each axis of the value's maps, from it and its counterpart."""
    return tuple(rule(axis, own) for axis, own in pairs(call.out_axes, operand.axes))


def lined_up(call: Call, operand: Operand, rules: Sequence[AxisRule]) -> Rules:
    """The rules of the last axes, where the operand's lie on the value's; whole where they lie elsewhere."""
    both = pairs(call.out_axes, operand.axes)
    first = len(both) - len(rules)
    return tuple(
        rules[at - first] if axis is not None and axis == own and at >= first else whole_axis(call, axis)
        for at, (axis, own) in enumerate(both)
    )


def same_channels(call: Call, position: int, wanted: ChannelSet) -> ChannelSet:
    """Each channel reads its own, where value and operand have equally many; a single one is read by all."""
    count = channel_count(call.operands[position])
    axis = channel_axis(call.out_axes, len(call.out_shape))
    if count is None or axis is None:
        return ALL if wanted is ALL else SOME
    if count != call.out_shape[axis]:
        return ALL
    return wanted


def reads_images_besides(call: Call, name: str) -> bool:
    """Whether more than one argument depends on the images: kernels that are made of an image meet all images."""
    main = call.get(name)
    others = (value for key, value in call.arguments.items() if key != name)
    return not isinstance(main, Operand) or any(isinstance(one, Operand) and one.depends_on_input for one in others)


def node_arguments(node: Node) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments as captured."""
    return node.args, node.kwargs
