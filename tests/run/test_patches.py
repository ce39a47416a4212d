"""Gathering from patches, cache and border equals plain slicing; memory is lent to one tensor at a time."""

from __future__ import annotations

import gc
from dataclasses import dataclass
from math import prod

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from featmap.geometry import Box, Interval
from featmap.graph.operators.base.call import Axes
from featmap.graph.operators.base.sides import BORDER, Indices
from featmap.run.region.means import mean_change
from featmap.run.region.patches import patches as patches_module
from featmap.run.region.patches.patches import Cached, Layout, Patches
from featmap.run.region.patches.scratch import Scratch
from featmap.run.region.patches.spans import Spans, spans
from featmap.run.region.recomputation import no_spans, parts

EXAMPLES = settings(max_examples=60)
MAPS = Layout(Axes(0, (2, 3)), (2,))
"""Images, channels, rows, columns: the order of most values."""


@dataclass(frozen=True)
class Drawn:
    """Patches of one value over its untouched map, and the whole map of every position: the definition."""

    patches: Patches
    cached: Cached
    whole: Tensor

    @property
    def counts(self) -> tuple[int, int]:
        return len(self.patches.rows), len(self.patches.columns)


def drawn_spans(data: st.DataObject, size: int) -> Spans:
    changed: list[Interval] = []
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, size - 1))
        # An empty one is a position that nothing reaches.
        changed.append(Interval(start, data.draw(st.integers(start, size))))
    return spans(changed, Interval(0, size))


@st.composite
def recomputed(draw: st.DrawFn, dtype: torch.dtype = torch.float64) -> Drawn:
    data = draw(st.data())
    height, width = draw(st.integers(1, 7)), draw(st.integers(1, 7))
    rows, columns = drawn_spans(data, height), drawn_spans(data, width)
    generator = torch.Generator().manual_seed(draw(st.integers(0, 99)))
    untouched = torch.randn((1, 2, height, width), generator=generator, dtype=dtype)
    whole = untouched.repeat(len(rows) * len(columns), 1, 1, 1)
    values: dict[tuple[int, int], Tensor] = {}
    for part in parts(rows, columns):
        made = torch.randn((part.count, 2, part.height, part.width), generator=generator, dtype=dtype)
        values[part.group] = made
        for at in range(part.count):
            row, column = divmod(at, len(part.column_members))
            top, left = int(part.row_starts[row]), int(part.column_starts[column])
            position = int(part.row_members[row]) * len(columns) + int(part.column_members[column])
            whole[position, :, top : top + part.height, left : left + part.width] = made[at]
    cached = Cached(MAPS.to_places(untouched)[0].contiguous(), Box(0, 0, height, width))
    return Drawn(Patches(rows, columns, values, MAPS), cached, whole)


def asked(data: st.DataObject, count: int, size: int) -> tuple[Indices, Indices]:
    """Positions along one axis, and for each of them the rows (or columns) that are gathered, some on the border."""
    positions = np.array(data.draw(st.lists(st.integers(0, count - 1), min_size=1, max_size=4)), dtype=np.int64)
    places = data.draw(st.integers(1, 4))
    index = [[data.draw(st.integers(BORDER, size - 1)) for _ in range(places)] for _ in positions]
    return positions, np.array(index, dtype=np.int64)


def picked(drawn: Drawn, rows: tuple[Indices, Indices], columns: tuple[Indices, Indices], border: float) -> Tensor:
    """The same places by plain indexing: (image, row, column, channel)."""
    found: list[Tensor] = []
    for row_position, row_index in zip(*rows, strict=True):
        for column_position, column_index in zip(*columns, strict=True):
            whole = drawn.whole[row_position * drawn.counts[1] + column_position]
            taken = whole[:, row_index][:, :, column_index].permute(1, 2, 0).clone()
            outside = (row_index == BORDER)[:, None] | (column_index == BORDER)
            taken[torch.from_numpy(outside)] = border
            found.append(taken)
    return torch.stack(found)


@pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "by torch"])
@pytest.mark.parametrize("lowest", [False, True])
@EXAMPLES
@given(drawn=recomputed(), data=st.data())
def test_gathered_places_are_those_of_the_whole_maps(
    compiled: bool, lowest: bool, drawn: Drawn, data: st.DataObject
) -> None:
    height, width = drawn.whole.shape[2:]
    rows, columns = asked(data, drawn.counts[0], height), asked(data, drawn.counts[1], width)
    with pytest.MonkeyPatch.context() as patch:
        if not compiled:
            patch.setattr(patches_module, "can_copy", lambda _: False)
        table = drawn.patches.table(drawn.cached)
        found = table.gather(*rows, *columns, memory=Scratch(), lowest=lowest)
    assert torch.equal(found, picked(drawn, rows, columns, float("-inf") if lowest else 0.0))


