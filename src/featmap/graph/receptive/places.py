"""The places of the image that every position of every value reads, views and permutes included.

Each value's axes are followed as digits of the image's axes, its rows and columns (`spelling`). Where all operands have
these on axes of their own, the operator's own rules say what is read; elsewhere each axis is queried by itself, and the
digits map the value's places to the operand's. This is used for what a unit sees; computation on regions is limited to
plain rows and columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Protocol

from featmap.geometry import Pointwise, Whole
from featmap.geometry.axis.digits import Digits
from featmap.geometry.axis.rule import cut
from featmap.graph.graph import Graph, Node
from featmap.graph.operators.base.call import Axes, Call, Operand
from featmap.graph.operators.base.channels import ALL, SOME, ChannelSet, channel_axis
from featmap.graph.operators.base.operator import Operator
from featmap.graph.operators.base.regions import Rules
from featmap.graph.operators.moving.reshape import axis_groups
from featmap.graph.receptive.axis_reading import AxisReading, axis_reading
from featmap.graph.receptive.reading import Linked, Read, Steps, steps_to, value_spelling
from featmap.graph.receptive.spelling import (
    Digit,
    PlacedDigit,
    Spelling,
    labels_of,
    placed_digits,
    plain,
    reshaped,
    size_of,
)


@dataclass(frozen=True, slots=True)
class Way:
    """How a value reads one of its operands: along each axis a chain of rules, each with the size of its input.

    `position` is the operand's index in `call.operands`. `is_certain` is False where the rules may name more than is
    read. `tells_channels` is False where the operand's channels are on another axis than the operator expects, or are
    mixed with places.
    """

    source: int
    position: int
    steps: tuple[Steps, ...]
    is_certain: bool = True
    tells_channels: bool = True

    @property
    def is_exact(self) -> bool:
        """Whether the rules name only what is certainly read."""
        return self.is_certain and all(rule.is_exact(size) for rule, size in chain(*self.steps))

    @property
    def reads_whole(self) -> bool:
        """Whether all places along some axis are read, where there is more than one."""
        return any(rule.reads_whole(size) and size > 1 for rule, size in chain(*self.steps))


@dataclass(frozen=True, slots=True)
class Placed:
    """The spelling of a value and the ways to its operands."""

    spelling: Spelling
    ways: tuple[Way, ...] = ()


class Sized(Protocol):
    """A graph with shape and axes of every value."""

    @property
    def graph(self) -> Graph: ...
    @property
    def axes(self) -> Sequence[Axes]: ...
    def shape(self, index: int) -> tuple[int, ...]: ...
    @property
    def labels(self) -> Sequence[int]: ...
    @property
    def image_labels(self) -> tuple[int, ...]: ...
    def size(self, index: int) -> tuple[int, ...]: ...
    def reads(self, index: int) -> Iterator[tuple[int, Rules]]: ...
    def operator(self, node: Node) -> Operator: ...
    def call(self, node: Node) -> Call: ...


class Places:
    """The spelling of every value of a graph and what its positions read, computed in the order of the graph."""

    def __init__(self, sized: Sized) -> None:
        self.sized = sized
        self._placed: list[Placed] = []

    def spelling(self, index: int) -> Spelling:
        """How the axes of a value spell rows and columns."""
        return self._at(index).spelling

    def size(self, index: int) -> tuple[int, ...]:
        """The number of places that a value spells of each axis of the image."""
        spelling = self.spelling(index)
        return tuple(size_of(spelling, label) for label in self.sized.labels)

    def ways(self, index: int) -> tuple[Way, ...]:
        """The ways to the operands that depend on the input."""
        return self._at(index).ways

    def channels(self, index: int, way: Way, wanted: ChannelSet) -> ChannelSet:
        """The channels of the operand that the wanted channels of a value read."""
        call = self.sized.call(self.sized.graph[index])
        operator, operand = self.sized.operator(call.node), call.operands[way.position]
        read = operator.channels(call, way.position, wanted)
        if read is ALL and wanted is not ALL and self._passes_others(operator, call, operand):
            return SOME
        return read if read is ALL or way.tells_channels else SOME

    def _passes_others(self, operator: Operator, call: Call, operand: Operand) -> bool:
        """Whether an axis that is gone over one by one counts among the channels: images that nobody knows, say."""
        known = operand.axes.known
        others = [axis for axis in range(operand.rank) if axis not in known and operand.shape[axis] > 1]
        return any(operator.passes_axis(call, operand, axis) for axis in others)

    def is_plain(self, index: int) -> bool:
        """Whether the image's axes are axes of their own of a value."""
        return self.spelling(index) == plain(self.sized.shape(index), self.sized.axes[index])

    def unit_steps(self, index: int, label: int, *, has_channel: bool) -> Steps:
        """How a unit's position spells the places of one axis of the image.

        The position is the flat index in the layout of maps: their axes, preceded by the channel if there is one,
        which enumerates all other axes of the value.
        """
        digits = self._digits_by_axis(index, has_channel=has_channel)
        own = placed_digits(self.spelling(index), label)
        inputs = tuple((one.digit.size, digits.index(one) if one in digits else None) for one in own)
        return ((Digits(tuple(one.digit.size for one in digits), inputs), self.size(index)[label]),)

    def axis_of(self, index: int, label: int) -> int | None:
        """The axis of a value's maps along which an axis of the image lies.

        It is the counterpart; where maps have more axes than the image, that which spells it.
        """
        own = self.sized.axes[index].spatial
        spelled = {one.axis for one in placed_digits(self.spelling(index), label)}
        if len(self.sized.image_labels) == len(own) or len(spelled) != 1 or not spelled <= {*own}:
            return own[label]
        return spelled.pop()

    def axis_steps(self, index: int, label: int) -> Steps:
        """How a single axis of a value spells one of the image; *whole* where another axis does too."""
        axis, digits, others = self.axis_of(index, label), self.spelling(index), self._digits_by_axis(index)
        size, count = self.size(index)[label], 1 if axis is None else self.sized.shape(index)[axis]
        own = placed_digits(digits, label)
        if any(one.axis != axis for one in own if one in others) or (own and all(one.axis != axis for one in own)):
            return ((Whole(count), size),)
        mine = [one for one in others if one.axis == axis]
        inputs = tuple((one.digit.size, mine.index(one) if one in mine else None) for one in own)
        return ((Digits(tuple(one.digit.size for one in mine), inputs), size),)

    def spells_all(self, index: int, label: int) -> bool:
        """Whether a unit's place on its map alone determines the places of the image that it spells."""
        return set(placed_digits(self.spelling(index), label)) <= set(self._digits_by_axis(index))

    def _digits_by_axis(self, index: int, *, has_channel: bool = False) -> list[PlacedDigit]:
        """The digits of a value's axes of maps, preceded by those of all other axes."""
        space, digits = self.sized.axes[index].in_space, placed_digits(self.spelling(index))
        others = [axis for axis in range(len(self.spelling(index))) if axis not in space] if has_channel else []
        return [one for axis in (*others, *space) for one in digits if one.axis == axis]

    def _at(self, index: int) -> Placed:
        for node in range(len(self._placed), index + 1):
            self._placed.append(self._place(node))
        return self._placed[index]

    def _place(self, index: int) -> Placed:
        sized, node = self.sized, self.sized.graph[index]
        here = plain(sized.shape(index), sized.axes[index])
        if node.is_input or not node.depends_on_input:
            return Placed(here)
        call = sized.call(node)
        reads = list(sized.reads(index))
        positions = [at for at, o in enumerate(call.operands) if o.index is not None and o.depends_on_input]
        is_plain = sized.axes[index].has_space and all(self.is_plain(source) for source, *_ in reads)
        if is_plain and not any(isinstance(rule, Whole) for _, rules in reads for rule in rules):
            ways = [
                Way(source, at, tuple((step,) for step in zip(rules, sized.size(source), strict=True)))
                for at, (source, rules) in zip(positions, reads, strict=True)
            ]
            return Placed(here, tuple(ways))
        return self._followed(call, positions)

    def _followed(self, call: Call, positions: list[int]) -> Placed:
        """The spelling and ways of a value whose operands' axes are followed digit by digit."""
        operator, shape = self.sized.operator(call.node), call.out_shape
        operands = [call.operands[at] for at in positions]
        if operator.keeps_order and len(operands) == 1:
            return self._in_another_shape(call, operands[0], positions[0])
        reads = [self._read(call, operand) for operand in operands]
        spelling = value_spelling(shape, reads)
        for label in self.sized.labels:
            if size_of(spelling, label) == 1 and any(size_of(read.spelling, label) > 1 for read in reads):
                spelling = self._counted_anew(call, spelling, label)
        own_axes = spelling == plain(shape, call.out_axes)
        ways: list[Way] = []
        for operand, at, read in zip(operands, positions, reads, strict=True):
            ways.append(_way(operand, at, read, spelling, shape, self.sized.labels))
            if operator.may_skip(call, operand):
                ways[-1] = replace(ways[-1], is_certain=False)
            if not (own_axes and self._counts_channels(operator, operand)):
                ways[-1] = replace(ways[-1], tells_channels=False)
        return Placed(spelling, tuple(ways))

    def _counts_channels(self, operator: Operator, operand: Operand) -> bool:
        """Whether the operand's channels are on the axis where the operator expects them."""
        assert operand.index is not None
        is_second = channel_axis(operand.axes, operand.rank) == 1
        return self.is_plain(operand.index) and (is_second or not operator.is_convolution)

    def _in_another_shape(self, call: Call, operand: Operand, position: int) -> Placed:
        assert operand.index is not None
        before, shape = self.spelling(operand.index), call.out_shape
        spelling = reshaped(before, axis_groups(operand.shape, shape), shape)
        labels = self.sized.labels
        kept = [size_of(spelling, label) == size_of(before, label) for label in labels]
        for label in labels:
            if not kept[label]:
                spelling = self._counted_anew(call, spelling, label)
        rules = [Pointwise() if kept[label] else Whole(size_of(spelling, label)) for label in labels]
        steps = tuple(((rule, size_of(before, label)),) for label, rule in zip(labels, rules, strict=True))
        return Placed(spelling, (Way(operand.index, position, steps, tells_channels=False),))

    def _counted_anew(self, call: Call, spelling: Spelling, label: int) -> Spelling:
        """The spelling with the value's own places along an axis, each of which may read all of the operand's."""
        axis = call.out_axes.spatial[label]
        if axis is None or labels_of(spelling[axis]) or call.out_shape[axis] < 2:
            return spelling
        return (*spelling[:axis], (Digit(call.out_shape[axis], label, 1),), *spelling[axis + 1 :])

    def _read(self, call: Call, operand: Operand) -> Read:
        assert operand.index is not None
        spelling, operator = self.spelling(operand.index), self.sized.operator(call.node)
        if not any(map(labels_of, spelling)):
            return Read(operand.shape, spelling, (AxisReading(None, Whole(1)),) * operand.rank)
        axes = tuple(axis_reading(operator, call, operand, axis) for axis in range(operand.rank))
        return Read(operand.shape, spelling, axes)


