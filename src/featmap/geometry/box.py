"""Boxes, rectangles of a map, and the status of a geometric answer: how certain it is.

A box is half-open: rows top:bottom and columns left:right. `Status` says whether a geometric answer is the exact set of
pixels (`exact`), a box that contains it (`hull`), or the whole map because an operator reads everything (`whole`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from featmap.geometry.interval import Interval


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


@dataclass(frozen=True, slots=True)
class Box:
    """Rows `top` to `bottom` and columns `left` to `right`, the last ones not included. All empty boxes are equal.

    >>> Box(-1, 0, 2, 9).clip(4, 4)
    Box(top=0, left=0, bottom=2, right=4)
    """

    top: int
    left: int
    bottom: int
    right: int

    def __post_init__(self) -> None:
        if self.bottom <= self.top or self.right <= self.left:
            for side in ("top", "left", "bottom", "right"):
                object.__setattr__(self, side, 0)

    @staticmethod
    def of(rows: Interval, columns: Interval) -> Box:
        """The box of these rows and columns."""
        return Box(rows.start, columns.start, rows.stop, columns.stop)

    @property
    def rows(self) -> Interval:
        """The rows, top to bottom."""
        return Interval(self.top, self.bottom)

    @property
    def columns(self) -> Interval:
        """The columns, left to right."""
        return Interval(self.left, self.right)

    @property
    def height(self) -> int:
        """The number of rows."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """The number of columns."""
        return self.right - self.left

    @property
    def is_empty(self) -> bool:
        """Whether there is no cell at all."""
        return self.height == 0

    def hull(self, other: Box) -> Box:
        """The smallest box that holds both; an empty one adds nothing."""
        return Box.of(self.rows.hull(other.rows), self.columns.hull(other.columns))

    def intersection(self, other: Box) -> Box:
        """The cells that are in both."""
        return Box.of(self.rows.intersection(other.rows), self.columns.intersection(other.columns))

    def clip(self, height: int, width: int) -> Box:
        """The part inside a map of `height` rows and `width` columns."""
        return Box.of(self.rows.clip(height), self.columns.clip(width))

    def shift(self, down: int, right: int) -> Box:
        """The same box, moved."""
        return Box.of(self.rows.shift(down), self.columns.shift(right))

    def contains(self, other: Box) -> bool:
        """Whether every cell of `other` is here too; an empty one always is."""
        return self.rows.contains(other.rows) and self.columns.contains(other.columns)

    def as_list(self) -> list[int]:
        """[top, left, bottom, right], as in every JSON answer."""
        return [self.top, self.left, self.bottom, self.right]