@EXAMPLES
@given(drawn=recomputed(), data=st.data())
def test_gathering_into_channels_leaves_the_others_alone(drawn: Drawn, data: st.DataObject) -> None:
    height, width = drawn.whole.shape[2:]
    rows, columns = asked(data, drawn.counts[0], height), asked(data, drawn.counts[1], width)
    first = data.draw(st.integers(0, 3))
    expected = picked(drawn, rows, columns, 0.0)
    out = torch.full((*expected.shape[:3], 5), 7.0, dtype=torch.float64)
    drawn.patches.table(drawn.cached).gather_into(out, first, *rows, *columns)
    assert torch.equal(out[..., first : first + 2], expected)
    assert bool((out[..., :first] == 7).all())
    assert bool((out[..., first + 2 :] == 7).all())


@EXAMPLES
@given(drawn=recomputed())
def test_the_change_of_a_sum_is_that_of_the_whole_maps(drawn: Drawn) -> None:
    rows, columns = drawn.counts
    found = mean_change(drawn.patches, drawn.cached, rows * columns, columns)
    untouched = drawn.cached.places.permute(2, 0, 1)
    assert torch.allclose(found, (drawn.whole - untouched).sum(dim=(2, 3)), atol=1e-10)


@EXAMPLES
@given(drawn=recomputed(torch.float32))
def test_in_float32_the_change_of_a_sum_is_added_up_in_float64(drawn: Drawn) -> None:
    rows, columns = drawn.counts
    found = mean_change(drawn.patches, drawn.cached, rows * columns, columns)
    exact = (drawn.whole.double() - drawn.cached.places.permute(2, 0, 1).double()).sum(dim=(2, 3))
    assert found.dtype == torch.float64
    assert torch.allclose(found, exact, atol=1e-10)


@EXAMPLES
@given(drawn=recomputed())
def test_parts_are_every_position_once_or_not_at_all_where_nothing_is_recomputed(drawn: Drawn) -> None:
    rows, columns = drawn.patches.rows, drawn.patches.columns
    seen = [
        (int(row), int(column))
        for part in parts(rows, columns)
        for row in part.row_members
        for column in part.column_members
    ]
    reached = [
        (row, column)
        for row in range(len(rows))
        for column in range(len(columns))
        if rows.groups[row] >= 0 and columns.groups[column] >= 0
    ]
    assert sorted(seen) == reached
    assert [part.count for part in parts(no_spans(3), columns)] == []


ORDERS = {
    "channels first": ((1, 3, 4, 5), Axes(0, (2, 3)), (3,)),
    "channels last": ((1, 4, 5, 3), Axes(0, (1, 2)), (3,)),
    "columns first": ((1, 3, 5, 4), Axes(0, (3, 2)), (3,)),
    "heads": ((1, 2, 4, 3, 5), Axes(0, (2, 4)), (2, 3)),
    "no channels": ((1, 4, 5), Axes(0, (1, 2)), ()),
}


@pytest.mark.parametrize("order", ORDERS)
def test_places_and_the_values_own_order_of_axes(order: str) -> None:
    shape, axes, channels = ORDERS[order]
    layout = Layout(axes, channels)
    row_axis, column_axis = axes.in_space
    value = torch.arange(prod(shape)).view(shape)
    places = layout.to_places(value)
    assert places.shape == (1, 4, 5, prod(channels))
    for row in range(4):
        for column in range(5):
            one = value.select(row_axis, row).select(column_axis - (column_axis > row_axis), column)
            assert torch.equal(places[0, row, column], one.flatten())
    assert torch.equal(layout.from_places(places), value)


def test_memory_is_lent_again_once_nobody_holds_a_view_of_it() -> None:
    memory, like = Scratch(), torch.zeros(1)
    first = memory.empty((4, 100), like)
    address, view = first.data_ptr(), first[1:, ::2]
    del first
    gc.collect()
    other = memory.empty((4, 100), like)
    assert other.data_ptr() != address, "a view is still held"
    del view
    gc.collect()
    assert memory.empty((4, 100), like).data_ptr() == address


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(1, 300), st.booleans()), min_size=2, max_size=12))
def test_living_tensors_never_share_memory(wishes: list[tuple[int, bool]]) -> None:
    memory, like, held = Scratch(), torch.zeros(1, dtype=torch.float64), {}
    for number, (size, keeps) in enumerate(wishes):
        made = memory.empty((size,), like)
        assert made.shape == (size,)
        assert made.dtype == torch.float64
        made.fill_(number)
        if keeps:
            held[number] = made
        del made
        for other, tensor in held.items():
            assert bool((tensor == other).all())


def test_a_much_larger_block_is_not_wasted_on_a_small_tensor() -> None:
    memory, like = Scratch(), torch.zeros(1)
    large = memory.empty((1000,), like)
    address = large.data_ptr()
    del large
    gc.collect()
    assert memory.empty((499,), like).data_ptr() != address
    assert memory.empty((500,), like).data_ptr() == address


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.complex64, torch.int64, torch.bool])
def test_other_types_take_memory_of_torchs_own(dtype: torch.dtype) -> None:
    made = Scratch().empty((3, 2), torch.zeros(1, dtype=dtype))
    assert (made.shape, made.dtype) == ((3, 2), dtype)
    assert Scratch().empty((0, 2), torch.zeros(1)).shape == (0, 2)
