"""Which rows are recomputed: few widths, every changed place covered, nothing outside of what is needed."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from featmap.geometry import Interval
from featmap.run.region.patches.spans import MOST_WIDTHS, Spans, cells_of, choose_widths, spans

EMPTY = Interval(0, 0)


@st.composite
def changes(draw: st.DrawFn) -> tuple[list[Interval], Interval]:
    """Changed intervals within bounds, some of them empty."""
    first = draw(st.integers(0, 20))
    last = draw(st.integers(first + 1, first + 40))
    found = [EMPTY]
    for _ in range(draw(st.integers(0, 25))):
        start = draw(st.integers(first, last - 1))
        found.append(Interval(start, draw(st.integers(start + 1, last))))
    return draw(st.permutations(found)), Interval(first, last)


@given(changes())
def test_spans_cover_every_change_within_the_bounds(drawn: tuple[list[Interval], Interval]) -> None:
    changed, bounds = drawn
    made = spans(changed, bounds)
    assert len(made.widths) <= MOST_WIDTHS
    assert made.changed == tuple(changed)
    for start, width, interval in zip(made.starts.tolist(), made.extents.tolist(), changed, strict=True):
        assert width >= interval.size
        if interval.is_empty:
            assert width == 0
        else:
            assert bounds.start <= start <= interval.start
            assert interval.stop <= start + width <= bounds.stop


@given(changes(), st.data())
def test_a_part_is_the_same_for_its_positions(drawn: tuple[list[Interval], Interval], data: st.DataObject) -> None:
    made = spans(*drawn)
    chosen = data.draw(st.lists(st.integers(0, len(made) - 1), min_size=1, max_size=10))
    part = made.part(chosen)
    assert np.array_equal(part.extents, made.extents[chosen])
    assert np.array_equal(part.starts, made.starts[chosen])
    assert set(part.widths) == set(part.extents.tolist()) - {0}
    assert [rank for members in part.members for rank in part.ranks[members]] == [
        rank for members in part.members for rank in range(len(members))
    ]


@given(st.dictionaries(st.integers(1, 30), st.integers(1, 50), min_size=1, max_size=8))
def test_widths_are_some_of_the_lengths_and_cost_no_more_than_one_width(lengths: dict[int, int]) -> None:
    counted = Counter(lengths)
    widths = choose_widths(counted)
    assert set(widths) <= set(lengths)
    assert widths[-1] == max(lengths)
    assert list(widths) == sorted(widths)
    assert cells_of(widths, counted) <= max(lengths) * sum(lengths.values())


def test_spans_of_nothing() -> None:
    made = spans([EMPTY, EMPTY], Interval(3, 8))
    assert (made.widths, made.groups.tolist(), made.members) == ((), [-1, -1], ())
    assert made.same_places(Spans((EMPTY, EMPTY), made.starts, made.groups, ()))
