"""Receptive fields of random chains and graphs, compared with backward walks over every index."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from featmap.errors import SettingError
from featmap.geometry import (
    Adaptive,
    AxisField,
    AxisRule,
    Cubic,
    Flip,
    Gather,
    Linear,
    Nearest,
    Pad,
    Pointwise,
    ReceptiveField,
    Repeat,
    Slice,
    Status,
    TransposedWindow,
    Whole,
    Window,
    chain_field,
    merge,
)
from geometry.axis_oracle import hull, pads, scales, small, transposed, windows

Chain = list[AxisRule]
inner_rules = st.one_of(
    windows,
    windows,
    transposed,
    st.builds(Nearest, st.none(), scales, st.booleans()),
    st.builds(Linear, st.none(), scales, st.booleans()),
    st.builds(Cubic, st.none(), scales, st.booleans()),
    st.builds(Adaptive, st.integers(2, 40)),
    pads,
    st.builds(Slice, st.integers(0, 3), st.none(), st.integers(1, 3)),
    st.builds(Repeat, small),
    st.just(Flip()),
    st.just(Pointwise()),
)


def sizes_of(chain: Chain, size: int) -> list[int]:
    """The size before each rule and after the last."""
    sizes = [size]
    for rule in chain:
        try:
            sizes.append(rule.output_size(sizes[-1]))
        except SettingError:
            assume(False)
        assume(0 < sizes[-1] < 2000)
    return sizes


def seen(chain: Chain, sizes: list[int], unit: int) -> set[int] | None:
    """The pixels that a unit sees; None where padding or a border is met on the way."""
    units = {unit}
    for rule, size in zip(reversed(chain), reversed(sizes[:-1]), strict=True):
        rule = Pad(rule.before, rule.after) if isinstance(rule, Pad) else rule  # mirrored pixels are a border too
        units = {index for here in units for index in rule.sources(here, size)}
        near_border = units and (min(units) <= 2 or max(units) >= size - 3)
        if near_border and rule.moves:
            return None
    return units


@settings(max_examples=400)
@given(st.lists(inner_rules, min_size=1, max_size=5), st.integers(60, 150))
def test_field_of_a_chain_is_what_units_see(chain: Chain, size: int) -> None:
    sizes = sizes_of(chain, size)
    field = chain_field(chain, size).axes[0]
    step = max(1, sizes[-1] // 60)
    for unit in range(0, sizes[-1], step):
        truth = seen(chain, sizes, unit)
        if truth is not None:
            check_unit(field, unit, truth)


def check_unit(field: AxisField, unit: int, truth: set[int]) -> None:
    """One unit's true pixels against what its field says."""
    extent = hull(truth)
    assert extent.size <= field.size
    if truth:
        assert field.bounds.low + unit * field.bounds.stride <= extent.start
        assert extent.stop - 1 <= field.bounds.high + unit * field.bounds.stride
    if field.phases is not None:
        support = field.at(unit)
        claimed = {support.start + bit for bit in range(support.size) if support.mask >> bit & 1}
        assert claimed == truth if field.is_certain else claimed >= truth
    if field.stride is not None and not field.is_whole and truth:
        assert (extent.start, extent.size) == (field.offset + unit * field.stride, field.size)
    if field.is_exact:
        assert len(truth) == extent.size == field.size


@settings(max_examples=150)
@given(st.lists(st.lists(windows, min_size=1, max_size=3), min_size=2, max_size=4), st.data())
def test_merged_ways_are_the_union(chains: list[list[Window]], data: st.DataObject) -> None:
    """Ways of one stride, each with rules of its own along rows and along columns."""
    strides = data.draw(st.tuples(*[st.integers(1, 2)] * 3))
    ways = [[with_stride(rule, stride) for rule, stride in zip(chain, strides, strict=False)] for chain in chains]
    for way in ways:
        way += [Window(1, stride) for stride in strides[len(way) :]]
    across = [[way[i] if data.draw(st.booleans()) else Window(1, way[i].stride) for i in (0, 1, 2)] for way in ways]
    field = merge([two_axis_field(rows, columns) for rows, columns in zip(ways, across, strict=True)])
    truth = {pixel for way in zip(ways, across, strict=True) for pixel in pixels_seen(*way)}
    check_union(field, truth)


def with_stride(rule: Window, stride: int) -> Window:
    return Window(rule.kernel, stride, rule.before, rule.after, rule.dilation)


def two_axis_field(rows: list[Window], columns: list[Window]) -> ReceptiveField:
    field, size = ReceptiveField(), [400, 400]
    for row_rule, column_rule in zip(rows, columns, strict=True):
        field = field.through((row_rule, column_rule), size)
        size = [row_rule.output_size(size[0]), column_rule.output_size(size[1])]
    return field


def pixels_seen(rows: list[Window], columns: list[Window]) -> set[tuple[int, int]]:
    """What unit (20, 20) sees, padding taken as if it were map."""
    axes: list[set[int]] = []
    for chain in (rows, columns):
        units = {20}
        for rule in reversed(chain):
            units = {index for unit in units for index in rule.sources(unit, 400)}
        axes.append(units)
    return set(product(*axes))


def check_union(field: ReceptiveField, truth: set[tuple[int, int]]) -> None:
    rows, columns = hull({row for row, _ in truth}), hull({column for _, column in truth})
    assert field.size == (rows.size, columns.size)
    assert field.offset[0] == rows.start - 20 * field.stride[0]
    assert field.offset[1] == columns.start - 20 * field.stride[1]
    if field.status == Status.EXACT:
        assert len(truth) == rows.size * columns.size
    if len(truth) < rows.size * columns.size:
        assert field.status == Status.HULL


