"""Intervals, boxes, index sets and supports, compared with Python's own sets."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from featmap.geometry import Box, IndexSet, Interval, Status
from featmap.geometry.axis.support import Support
from featmap.geometry.index_set import every, repeat, shift, spread

intervals = st.builds(Interval, st.integers(-9, 9), st.integers(-9, 9))
index_sets = st.sets(st.integers(0, 40))
ranges = st.builds(range, st.integers(-9, 9), st.integers(-9, 30), st.integers(1, 4))


def indices(interval: Interval) -> set[int]:
    return set(range(interval.start, interval.stop))


@given(intervals, intervals, st.integers(0, 9), st.integers(-9, 9))
def test_intervals_are_sets(one: Interval, other: Interval, size: int, distance: int) -> None:
    both = indices(one) | indices(other)
    assert indices(one.hull(other)) == (set(range(min(both), max(both) + 1)) if both else set())
    assert indices(one.intersection(other)) == indices(one) & indices(other)
    assert indices(one.clip(size)) == indices(one) & set(range(size))
    assert indices(one.shift(distance)) == {index + distance for index in indices(one)}
    assert one.contains(other) == (indices(one) >= indices(other))
    assert (one.size, one.is_empty) == (len(indices(one)), not indices(one))


def test_all_empty_intervals_and_boxes_are_equal() -> None:
    assert Interval(7, 3) == Interval(5, 5) == Interval(0, 0)
    assert Box(3, 0, 3, 9) == Box(0, 5, 4, 5) == Box(0, 0, 0, 0)
    assert Box(0, 0, 0, 0).hull(Box(2, 3, 4, 5)) == Box(2, 3, 4, 5)


@given(intervals, intervals, intervals, intervals)
def test_boxes_are_sets_of_cells(rows: Interval, columns: Interval, rows2: Interval, columns2: Interval) -> None:
    def cells(box: Box) -> set[tuple[int, int]]:
        return {(row, column) for row in indices(box.rows) for column in indices(box.columns)}

    one, other = Box.of(rows, columns), Box.of(rows2, columns2)
    assert len(cells(one)) == one.height * one.width
    assert one.is_empty == (not cells(one))
    assert cells(one.intersection(other)) == cells(one) & cells(other)
    assert cells(one.hull(other)) >= cells(one) | cells(other)
    assert one.contains(other) == (cells(one) >= cells(other))
    assert cells(one.clip(4, 6)) == {(row, column) for row, column in cells(one) if 0 <= row < 4 and 0 <= column < 6}
    assert cells(one.shift(2, -1)) == {(row + 2, column - 1) for row, column in cells(one)}
    assert one.as_list() == [one.top, one.left, one.bottom, one.right]


def test_the_worst_status() -> None:
    assert Status.worst() == Status.EXACT
    assert Status.worst(Status.EXACT, Status.WHOLE, Status.HULL) == "whole"


@given(index_sets, index_sets, st.integers(0, 40))
def test_index_sets_are_sets(one: set[int], other: set[int], size: int) -> None:
    first, second = IndexSet.of(one), IndexSet.of(other)
    assert (set(first | second), set(first & second)) == (one | other, one & other)
    assert (first >= second, first <= second) == (one >= other, one <= other)
    assert (list(first), len(first), bool(first)) == (sorted(one), len(one), bool(one))
    assert set(first.clip(size)) == {index for index in one if index < size}
    assert (size in first) == (size in one)
    assert -1 not in first
    assert first.interval == (Interval(min(one), max(one) + 1) if one else Interval(0, 0))
    assert first.is_contiguous == (first.interval.size == len(one))
    runs = list(first.runs())
    assert set().union(*map(indices, runs)) == one
    assert all(one.stop < other.start for one, other in pairwise(runs))


@given(st.integers(0, 50), st.integers(0, 50), st.integers(1, 5))
def test_ranges_and_intervals_become_index_sets(start: int, stop: int, step: int) -> None:
    assert set(IndexSet.of(range(start, stop, step))) == set(range(start, stop, step))
    assert set(IndexSet.of(range(start, stop, step)[::-1])) == set(range(start, stop, step))
    assert set(IndexSet.of(Interval(start, stop))) == set(range(start, stop))


@given(index_sets, st.integers(0, 6), st.integers(1, 5), st.integers(-9, 9))
def test_masks_move_like_sets(one: set[int], count: int, step: int, distance: int) -> None:
    mask = IndexSet.of(one).mask
    assert set(IndexSet(repeat(mask, count, step))) == {i + copy * step for i in one for copy in range(count)}
    assert set(IndexSet(shift(mask, distance))) == {i + distance for i in one if i + distance >= 0}
    assert set(IndexSet(spread(mask, step))) == {i * step for i in one}
    assert set(IndexSet(every(mask, step))) == {i // step for i in one if i % step == 0}


def test_an_index_set_shows_its_runs() -> None:
    assert repr(IndexSet.of([0, 1, 5])) == "IndexSet(0:2, 5:6)"


@given(ranges, ranges, st.integers(0, 5), st.integers(-4, 4))
def test_supports_are_sets_that_begin_anywhere(one: range, other: range, count: int, step: int) -> None:
    def pixels(support: Support) -> set[int]:
        return {support.start + bit for bit in range(support.size) if support.mask >> bit & 1}

    first, second = Support.of(one), Support.of(other)
    assert pixels(first) == set(one)
    assert pixels(first | second) == set(one) | set(other)
    assert pixels(first.shifted(step)) == {pixel + step for pixel in one}
    assert pixels(first.repeated(count, step)) == {pixel + copy * step for pixel in one for copy in range(count)}
    assert (first >= second) == (set(one) >= set(other))
    assert first.is_dense == (first.size == len(one))
