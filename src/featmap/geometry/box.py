"""Boxes, parts of a map, and the status of a geometric answer: how certain it is.

A box has one half-open interval per axis of the map: rows top:bottom and columns left:right in a picture. `Status` says
whether a geometric answer is the exact set of pixels (`exact`), a box that contains it (`hull`), or the whole map
because an operator reads everything (`whole`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from featmap.geometry.interval import Interval
from featmap.geometry.setting import axis_words


class Status(StrEnum):
    """How a geometric answer relates to the truth.

    >>> Status.worst(Status.EXACT, Status.HULL)
    <Status.HULL: 'hull'>
    """

    EXACT = "exact"
    HULL = "hull"
    WHOLE = "whole"

    @staticmethod
    def worst(*statuses: Status) -> Status:
        """The least certain of them; `exact` if there are none."""
        return max(statuses, key=list(Status).index, default=Status.EXACT)


@dataclass(frozen=True, slots=True, init=False, repr=False)
class Box:
    """A half-open interval per axis; in a picture rows `top` to `bottom` and columns `left` to `right`.

    It is made from the starts of all axes and then their stops: `Box(top, left, bottom, right)` in a picture,
    `Box(start, stop)` in a signal. All empty boxes of as many axes are equal.

    >>> Box(-1, 0, 2, 9).clip(4, 4)
    Box(top=0, left=0, bottom=2, right=4)
    >>> Box(3, 17).shift(-1)
    Box(start=2, stop=16)
    """

    axes: tuple[Interval, ...]

    def __init__(self, *ends: int) -> None:
        count = len(ends) // 2
        axes = tuple(map(Interval, ends[:count], ends[count:]))
        if any(axis.is_empty for axis in axes):
            axes = (Interval(0, 0),) * count
        object.__setattr__(self, "axes", axes)

    def __repr__(self) -> str:
        names = _NAMES.get(len(self.axes))
        ends = self.as_list()
        text = ", ".join(map(str, ends) if names is None else map("{}={}".format, names, ends))
        return f"Box({text})"

    @staticmethod
    def of(*axes: Interval) -> Box:
        """The box of these intervals: rows and columns in a picture."""
        return Box(*(axis.start for axis in axes), *(axis.stop for axis in axes))

    @staticmethod
    def full(size: Sequence[int]) -> Box:
        """All of a map of this size."""
        return Box(*(0,) * len(size), *size)

    @staticmethod
    def at(position: Sequence[int]) -> Box:
        """The one cell at a position.

        >>> Box.at((2, 5))
        Box(top=2, left=5, bottom=3, right=6)
        """
        return Box(*position, *(place + 1 for place in position))

    @staticmethod
    def empty(axes: int) -> Box:
        """The box of no cell, on a map of so many axes."""
        return Box(*(0,) * (2 * axes))

    @property
    def size(self) -> tuple[int, ...]:
        """The number of cells along each axis."""
        return tuple(axis.size for axis in self.axes)

    @property
    def starts(self) -> tuple[int, ...]:
        """The first cell along each axis."""
        return tuple(axis.start for axis in self.axes)

    @property
    def slices(self) -> tuple[slice, ...]:
        """What cuts the box out of an array whose last axes are those of the map.

        >>> Box(0, 4, 3, 9).slices
        (slice(0, 3, None), slice(4, 9, None))
        """
        return tuple(slice(axis.start, axis.stop) for axis in self.axes)

    @property
    def rows(self) -> Interval:
        """The rows, top to bottom."""
        return self.axes[-2]

    @property
    def columns(self) -> Interval:
        """The columns, left to right."""
        return self.axes[-1]

    @property
    def top(self) -> int:
        """The first row."""
        return self.axes[-2].start

    @property
    def left(self) -> int:
        """The first column."""
        return self.axes[-1].start

    @property
    def bottom(self) -> int:
        """The row behind the last one."""
        return self.axes[-2].stop

    @property
    def right(self) -> int:
        """The column behind the last one."""
        return self.axes[-1].stop

    @property
    def height(self) -> int:
        """The number of rows."""
        return self.axes[-2].size

    @property
    def width(self) -> int:
        """The number of columns."""
        return self.axes[-1].size

    @property
    def is_empty(self) -> bool:
        """Whether there is no cell at all."""
        return self.axes[0].is_empty

    def hull(self, other: Box) -> Box:
        """The smallest box that holds both; an empty one adds nothing."""
        return Box.of(*(one.hull(two) for one, two in zip(self.axes, other.axes, strict=True)))

    def intersection(self, other: Box) -> Box:
        """The cells that are in both."""
        return Box.of(*(one.intersection(two) for one, two in zip(self.axes, other.axes, strict=True)))

    def clip(self, *size: int) -> Box:
        """The part inside a map of this size (rows, columns)."""
        return Box.of(*(axis.clip(count) for axis, count in zip(self.axes, size, strict=True)))

    def shift(self, *by: int) -> Box:
        """The same box, moved along each axis (down, right)."""
        return Box.of(*(axis.shift(step) for axis, step in zip(self.axes, by, strict=True)))

    def contains(self, other: Box) -> bool:
        """Whether every cell of `other` is here too; an empty one always is."""
        return all(one.contains(two) for one, two in zip(self.axes, other.axes, strict=True))

    @property
    def words(self) -> str:
        """The box in words: each axis with its half-open interval.

        >>> Box(0, 4, 3, 9).words, Box(4, 9).words
        ('rows 0:3, columns 4:9', 'positions 4:9')
        """
        each = zip(axis_words(len(self.axes)), self.axes, strict=True)
        return ", ".join(f"{words.cells} {axis.start}:{axis.stop}" for words, axis in each)

    def as_list(self) -> list[int]:
        """The starts and then the stops, as in every JSON answer: [top, left, bottom, right] in a picture."""
        return [*(axis.start for axis in self.axes), *(axis.stop for axis in self.axes)]


_NAMES = {1: ("start", "stop"), 2: ("top", "left", "bottom", "right")}
"""What the ends of a box are called, by its number of axes."""
