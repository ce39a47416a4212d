"""Axis rules for indices spelled with several digits, as views, permutes and reshapes make them.

A view splits an axis into digits (row 5 of 8 is 2 and 1 as (4, 2)), a permute moves them apart and a reshape combines
others. `Digits` says which input indices belong to an output index when each input digit is one of the output's
digits, or free. `Within` is a rule along one digit while all others stay as they are: a convolution on windows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from math import prod

from featmap.geometry.axis.period import LONGEST, Period, shifted
from featmap.geometry.axis.rule import AxisRule, cut
from featmap.geometry.index_set import IndexSet
from featmap.geometry.interval import EMPTY, Interval


class ListedRule(AxisRule):
    """Base of rules that are known output by output; hulls and periods are found by iterating over the outputs."""

    __slots__ = ()

    def needed(self, outputs: Interval, size: int) -> Interval:
        hull = EMPTY
        for output in range(outputs.start, outputs.stop):
            read = self.sources(output, size)
            hull = hull.hull(Interval(read[0], read[-1] + 1) if read else EMPTY)
        return hull

    def affected(self, inputs: Interval, size: int) -> Interval:
        inputs, hull = inputs.clip(size), EMPTY
        for output in range(self.output_size(size)):
            read = self.sources(output, size)
            if read and read[0] < inputs.stop and read[-1] >= inputs.start:
                hull = hull.hull(Interval(output, output + 1))
        return hull

    def period(self, size: int) -> Period | None:
        return listed_period(self, size)


@lru_cache(maxsize=1024)
def listed_period(rule: AxisRule, size: int) -> Period | None:
    """The shortest pattern that all outputs repeat at least twice."""
    sources = [rule.sources(output, size) for output in range(rule.output_size(size))]
    for count in range(1, min(len(sources) // 2, LONGEST) + 1):
        distance = sources[count].start - sources[0].start
        if all(later == shifted(first, distance) for first, later in zip(sources, sources[count:], strict=False)):
            return Period(distance, tuple(sources[:count]), rule.is_exact(size))
    return None


@dataclass(frozen=True, slots=True)
class Digits(ListedRule):
    """The rule of an input whose digits are the output's digits in another order, or free.

    `outputs` are the sizes of the output's digits, the most significant first. `inputs` are size and source of each
    input digit: the index of the output digit that it equals, None where all of its values are read.

    >>> [list(Digits((3,), ((3, 0), (2, None))).sources(i, 6)) for i in range(3)]
    [[0, 1], [2, 3], [4, 5]]
    >>> [list(Digits((2, 2), ((2, 1), (2, 0))).sources(i, 4)) for i in range(4)]
    [[0], [2], [1], [3]]
    """

    outputs: tuple[int, ...]
    inputs: tuple[tuple[int, int | None], ...]

    @property
    def moves(self) -> bool:
        return tuple(self.inputs) != tuple((size, place) for place, size in enumerate(self.outputs))

    def output_size(self, size: int) -> int:  # noqa: ARG002
        return prod(self.outputs)

    def sources(self, output: int, size: int) -> range:  # noqa: ARG002
        digits = digits_of(output, self.outputs)
        first = last = 0
        step, weight = 0, 1
        for count, source in reversed(self.inputs):
            first += weight * (0 if source is None else digits[source])
            last += weight * (count - 1 if source is None else digits[source])
            step = weight if source is None and not step else step
            weight *= count
        return range(first, last + 1, step or 1)

    def is_exact(self, size: int) -> bool:  # noqa: ARG002
        # Free digits that are not adjacent leave holes of several widths, which no range can express.
        return [is_free for is_free, _ in groupby(source is None for _, source in self.inputs)].count(True) <= 1


@dataclass(frozen=True, slots=True)
class Within(ListedRule):
    """A rule along one digit of `size` values, between `before` values of the digits above and `after` of those below.

    >>> from featmap.geometry.axis.window import Window
    >>> [list(Within(Window(3, before=1, after=1), 4, 2, 1).sources(i, 8)) for i in (3, 4)]
    [[2, 3], [4, 5]]
    """

    rule: AxisRule
    size: int
    before: int
    after: int

    @property
    def plain(self) -> AxisRule:
        """The rule itself where the digit is the only one."""
        return self.rule if self.before == self.after == 1 else self

    @property
    def inputs(self) -> int:
        """How many inputs there are."""
        return self.before * self.size * self.after

    def output_size(self, size: int) -> int:  # noqa: ARG002
        return self.before * self.rule.output_size(self.size) * self.after

    def sources(self, output: int, size: int) -> range:  # noqa: ARG002
        above, digit, below = digits_of(output, (self.before, self.rule.output_size(self.size), self.after))
        read = cut(self.rule.sources(digit, self.size), self.size)
        first, stop = above * self.size * self.after + below, max(read.stop, read.start)
        return range(first + read.start * self.after, first + stop * self.after, read.step * self.after)

    def is_exact(self, size: int) -> bool:  # noqa: ARG002
        return self.rule.is_exact(self.size)


def digits_of(index: int, sizes: Sequence[int]) -> list[int]:
    """An index in digits of these sizes, the most significant first.

    >>> digits_of(11, (4, 3))
    [3, 2]
    """
    found: list[int] = []
    for size in reversed(sizes):
        index, digit = divmod(index, size)
        found.append(digit)
    return found[::-1]


def needed_through(steps: Sequence[tuple[AxisRule, int]], outputs: IndexSet) -> IndexSet:
    """What outputs read through a chain of rules, each with the size of its input."""
    for rule, size in steps:
        outputs = rule.needed_set(outputs, size)
    return outputs
