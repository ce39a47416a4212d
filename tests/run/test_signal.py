"""Signals on boxes against the plain thing: one large array per unit with the box's values written into it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from featmap.run.backward.signal import (
    Boxes,
    MapSignal,
    WholeSignal,
    blank,
    cut,
    moved,
    on_whole_map,
    signal_at,
    summed,
)

EXAMPLES = settings(max_examples=150)
MARGIN = 12
"""How far boxes may reach over the map, so that the large arrays hold every place."""


@dataclass(frozen=True)
class Drawn:
    """Signals into one map, with boxes that lie anywhere."""

    size: tuple[int, int]
    parts: tuple[MapSignal, ...]


def drawn_signal(data: st.DataObject, size: tuple[int, int], units: int, channels: int, *, fresh: bool) -> MapSignal:
    height, width = data.draw(st.integers(1, size[0] + 3)), data.draw(st.integers(1, size[1] + 3))
    starts = [np.array([data.draw(st.integers(-4, side + 2)) for _ in range(units)], dtype=np.int64) for side in size]
    if data.draw(st.booleans()):
        starts = [np.full(units, start[0], dtype=np.int64) for start in starts]
    seed = data.draw(st.integers(0, 99))
    values = torch.randn((units, channels, height, width), generator=torch.Generator().manual_seed(seed))
    return signal_at(values.double(), *starts, is_fresh=fresh)


@st.composite
def signals(draw: st.DrawFn, most_parts: int = 3) -> Drawn:
    data = draw(st.data())
    size = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    units, channels = draw(st.integers(1, 4)), draw(st.integers(1, 2))
    count = draw(st.integers(1, most_parts))
    return Drawn(
        size, tuple(drawn_signal(data, size, units, channels, fresh=draw(st.booleans())) for _ in range(count))
    )


def laid(signal: MapSignal, size: tuple[int, int]) -> Tensor:
    """The signal in an array that begins `MARGIN` places before the map: (unit, channel, row, column)."""
    boxes = signal.boxes
    made = torch.zeros(
        (len(signal), signal.values.shape[1], size[0] + 3 * MARGIN, size[1] + 3 * MARGIN), dtype=torch.float64
    )
    for unit in range(len(signal)):
        top, left = int(boxes.rows[unit]) + MARGIN, int(boxes.columns[unit]) + MARGIN
        made[unit, :, top : top + boxes.height, left : left + boxes.width] = signal.values[unit]
    return made


def on_map(array: Tensor, size: tuple[int, int]) -> Tensor:
    """The part of such an array that is the map."""
    return array[:, :, MARGIN : MARGIN + size[0], MARGIN : MARGIN + size[1]]


def nothing_outside(signal: MapSignal, size: tuple[int, int]) -> bool:
    array = laid(signal, size)
    return bool(torch.isclose(array.abs().sum(), on_map(array, size).abs().sum()))


@EXAMPLES
@given(signals(most_parts=1))
def test_a_cut_signal_is_the_same_on_the_map_and_nothing_outside(drawn: Drawn) -> None:
    (signal,) = drawn.parts
    expected = on_map(laid(signal, drawn.size), drawn.size).clone()
    made = cut(signal, drawn.size)
    assert torch.equal(on_map(laid(made, drawn.size), drawn.size), expected)
    assert nothing_outside(made, drawn.size)
    assert made.boxes.height <= max(signal.boxes.height, drawn.size[0])


@EXAMPLES
@given(signals())
def test_a_sum_is_the_sum_of_the_arrays_and_leaves_its_parts_alone(drawn: Drawn) -> None:
    expected = sum(on_map(laid(part, drawn.size), drawn.size) for part in drawn.parts)
    kept = [part.shared for part in drawn.parts]
    before = [part.values.clone() for part in kept]
    made = summed(kept, drawn.size)
    assert torch.allclose(on_map(laid(made, drawn.size), drawn.size), expected, atol=1e-12)
    assert nothing_outside(made, drawn.size)
    for part, values in zip(kept, before, strict=True):
        assert torch.equal(part.values, values)


@EXAMPLES
@given(signals())
def test_the_order_of_readers_does_not_matter(drawn: Drawn) -> None:
    forwards = summed([part.shared for part in drawn.parts], drawn.size)
    backwards = summed([part.shared for part in reversed(drawn.parts)], drawn.size)
    assert forwards.boxes.is_same(backwards.boxes)
    assert torch.allclose(forwards.values, backwards.values, atol=1e-12)


@EXAMPLES
@given(signals(most_parts=2))
def test_a_moved_signal_is_cut_where_the_boxes_have_no_place_and_zero_where_it_had_none(drawn: Drawn) -> None:
    signal, other = drawn.parts[0], drawn.parts[-1].boxes
    made = moved(signal, other)
    assert made.boxes.is_same(other)
    array = laid(signal, drawn.size)
    for unit in range(len(signal)):
        top, left = int(other.rows[unit]) + MARGIN, int(other.columns[unit]) + MARGIN
        expected = array[unit, :, top : top + other.height, left : left + other.width]
        assert torch.equal(made.values[unit], expected)


@EXAMPLES
@given(signals(most_parts=1))
def test_on_the_whole_map_every_unit_has_the_map_as_its_box(drawn: Drawn) -> None:
    (signal,) = drawn.parts
    made = on_whole_map(signal, drawn.size)
    assert made.boxes.covers(drawn.size)
    assert torch.equal(made.values, on_map(laid(signal, drawn.size), drawn.size))


@EXAMPLES
@given(signals())
def test_hull_and_union_hold_every_box_and_no_more(drawn: Drawn) -> None:
    first, *others = (part.boxes for part in drawn.parts)
    hull = first.hull(others)
    every = (first, *others)
    assert np.array_equal(hull.rows, np.min([boxes.rows for boxes in every], axis=0))
    assert np.array_equal(hull.columns, np.min([boxes.columns for boxes in every], axis=0))
    bottoms = np.max([boxes.rows + boxes.height for boxes in every], axis=0)
    assert hull.height == max(bottoms - hull.rows)
    union = hull.union
    assert (union.rows[0], union.columns[0]) == (hull.rows.min(), hull.columns.min())
    assert union.rows[0] + union.height == hull.rows.max() + hull.height
    assert union.columns[0] + union.width == hull.columns.max() + hull.width


@EXAMPLES
@given(signals(most_parts=2))
def test_boxes_are_the_same_exactly_where_all_numbers_are(drawn: Drawn) -> None:
    first, second = drawn.parts[0].boxes, drawn.parts[-1].boxes
    numbers = [(b.rows.tolist(), b.columns.tolist(), b.height, b.width) for b in (first, second)]
    assert first.is_same(second) == (numbers[0] == numbers[1])
    alike = len(set(zip(*numbers[0][:2], strict=True))) == 1
    assert first.same_for_all == alike
    whole = (first.height, first.width) == drawn.size and not any(numbers[0][0]) and not any(numbers[0][1])
    assert first.covers(drawn.size) == whole


@pytest.mark.parametrize("fresh", [True, False])
def test_only_a_fresh_signal_is_written_over(fresh: bool) -> None:
    at = np.array([-1], dtype=np.int64)
    signal = signal_at(torch.ones(1, 1, 2, 2), at, at, is_fresh=fresh)
    made = cut(signal, (5, 5))
    assert made.values.tolist() == [[[[0, 0], [0, 1]]]]
    assert (made.values.data_ptr() == signal.values.data_ptr()) == fresh
    assert bool((signal.values == 1).all()) == (not fresh)
    assert not signal.shared.is_fresh


def test_a_signal_that_lies_on_the_map_is_not_copied() -> None:
    at = np.array([1, 2], dtype=np.int64)
    signal = signal_at(torch.ones(2, 1, 2, 2), at, at)
    assert cut(signal, (5, 5)) is signal
    assert summed([signal], (5, 5)) is signal
    assert moved(signal, Boxes(at.copy(), at.copy(), 2, 2)) is signal


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.complex64])
def test_blank_memory_is_zero_and_lies_channels_last(dtype: torch.dtype) -> None:
    made = blank((2, 3, 4, 5), torch.ones(1, dtype=dtype))
    assert made.dtype == dtype
    assert made.is_contiguous(memory_format=torch.channels_last)
    assert not made.any()


def test_a_whole_signal_never_lends_its_memory() -> None:
    whole = WholeSignal(torch.ones(2, 3))
    assert not whole.is_fresh
    assert not whole.with_values(torch.zeros(2, 3), is_fresh=True).is_fresh
    at = np.zeros(2, dtype=np.int64)
    changed = signal_at(torch.ones(2, 1, 1, 1), at, at).with_values(torch.zeros(2, 1, 1, 1))
    assert changed.is_fresh
    assert len(changed) == 2