@settings(max_examples=200)
@given(st.lists(inner_rules, min_size=1, max_size=3), st.lists(inner_rules, min_size=1, max_size=3))
def test_ways_that_are_not_aligned_stay_inside_their_bounds(first: Chain, second: Chain) -> None:
    """Both ways are brought to one size by a resize, whatever their strides."""
    chains = [[*chain, Nearest(outputs=50)] for chain in (first, second)]
    sizes = [sizes_of(chain, 90) for chain in chains]
    field = merge(chain_field(chain, 90) for chain in chains).axes[0]
    for unit in range(50):
        ways = [seen(chain, size, unit) for chain, size in zip(chains, sizes, strict=True)]
        if None not in ways:
            check_unit(field, unit, set().union(*(way for way in ways if way)))


VGG_BLOCK = [Window(3, before=1, after=1), Window(3, before=1, after=1)]
POOL = Window(2, 2)


@pytest.mark.parametrize(
    ("chain", "size"),
    [
        ([*VGG_BLOCK, POOL] * 2 + [Window(3, before=1, after=1)] * 3, 40),
        ([*VGG_BLOCK, POOL] * 2 + [*[Window(3, before=1, after=1)] * 3, POOL] + [Window(3)] * 3, 92),
        (
            [*VGG_BLOCK, POOL] * 2 + [*[Window(3, before=1, after=1)] * 3, POOL] * 2 + [Window(3)] * 3,
            196,
        ),
    ],
)
def test_the_vgg16_fields_of_the_literature(chain: Chain, size: int) -> None:
    field = chain_field(chain, 224)
    assert field.size == (size, size)
    assert field.status == Status.EXACT


def test_resnet18_sees_435_pixels() -> None:
    block = [Window(3, before=1, after=1)] * 2
    down = [Window(3, 2, 1, 1), Window(3, before=1, after=1)]
    stem = [Window(7, 2, 3, 3), Window(3, 2, 1, 1)]
    field = chain_field(stem + block * 2 + (down + block) * 3, 224)
    assert (field.size, field.stride, field.status) == ((435, 435), (32, 32), Status.EXACT)


@pytest.mark.parametrize(
    ("chain", "size", "stride", "offset", "status"),
    [
        ([], 1, 1, 0, "exact"),
        ([Window(3, dilation=2)], 5, 1, 0, "hull"),
        ([Window(3, dilation=2), Window(2)], 6, 1, 0, "exact"),
        ([Window(1, 2), Window(3)], 5, 2, 0, "hull"),
        ([Window(1, 2), Window(3), Window(1, 2), Window(3)], 13, 4, 0, "hull"),
        ([Window(2, 2), Repeat(2), Window(2, 2)], 2, 2, 0, "exact"),
        ([Gather(2), Repeat(2)], 2, None, None, "exact"),
        ([Pad(2, 2, "reflect"), Window(5)], 5, 1, -2, "exact"),
        ([Slice(1, None, 2)], 1, 2, 1, "exact"),
        ([Whole()], 32, None, 0, "whole"),
        ([Adaptive(1)], 32, None, 0, "whole"),
        ([Adaptive(1), Nearest(outputs=8), Window(3)], 32, None, 0, "whole"),
        ([Adaptive(8)], 4, 4, 0, "exact"),
        ([Window(3), Flip()], 3, -1, 29, "exact"),
    ],
)
def test_worked_fields(chain: Chain, size: int, stride: int | None, offset: int | None, status: str) -> None:
    field = chain_field(chain, 32)
    assert (field.size, field.stride, field.offset) == ((size,) * 2, (stride,) * 2, (offset,) * 2)
    assert field.status == status


def test_units_finer_than_pixels_have_no_stride() -> None:
    doubled = chain_field([Repeat(2), Window(3, before=1, after=1)], 32)
    assert repr(doubled) == ("ReceptiveField(size=(2, 2), stride=(None, None), offset=(None, None), status='exact')")
    assert chain_field([TransposedWindow(3, 2, 1, 1, output_padding=1)], 32).status == Status.HULL
    assert chain_field([TransposedWindow(4, 2, 1, 1)], 32).status == Status.EXACT
    assert chain_field([Linear(scale=2.0)], 32).status == Status.EXACT
    assert chain_field([Linear(scale=3.0)], 32).status == Status.HULL
    assert chain_field([Adaptive(7)], 32).status == Status.HULL


def test_a_shortcut_inside_the_other_way_changes_nothing() -> None:
    way = chain_field([Window(3, 2, 1, 1), Window(3, before=1, after=1)], 32)
    shortcut = chain_field([Window(1, 2)], 32)
    assert merge([shortcut, way]) == merge([way, shortcut]) == way


def test_a_cross_is_no_box() -> None:
    flat = ReceptiveField().through((Pointwise(), Window(3, before=1, after=1)), (8, 8))
    tall = ReceptiveField().through((Window(3, before=1, after=1), Pointwise()), (8, 8))
    cross = merge([flat, tall])
    assert (cross.size, cross.offset, cross.status) == ((3, 3), (-1, -1), Status.HULL)
    square = ReceptiveField().through((Window(3, before=1, after=1), Window(3, before=1, after=1)), (8, 8))
    assert merge([flat, tall, square]) == square
    assert merge([cross, square]).status == Status.EXACT


def test_ways_of_different_stride_have_no_stride() -> None:
    coarse = chain_field([Window(2, 2, 1, 1), Nearest(outputs=33)], 33)
    field = merge([coarse, ReceptiveField()])
    assert field.stride == (None, None)
    assert field.status == Status.HULL


def test_an_operator_along_one_axis_keeps_the_other() -> None:
    field = ReceptiveField().through((Whole(1), Window(3)), (20, 30))
    assert (field.size, field.stride, field.status) == ((20, 3), (None, 1), Status.WHOLE)
