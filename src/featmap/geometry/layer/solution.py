"""The solutions for a wanted size: settings, the names of conventions, and whether PyTorch's layers take them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import inf

from featmap.geometry.axis.window import TransposedWindow, Window


@dataclass(frozen=True, slots=True)
class AxisSolution:
    """Settings of one axis that give the wanted size; `conventions` are the names that they are known by.

    `stride` is the smallest of a range: the next `larger` strides give the same size; with None every larger one.
    `not_in_pytorch` says why PyTorch's own layer does not take these settings; empty where it does.
    """

    before: int
    after: int
    stride: int
    output_padding: int = 0
    conventions: tuple[str, ...] = ()
    larger: int | None = 0
    not_in_pytorch: str = ""

    @property
    def is_symmetric(self) -> bool:
        """Whether the padding is the same on both sides, as PyTorch's convolutions require."""
        return self.before == self.after

    @property
    def last_stride(self) -> int | None:
        """The largest stride of the range; None where it has no end."""
        return None if self.larger is None else self.stride + self.larger

    def rule(
        self, kernel: int, dilation: int = 1, *, transpose: bool = False, ceil_mode: bool = False
    ) -> Window | TransposedWindow:
        """The operator with these settings, at the smallest stride."""
        numbers = kernel, self.stride, self.before, self.after, dilation
        return TransposedWindow(*numbers, self.output_padding) if transpose else Window(*numbers, ceil_mode)

    @property
    def order(self) -> tuple[bool, bool, int, int, int, int]:
        """The sort key: solutions that PyTorch takes first, then symmetric ones, then the smallest paddings."""
        total, difference = self.before + self.after, abs(self.before - self.after)
        return bool(self.not_in_pytorch), not self.is_symmetric, total, self.output_padding, difference, self.stride


@dataclass(frozen=True, slots=True)
class SizeSolution:
    """The solutions along rows and along columns: any of one can be combined with any of the other."""

    rows: tuple[AxisSolution, ...]
    columns: tuple[AxisSolution, ...]

    @property
    def common(self) -> tuple[AxisSolution, ...]:
        """The settings that solve both rows and columns, in the order of the rows.

        They have a name only where it holds for both, and count as PyTorch's only where both do.
        """
        columns = by_padding(self.columns)
        found = [
            way for padding, ways in by_padding(self.rows).items() for way in shared(ways, columns.get(padding, []))
        ]
        return tuple(sorted(found, key=lambda way: way.order))


def by_padding(ways: tuple[AxisSolution, ...]) -> dict[tuple[int, int, int], list[AxisSolution]]:
    """The solutions grouped by padding, their strides in order."""
    found: dict[tuple[int, int, int], list[AxisSolution]] = {}
    for way in sorted(ways, key=lambda way: way.stride):
        found.setdefault((way.before, way.after, way.output_padding), []).append(way)
    return found


def shared(rows: list[AxisSolution], columns: list[AxisSolution]) -> Iterator[AxisSolution]:
    """The strides that two lists of solutions with the same padding, in order of stride, have in common."""
    at_row = at_column = 0
    while at_row < len(rows) and at_column < len(columns):
        row, column = rows[at_row], columns[at_column]
        first, last = max(row.stride, column.stride), min(end(row), end(column))
        if first <= last:
            yield replace(
                row,
                stride=first,
                larger=None if last == inf else int(last) - first,
                conventions=tuple(name for name in row.conventions if name in column.conventions),
                not_in_pytorch=row.not_in_pytorch or column.not_in_pytorch,
            )
        at_row, at_column = at_row + (end(row) == last), at_column + (end(column) == last)


def end(way: AxisSolution) -> float:
    """The largest stride of a solution, infinity where its range has no end."""
    return inf if way.last_stride is None else way.last_stride
