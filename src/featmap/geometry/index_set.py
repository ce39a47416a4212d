"""Sets of indices along one axis, holes included.

A set is one integer whose bit i says that index i is in it: unions, intersections and shifts of thousands of indices
are single operations on it. Negative indices cannot be members; clip intervals before making a set of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from featmap.geometry.interval import EMPTY, Interval


def ones(count: int) -> int:
    """The integer whose lowest `count` bits are set."""
    return (1 << count) - 1


def repeat(mask: int, count: int, step: int) -> int:
    """The union of `count` copies of `mask`, each `step` further up, in about log2(count) operations.

    >>> bin(repeat(0b1, 3, 2))
    '0b10101'
    """
    copies = 1
    while copies < count:
        added = min(copies, count - copies)
        mask |= mask << (added * step)
        copies += added
    return mask if count else 0


def shift(mask: int, distance: int) -> int:
    """Each index moved up by `distance`; those that would fall below 0 are dropped."""
    return mask << distance if distance >= 0 else mask >> -distance


def spread(mask: int, step: int) -> int:
    """Index i becomes index `i * step`.

    >>> bin(spread(0b111, 2))
    '0b10101'
    """
    # Base-2 text is linear in both directions and much faster than a loop over the bits.
    return int(("0" * (step - 1)).join(f"{mask:b}"), 2) if step > 1 else mask


def every(mask: int, step: int) -> int:
    """Index `i * step` becomes index i; the indices between are dropped. The inverse of `spread`.

    >>> bin(every(0b10111, 2))
    '0b111'
    """
    return int(f"{mask:b}"[::-1][::step][::-1], 2) if step > 1 else mask


@dataclass(frozen=True, slots=True)
class IndexSet:
    """A set of indices 0, 1, 2 ...; bit i of `mask` is index i.

    >>> rows = IndexSet.of(range(0, 6, 2)) | IndexSet.of([3])
    >>> list(rows), len(rows), list(rows.runs())
    ([0, 2, 3, 4], 4, [Interval(start=0, stop=1), Interval(start=2, stop=5)])
    """

    mask: int = 0

    @staticmethod
    def of(indices: Interval | Iterable[int]) -> IndexSet:
        """The set of these indices; ranges and intervals need no loop."""
        if isinstance(indices, Interval):
            indices = range(indices.start, indices.stop)
        if isinstance(indices, range):
            indices = indices if indices.step > 0 else indices[::-1]
            return IndexSet(repeat(1, len(indices), indices.step) << indices.start) if indices else IndexSet()
        mask = 0
        for index in indices:
            mask |= 1 << index
        return IndexSet(mask)

    def __or__(self, other: IndexSet) -> IndexSet:
        return IndexSet(self.mask | other.mask)

    def __and__(self, other: IndexSet) -> IndexSet:
        return IndexSet(self.mask & other.mask)

    def __ge__(self, other: IndexSet) -> bool:
        return other.mask & ~self.mask == 0

    def __le__(self, other: IndexSet) -> bool:
        return other >= self

    def __len__(self) -> int:
        return self.mask.bit_count()

    def __bool__(self) -> bool:
        return self.mask != 0

    def __contains__(self, index: int) -> bool:
        return index >= 0 and bool(self.mask >> index & 1)

    def __iter__(self) -> Iterator[int]:
        for run in self.runs():
            yield from range(run.start, run.stop)

    def __repr__(self) -> str:
        runs = ", ".join(f"{run.start}:{run.stop}" for run in self.runs())
        return f"IndexSet({runs})"

    @property
    def interval(self) -> Interval:
        """The hull: from the first index to the last."""
        return Interval(lowest(self.mask), self.mask.bit_length()) if self.mask else EMPTY

    @property
    def is_contiguous(self) -> bool:
        """Whether the set has no hole; the empty set has none."""
        return self.interval.size == len(self)

    def clip(self, size: int) -> IndexSet:
        """The indices below `size`."""
        return IndexSet(self.mask & ones(size))

    def runs(self) -> Iterator[Interval]:
        """The contiguous runs, as intervals in ascending order."""
        mask, base = self.mask, 0
        while mask:
            start = lowest(mask)
            length = lowest(~(mask >> start))
            yield Interval(base + start, base + start + length)
            mask >>= start + length
            base += start + length


def lowest(mask: int) -> int:
    """The position of the lowest set bit of an integer that is not 0."""
    return (mask & -mask).bit_length() - 1
