"""Axis rules on sets of indices, compared with loops over `sources`."""

from __future__ import annotations

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from featmap.errors import SettingError
from featmap.geometry import AxisRule, IndexSet, Interval, Pointwise, Window
from geometry.axis_oracle import hull, inside, members, read_by, rules


def outputs_of(rule: AxisRule, size: int) -> int:
    try:
        return rule.output_size(size)
    except SettingError:
        assume(False)
        return 0


@st.composite
def questions(draw: st.DrawFn) -> tuple[AxisRule, int, int]:
    """A rule, an input size and the output size."""
    rule, size = draw(rules), draw(st.integers(1, 24))
    return rule, size, outputs_of(rule, size)


@settings(max_examples=500)
@given(questions(), st.data())
def test_needed_is_the_hull_of_sources(question: tuple[AxisRule, int, int], data: st.DataObject) -> None:
    rule, size, outputs = question
    start = data.draw(st.integers(0, outputs))
    stop = data.draw(st.integers(start, outputs))
    assert rule.needed(Interval(start, stop), size) == hull(read_by(rule, range(start, stop), size))


@settings(max_examples=500)
@given(questions(), st.data())
def test_affected_never_lacks_an_output(question: tuple[AxisRule, int, int], data: st.DataObject) -> None:
    rule, size, outputs = question
    start = data.draw(st.integers(-2, size))
    stop = data.draw(st.integers(start, size + 2))
    changed = set(range(start, stop)) & set(range(size))
    truth = {output for output in range(outputs) if changed & set(rule.sources(output, size))}
    claimed = rule.affected(Interval(start, stop), size)
    assert Interval(0, outputs).contains(claimed)
    assert claimed.contains(hull(truth))
    if not isinstance(rule, Window) or (rule.dilation == 1 and rule.kernel >= rule.stride):
        dense = all(s.step == 1 and s for s in (rule.sources(o, size) for o in range(outputs)))
        assert not dense or claimed == hull(truth)


@settings(max_examples=500)
@given(questions(), st.data())
def test_needed_set_is_exact(question: tuple[AxisRule, int, int], data: st.DataObject) -> None:
    rule, size, outputs = question
    chosen = data.draw(st.sets(st.integers(0, outputs - 1))) if outputs else set()
    claimed = rule.needed_set(IndexSet.of(chosen), size)
    assert members(claimed) == inside(read_by(rule, sorted(chosen), size), size)


@settings(max_examples=300)
@given(questions())
def test_period_is_what_happens_inside(question: tuple[AxisRule, int, int]) -> None:
    rule, size, outputs = question
    period = rule.period(size)
    assume(period is not None)
    for output in range(outputs):
        read = set(rule.sources(output, size))
        if read and min(read) > 0 and max(read) < size - 1 and set(period.at(output)) <= set(range(size)):
            assert set(period.at(output)) == read


@settings(max_examples=300)
@given(questions())
def test_a_rule_that_does_not_move_is_the_identity(question: tuple[AxisRule, int, int]) -> None:
    rule, size, outputs = question
    if not rule.moves:
        assert outputs == size
        assert all(rule.sources(output, size) == Pointwise().sources(output, size) for output in range(outputs))
