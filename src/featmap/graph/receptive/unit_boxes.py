"""Unit boxes of all units of a map at once.

The axes are independent: a unit's box is the input rows of its row by the input columns of its column, in a picture.
Those of each value are computed once, from those of the values that it reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featmap.geometry import IndexSet
from featmap.geometry.axis.digits import needed_through
from featmap.graph.operators.base.channels import ALL, ChannelSet
from featmap.graph.receptive.places import Way
from featmap.graph.receptive.reading import Steps
from featmap.graph.sized_graph import SizedGraph

Spans = NDArray[np.int64]
"""Start and stop of what every place along an axis of a value sees of the input's, (index, 2); 0, 0 for nothing."""


class UnitBoxes:
    """The boxes of the units of a graph's values."""

    def __init__(self, sized: SizedGraph) -> None:
        self.sized = sized
        self.image = sized.graph.image_input
        self._known: dict[Any, tuple[Spans, ...]] = {}
        self._ones: dict[int, bool] = {}
        self._ways: dict[tuple[int, ChannelSet], int] = {}
        self._numbers: dict[Any, int] = {}

    def of(self, node: int, channel: int) -> tuple[Spans, ...]:
        """Along each axis of one map what every place sees of the input: the rows of every row, in a picture."""
        places = self.sized.places
        if places.is_plain(node):
            return self._spans(node, IndexSet.of([channel]))
        behind = self._spans(node, ALL)
        steps = [places.axis_steps(node, label) for label in self.sized.labels]
        return tuple(map(_read_through, self.sized.size(node), steps, behind))

    def alike(self, node: int, channels: int) -> tuple[tuple[int, ...], list[int]]:
        """Groups of channels with the same boxes: the group of each channel, and one channel of every group.

        Channels differ only where they come from different branches; after an operator that reads all channels they
        are the same.
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
        """Whether all channels certainly have the same boxes: each reads all channels, or its own of such a value."""
        if self.sized.graph[node].is_input:
            return True
        if node not in self._ones:
            # Sets of channels that together distinguish all channels: where each set reads itself, so does each
            # channel. An operator that reads more than it lists for one channel does so for every channel.
            halves = _halves(channels)
            self._ones[node] = all(
                all(not isinstance(read, IndexSet) for read in reads)
                or (reads == halves and self._are_one(source, channels))
                for source, reads in self._reads_of(node, halves)
            )
        return self._ones[node]

    def _reads_of(self, node: int, sets: Sequence[IndexSet]) -> list[tuple[int, tuple[ChannelSet, ...]]]:
        """Every value that a node reads, and which of its channels each set of the node's channels reads."""
        places = self.sized.places
        return [(way.source, tuple(places.channels(node, way, each) for each in sets)) for way in places.ways(node)]

    def _sources(self, node: int, channels: ChannelSet) -> list[tuple[Way, ChannelSet]]:
        """The ways to the values that these channels of a node read, and the channels that are read of each."""
        found: list[tuple[Way, ChannelSet]] = []
        for way in self.sized.places.ways(node):
            read = self.sized.places.channels(node, way, channels)
            if not isinstance(read, IndexSet) or read:
                found.append((way, read if isinstance(read, IndexSet) else ALL))
        return found

    def _way(self, node: int, channels: ChannelSet) -> Any:
        """The values on the way back, as far as those of which all channels are read."""
        if channels is ALL or self.sized.graph[node].is_input:
            return node
        if (node, channels) not in self._ways:
            way = (node, *(self._way(way.source, read) for way, read in self._sources(node, channels)))
            # Equal ways get the same number, so that long ones are compared at no cost.
            self._ways[node, channels] = self._numbers.setdefault(way, len(self._numbers))
        return (self._ways[node, channels],)

    def _spans(self, node: int, channels: ChannelSet) -> tuple[Spans, ...]:
        if node == self.image:
            return tuple(np.stack([np.arange(size), np.arange(size) + 1], axis=1) for size in self.sized.size(node))
        key = node if channels is ALL else (node, self._way(node, channels))
        if key not in self._known and channels is ALL:
            # In execution order: what is read is known by then, and deep networks need no deep recursion.
            for index in sorted(self.sized.graph.ancestors((node,))):
                if self.sized.graph[index].depends_on_input and index not in self._known and self._is_value(index):
                    self._known[index] = self._read(index, ALL)
        elif key not in self._known:
            self._known[key] = self._read(node, channels)
        return self._known[key]

    def _is_value(self, index: int) -> bool:
        return not self.sized.graph[index].is_input

    def _read(self, node: int, channels: ChannelSet) -> tuple[Spans, ...]:
        sizes = self.sized.places.size(node)
        found = [np.zeros((size, 2), np.int64) for size in sizes]
        for way, read in self._sources(node, channels):
            if self.sized.graph[way.source].is_input and way.source != self.image:
                continue
            behind = self._spans(way.source, read)
            found = [_hulls(*each) for each in zip(found, map(_read_through, sizes, way.steps, behind), strict=True)]
        return tuple(found)


def _read_through(size: int, steps: Steps, behind: Spans) -> Spans:
    """What every place along an axis reads through a chain of rules."""
    found = np.zeros((size, 2), np.int64)
    for place in range(size):
        needed = needed_through(steps, IndexSet.of([place]))
        if needed:
            found[place] = _of_part(behind, needed)
    return found


def _hulls(one: Spans, other: Spans) -> Spans:
    return np.array([_hull(*each) for each in zip(one, other, strict=True)], np.int64).reshape(-1, 2)


@lru_cache(maxsize=64)
def _halves(channels: int) -> tuple[IndexSet, ...]:
    """All channels, and for every bit the channels whose number has it set and those whose number has not.

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