def _way(
    operand: Operand, position: int, read: Read, spelling: Spelling, shape: tuple[int, ...], labels: Sequence[int]
) -> Way:
    assert operand.index is not None
    linked = [steps_to(read, label, spelling, shape) for label in labels]
    steps = tuple(_steps(one, read, spelling, label) for label, one in zip(labels, linked, strict=True))
    # Where an axis that spells no places is padded, some positions of the value read none of them.
    others = [to for to, digits in zip(read.axes, read.spelling, strict=True) if not labels_of(digits)]
    sizes = [size for size, digits in zip(read.shape, read.spelling, strict=True) if not labels_of(digits)]
    is_certain = all(one.is_certain for one in linked) and not any(map(_may_miss, others, sizes))
    return Way(operand.index, position, steps, is_certain)


def _steps(linked: Linked, read: Read, spelling: Spelling, label: int) -> Steps:
    if linked.reads_all:
        return ((Whole(size_of(spelling, label)), size_of(read.spelling, label)),)
    return linked.steps


def _may_miss(to: AxisReading, size: int) -> bool:
    """Whether some outputs read nothing along an axis: those whose windows lie on padding."""
    if to.reads_whole or not to.rule.moves:
        return False
    return not all(cut(to.rule.sources(output, size), size) for output in range(to.rule.output_size(size)))
