"""Rules over digits, compared with torch's own views and permutes of arrays of indices."""

from __future__ import annotations

from math import prod

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from featmap.geometry import AxisRule, Flip, IndexSet, Interval, Pad, Slice, Window
from featmap.geometry.axis.digits import Digits, Within, needed_through
from geometry.axis_oracle import hull, inside, members, read_by

_INNER: st.SearchStrategy[AxisRule] = st.sampled_from(
    [Window(3, before=1, after=1), Window(2, 2), Window(2, dilation=2), Slice(1, None, 2), Flip(), Pad(1, 0)]
)


@st.composite
def respelled(draw: st.DrawFn) -> tuple[Digits, int, list[set[int]]]:
    """A rule, its input size, and what each output reads: torch views, permutes and reshapes the indices."""
    sizes = draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    kept = draw(st.permutations([axis for axis in range(len(sizes)) if draw(st.booleans())]))
    free = [axis for axis in range(len(sizes)) if axis not in kept]
    unread = draw(st.sampled_from([1, 1, 2]))
    places = {axis: place for place, axis in enumerate(kept)}
    rule = Digits((*(sizes[axis] for axis in kept), unread), tuple((n, places.get(a)) for a, n in enumerate(sizes)))
    numbers = torch.arange(prod(sizes)).view(sizes).permute(*kept, *free).reshape(prod(sizes[a] for a in kept), -1)
    return rule, prod(sizes), [set(row) for row in numbers.repeat_interleave(unread, 0).tolist()]


@settings(max_examples=300)
@given(respelled())
def test_digits_are_what_views_and_permutes_do(question: tuple[Digits, int, list[set[int]]]) -> None:
    rule, size, truth = question
    assert rule.output_size(size) == len(truth)
    for output, read in enumerate(truth):
        sources = set(rule.sources(output, size))
        assert sources >= read
        assert {min(sources), max(sources)} <= read
        assert sources == read or not rule.is_exact(size)
    assert rule.moves or all(read == {output} for output, read in enumerate(truth))
    check_sets(rule, size)


@settings(max_examples=200)
@given(_INNER, st.integers(3, 6), st.integers(1, 3), st.integers(1, 3))
def test_a_rule_within_reads_what_it_reads_of_each_line(inner: AxisRule, size: int, before: int, after: int) -> None:
    rule, outputs = Within(inner, size, before, after), inner.output_size(size)
    lines = torch.arange(before * size * after).view(before, size, after)
    assert rule.output_size(rule.inputs) == before * outputs * after
    for output in range(before * outputs * after):
        above, rest = divmod(output, outputs * after)
        place, below = divmod(rest, after)
        read = [at for at in inner.sources(place, size) if 0 <= at < size]
        assert list(rule.sources(output, rule.inputs)) == lines[above, read, below].tolist()
    check_sets(rule, rule.inputs)
    assert rule.plain == (inner if before == after == 1 else rule)


def check_sets(rule: AxisRule, size: int) -> None:
    """Hulls, sets and periods of a rule are those of its sources."""
    outputs = rule.output_size(size)
    for start in range(outputs):
        read = read_by(rule, range(start, outputs), size)
        assert rule.needed(Interval(start, outputs), size) == hull(read)
        assert members(rule.needed_set(IndexSet.of(range(start, outputs)), size)) == inside(read, size)
    for place in range(size):
        changed = {output for output in range(outputs) if place in rule.sources(output, size)}
        assert rule.affected(Interval(place, place + 1), size).contains(hull(changed))
    period = rule.period(size)
    if period is not None:
        assert all(period.at(output) == rule.sources(output, size) for output in range(outputs))


def test_what_reads_blocks_and_halves_repeats() -> None:
    gather, repeated = Digits((4,), ((4, 0), (2, None))), Digits((4, 2), ((4, 0),))
    gathered, halves = gather.period(8), repeated.period(4)
    assert gathered is not None
    assert halves is not None
    assert (gathered.inputs, gathered.sources) == (2, (range(2),))
    assert (halves.inputs, halves.outputs) == (1, 2)


def test_rules_behind_one_another() -> None:
    steps = ((Within(Window(2), 3, 2, 1), 6), (Digits((6,), ((6, 0), (2, None))), 12))
    assert list(needed_through(steps, IndexSet.of([2]))) == [6, 7, 8, 9]
