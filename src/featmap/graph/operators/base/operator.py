"""What is an entry of the operator table? Geometry, cost and shape of one kind of operator.

The base class is the honest answer for an operator that nobody described: it may read everything (`whole`), its cost is
unknown, and its arguments hold for the captured size alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

from featmap.geometry import AxisRule, Whole
from featmap.graph.graph import Node
from featmap.graph.operators.base.call import NO_AXES, Axes, Call, Operand
from featmap.graph.operators.base.channels import ALL, SOME, ChannelSet, channel_axis, channel_count
from featmap.graph.operators.base.wording import defaults_of, in_words, settings_of

Rules = tuple[AxisRule, AxisRule]


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
    words: ClassVar[Mapping[str, str]] = MappingProxyType({})

    def axes(self, call: Call) -> Axes:
        """The axes of the value; an unknown operator keeps them only where it keeps the shape."""
        if call.operands and call.main.shape == call.out_shape:
            return call.main.axes
        return NO_AXES

    def rules(self, call: Call, operand: Operand) -> Rules:
        """How rows and columns of the value read the operand's rows and columns."""
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


def whole(call: Call, operand: Operand) -> Rules:
    """Every output reads the operand's whole map."""
    del operand
    return whole_axis(call, call.out_axes.row), whole_axis(call, call.out_axes.column)


def whole_axis(call: Call, axis: int | None) -> Whole:
    """Every output along one of the value's axes reads everything; one output where it has no such axis."""
    return Whole(1 if axis is None else call.out_shape[axis])


def lined_up(call: Call, operand: Operand, rows: AxisRule, columns: AxisRule) -> Rules:
    """The rules where the operand's rows and columns lie on the value's axes; whole where they lie elsewhere."""
    axes, own = call.out_axes, operand.axes
    return (
        rows if axes.row is not None and own.row == axes.row else whole_axis(call, axes.row),
        columns if axes.column is not None and own.column == axes.column else whole_axis(call, axes.column),
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
