"""The rows (or columns) of each value that are recomputed for each position of a change: integers along one axis.

Rows and columns are independent, so 27 x 27 positions are 27 + 27 questions. The changed intervals of a value have
different lengths, at borders and by phase; they are widened to at most `MOST_WIDTHS` widths, so that all positions of a
width run as one batch. Widened places are recomputed to what they were: right, only superfluous.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np
from jaxtyping import Int64

from featmap.geometry import Interval
from featmap.graph.operators.base.sides import Indices

MOST_WIDTHS = 3
WORTH_A_WIDTH = 0.97
"""A further width must save at least 3% of the cells: every width is a call of its own."""


@dataclass(frozen=True, eq=False)
class Spans:
    """For every position along one axis the interval of a value that is recomputed.

    `changed` are the intervals that can change, empty where nothing does. `starts` and `groups` give the recomputed
    interval: position i has `widths[groups[i]]` places from `starts[i]` on, none where the group is -1.
    """

    changed: tuple[Interval, ...]
    starts: Int64[Indices, " position"]
    groups: Int64[Indices, " position"]
    widths: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.changed)

    @cached_property
    def members(self) -> tuple[Indices, ...]:
        """For every width the positions that have it."""
        return tuple(np.flatnonzero(self.groups == group) for group in range(len(self.widths)))

    @cached_property
    def ranks(self) -> Indices:
        """Which of its width's members each position is."""
        ranks = np.zeros(len(self), dtype=np.int64)
        for members in self.members:
            ranks[members] = np.arange(len(members))
        return ranks

    @cached_property
    def extents(self) -> Indices:
        """How many places are recomputed at each position."""
        return np.append(np.asarray(self.widths, dtype=np.int64), 0)[self.groups]

    def part(self, positions: Sequence[int]) -> Spans:
        """The same for some of the positions, widths that none of them has left out."""
        chosen = np.asarray(positions, dtype=np.int64)
        groups = self.groups[chosen]
        kept = [group for group in range(len(self.widths)) if (groups == group).any()]
        renumbered = np.full(len(self.widths) + 1, -1, dtype=np.int64)
        renumbered[kept] = np.arange(len(kept))
        changed = tuple(self.changed[position] for position in chosen)
        return Spans(changed, self.starts[chosen], renumbered[groups], tuple(self.widths[group] for group in kept))

    def same_places(self, other: Spans) -> bool:
        """Whether the recomputed intervals are the very same."""
        return (
            self.widths == other.widths
            and np.array_equal(self.groups, other.groups)
            and np.array_equal(self.starts, other.starts)
        )


def spans(changed: Sequence[Interval], bounds: Interval) -> Spans:
    """Spans that hold the changed intervals and stay within `bounds`.

    >>> made = spans([Interval(0, 3), Interval(2, 6), Interval(4, 8)], Interval(0, 8))
    >>> made.widths, made.starts.tolist()
    ((3, 4), [0, 2, 4])
    """
    lengths = Counter(interval.size for interval in changed if not interval.is_empty)
    widths = choose_widths(lengths)
    starts, groups = np.zeros(len(changed), dtype=np.int64), np.full(len(changed), -1, dtype=np.int64)
    for position, interval in enumerate(changed):
        if not interval.is_empty:
            group = next(at for at, width in enumerate(widths) if width >= interval.size)
            groups[position] = group
            starts[position] = max(bounds.start, min(interval.start, bounds.stop - widths[group]))
    return Spans(tuple(changed), starts, groups, widths)


def choose_widths(lengths: Counter[int]) -> tuple[int, ...]:
    """At most `MOST_WIDTHS` of the lengths so that rounding each length up to one of them costs least.

    >>> choose_widths(Counter({5: 1, 9: 20, 10: 20}))
    (9, 10)
    """
    if not lengths:
        return ()
    ordered = sorted(lengths)
    best: tuple[int, ...] = (ordered[-1],)
    best_cells = cells_of(best, lengths)
    for count in range(1, min(MOST_WIDTHS, len(ordered))):
        options = [(*chosen, ordered[-1]) for chosen in combinations(ordered[:-1], count)]
        option = min(options, key=lambda widths: cells_of(widths, lengths))
        cells = cells_of(option, lengths)
        if cells < best_cells * WORTH_A_WIDTH:
            best, best_cells = option, cells
    return best


def cells_of(widths: tuple[int, ...], lengths: Counter[int]) -> int:
    """The places that are recomputed with these widths."""
    return sum(number * next(width for width in widths if width >= length) for length, number in lengths.items())
