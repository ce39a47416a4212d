"""Which pixels can influence each unit of a map, for all its units at once?

Rows and columns are told apart: a unit's box is the rows of its row by the columns of its column. Each value's are
worked out once, from those of the values that it reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featmap.geometry import AxisRule, IndexSet
from featmap.network.operators.channels import ALL, ChannelSet
from featmap.network.sized import SizedGraph

Spans = NDArray[np.int64]
"""First and end of the input rows (or columns) of every row (or column) of a value, (place, 2); both 0 for none."""


class UnitBoxes:
    """The boxes of the units of a graph's values."""

    def __init__(self, sized: SizedGraph) -> None:
        self.sized = sized
        self.image = sized.graph.image_input
        self._known: dict[Any, tuple[Spans, Spans]] = {}
        self._calls: dict[int, Any] = {}
        self._ones: dict[int, bool] = {}
        self._ways: dict[tuple[int, ChannelSet], int] = {}
        self._numbers: dict[Any, int] = {}

    def of(self, node: int, channel: int) -> tuple[Spans, Spans]:
        """The input rows of every row of one map, and the input columns of every column."""
        return self._spans(node, IndexSet.of([channel]))

    def alike(self, node: int, channels: int) -> tuple[tuple[int, ...], list[int]]:
        """Groups of channels that see alike: the group of each channel, and one channel of every group.

        Channels come to see different things only where they come from different branches; behind an operator that
        reads all channels they are the same.
        """
        if self._are_one(node, channels):
            return (0,) * channels, [0]
        groups: dict[Any, int] = {}
        examples: list[int] = []
        numbers: list[int] = []
        for channel in range(channels):
            way = self._way(node, IndexSet.of([channel]))
            if way not in groups:
                groups[way] = len(groups)
                examples.append(channel)
            numbers.append(groups[way])
        return tuple(numbers), examples

    def _are_one(self, node: int, channels: int) -> bool:
        """Whether all channels certainly see alike: each reads all channels of a value, or its own of such a one."""
        if self.sized.graph[node].is_input:
            return True
        if node not in self._ones:
            # Sets of channels that together tell every channel from every other: where each reads itself, each
            # channel does. An operator that reads more than it lists of one channel does so of every one.
            halves = _halves(channels)
            self._ones[node] = all(
                all(not isinstance(read, IndexSet) for read in reads)
                or (reads == halves and self._are_one(source, channels))
                for source, reads in self._reads_of(node, halves)
            )
        return self._ones[node]

    def _reads_of(self, node: int, sets: Sequence[IndexSet]) -> list[tuple[int, tuple[ChannelSet, ...]]]:
        """Every value that a node reads, and which of its channels each set of the node's own reads."""
        call, operator, reads = self._call(node)
        return [(source, tuple(operator.channels(call, at, each) for each in sets)) for at, (source, *_) in reads]

    def _sources(self, node: int, channels: ChannelSet) -> list[tuple[int, ChannelSet, AxisRule, AxisRule]]:
        """The values that these channels of a node read: which of their channels, and how rows and columns lie."""
        call, operator, reads = self._call(node)
        found: list[tuple[int, ChannelSet, AxisRule, AxisRule]] = []
        for position, (source, rows, columns) in reads:
            read = operator.channels(call, position, channels)
            if not isinstance(read, IndexSet) or read:
                found.append((source, read if isinstance(read, IndexSet) else ALL, rows, columns))
        return found

    def _call(self, node: int) -> Any:
        """A node's call, its operator, and what it reads: the operand's position, the value and its rules."""
        sized = self.sized
        if node not in self._calls:
            call, operator = sized.call(sized.graph[node]), sized.operator(sized.graph[node])
            operands = [at for at, o in enumerate(call.operands) if o.index is not None and o.depends_on_input]
            self._calls[node] = (call, operator, list(zip(operands, sized.reads(node), strict=True)))
        return self._calls[node]

    def _way(self, node: int, channels: ChannelSet) -> Any:
        """The values on the way back to those of which all channels are read."""
        if channels is ALL or self.sized.graph[node].is_input:
            return node
        if (node, channels) not in self._ways:
            way = (node, *(self._way(source, read) for source, read, _, _ in self._sources(node, channels)))
            # Equal ways are one number, so that comparing long ones costs nothing.
            self._ways[node, channels] = self._numbers.setdefault(way, len(self._numbers))
        return (self._ways[node, channels],)

    def _spans(self, node: int, channels: ChannelSet) -> tuple[Spans, Spans]:
        if node == self.image:
            return tuple(np.stack([np.arange(size), np.arange(size) + 1], axis=1) for size in self.sized.size(node))  # type: ignore[return-value]
        key = node if channels is ALL else (node, self._way(node, channels))
        if key not in self._known and channels is ALL:
            # In the order in which they run: what is read is known then, and deep networks need no deep recursion.
            for index in sorted(self.sized.graph.ancestors((node,))):
                if self.sized.graph[index].depends_on_input and index not in self._known and self._is_value(index):
                    self._known[index] = self._read(index, ALL)
        elif key not in self._known:
            self._known[key] = self._read(node, channels)
        return self._known[key]

    def _is_value(self, index: int) -> bool:
        return not self.sized.graph[index].is_input

    def _read(self, node: int, channels: ChannelSet) -> tuple[Spans, Spans]:
        found: list[Spans] = [np.zeros((size, 2), np.int64) for size in self.sized.size(node)]
        for source, read, *rules in self._sources(node, channels):
            if self.sized.graph[source].is_input and source != self.image:
                continue
            for axis, (rule, behind) in enumerate(zip(rules, self._spans(source, read), strict=True)):
                for place in range(len(found[axis])):
                    needed = rule.needed_set(IndexSet.of([place]), len(behind))
                    if needed:
                        found[axis][place] = _hull(found[axis][place], _of_part(behind, needed))
        return found[0], found[1]


@lru_cache(maxsize=64)
def _halves(channels: int) -> tuple[IndexSet, ...]:
    """All channels, and for every binary digit those whose number has it and those whose number does not.

    >>> [list(half) for half in _halves(3)]
    [[0, 1, 2], [1], [0, 2], [2], [0, 1]]
    """
    found = [IndexSet.of(range(channels))]
    for digit in range((channels - 1).bit_length()):
        found += [IndexSet.of(c for c in range(channels) if (c >> digit & 1) == wanted) for wanted in (1, 0)]
    return tuple(found)


def _of_part(spans: Spans, needed: IndexSet) -> NDArray[np.int64]:
    part = spans[list(needed)]
    part = part[part[:, 0] < part[:, 1]]
    return np.array([part[:, 0].min(), part[:, 1].max()]) if len(part) else np.zeros(2, np.int64)


def _hull(one: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.int64]:
    if one[0] == one[1] or other[0] == other[1]:
        return other if one[0] == one[1] else one
    return np.array([min(one[0], other[0]), max(one[1], other[1])])
