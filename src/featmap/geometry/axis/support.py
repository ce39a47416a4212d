"""The pixels along one axis that a unit sees, holes and padding included.

A support is an `IndexSet` that may begin anywhere, so that it can hold pixels on padding (negative indices) too.
"""

from __future__ import annotations

from dataclasses import dataclass

from featmap.geometry.index_set import ones, repeat


@dataclass(frozen=True, slots=True)
class Support:
    """The pixels `start + i` for every set bit i of `mask`; bit 0 is set unless there is no pixel at all.

    >>> Support.of(range(-1, 4, 2))
    Support(start=-1, mask=21)
    >>> Support.of(range(-1, 4, 2)).repeated(2, 1).is_dense
    True
    """

    start: int = 0
    mask: int = 0

    @staticmethod
    def of(indices: range) -> Support:
        """The support of an ascending range."""
        return Support(indices.start, repeat(1, len(indices), indices.step)) if indices else Support()

    @property
    def size(self) -> int:
        """The number of pixels from the first to the last."""
        return self.mask.bit_length()

    @property
    def stop(self) -> int:
        """The pixel after the last."""
        return self.start + self.size

    @property
    def is_dense(self) -> bool:
        """Whether there is no hole."""
        return self.mask == ones(self.size)

    def shifted(self, distance: int) -> Support:
        """The same pixels, each moved by `distance`."""
        return Support(self.start + distance, self.mask) if self.mask else self

    def repeated(self, count: int, step: int) -> Support:
        """The union of `count` copies, each `step` further on (or back)."""
        if not self.mask or not count:
            return Support()
        return Support(self.start + min(step * (count - 1), 0), repeat(self.mask, count, abs(step)))

    def __or__(self, other: Support) -> Support:
        if not (self.mask and other.mask):
            return self if self.mask else other
        start = min(self.start, other.start)
        return Support(start, self.mask << (self.start - start) | other.mask << (other.start - start))

    def __ge__(self, other: Support) -> bool:
        return (self | other) == self
