"""Intervals: contiguous indices along one axis.

An interval is half-open, so its size is `stop - start` and adjacent intervals share no index. All empty intervals are
equal: `Interval(7, 7) == Interval(0, 0)`, so that an empty one never widens a hull.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Interval:
    """The indices from `start` up to but not including `stop`.

    Indices may be negative or beyond the map: they lie on padding until `clip` removes them.

    >>> Interval(-1, 4).clip(3)
    Interval(start=0, stop=3)
    >>> Interval(0, 2).hull(Interval(5, 6))
    Interval(start=0, stop=6)
    """

    start: int
    stop: int

    def __post_init__(self) -> None:
        if self.stop <= self.start:
            object.__setattr__(self, "start", 0)
            object.__setattr__(self, "stop", 0)

    @property
    def size(self) -> int:
        """The number of indices."""
        return self.stop - self.start

    @property
    def is_empty(self) -> bool:
        """Whether there is no index at all."""
        return self.stop == self.start

    def hull(self, other: Interval) -> Interval:
        """The smallest interval that holds both; an empty one adds nothing."""
        if self.is_empty or other.is_empty:
            return other if self.is_empty else self
        return Interval(min(self.start, other.start), max(self.stop, other.stop))

    def intersection(self, other: Interval) -> Interval:
        """The indices that are in both."""
        return Interval(max(self.start, other.start), min(self.stop, other.stop))

    def clip(self, size: int) -> Interval:
        """The part inside a map of `size` rows or columns."""
        return Interval(max(self.start, 0), min(self.stop, size))

    def shift(self, distance: int) -> Interval:
        """The same indices, each moved by `distance`."""
        return self if self.is_empty else Interval(self.start + distance, self.stop + distance)

    def contains(self, other: Interval) -> bool:
        """Whether every index of `other` is here too; an empty one always is."""
        return other.is_empty or (self.start <= other.start and other.stop <= self.stop)


EMPTY = Interval(0, 0)
