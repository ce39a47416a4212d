"""Unevenly spaced fields: no stride and no offset, but the steps from each field to the next."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featmap.geometry import Adaptive, AxisField, Gather, Linear, Nearest, Repeat, TransposedWindow, Window, chain_field
from geometry.axis_oracle import hull
from geometry.test_receptive_field import Chain, inner_rules, seen, sizes_of

HALVED = Window(3, 2, 1, 1)


@pytest.mark.parametrize(
    ("chain", "steps"),
    [
        ([HALVED, TransposedWindow(2, 2)], (0, 2)),
        ([HALVED, Nearest(scale=2.0)], (0, 2)),
        ([HALVED, HALVED, Nearest(scale=2.0)], (0, 4)),
        ([Gather(2), Repeat(2)], (0, 2)),
        ([Repeat(2), Window(3, before=1, after=1)], (1, 0)),
        ([Adaptive(3)], None),
        ([HALVED, HALVED, Window(3)], None),
        ([Nearest(scale=2.0), Window(1, 2)], None),
    ],
)
def test_steps(chain: Chain, steps: tuple[int, ...] | None) -> None:
    field = chain_field(chain, 36)
    assert field.steps == (steps, steps)
    assert (field.stride[0] is None, field.offset[0] is None) == (steps is not None,) * 2


def test_units_of_different_size_have_no_formula_though_their_first_pixels_move_evenly() -> None:
    field = chain_field([Linear(scale=2.0), Window(2, 2, 1, 1)], 32)
    sizes = {phase.size for phase in field.axes[0].phases or ()}
    assert (field.stride[0] is None) == (len(sizes) > 1)


@settings(max_examples=300)
@given(st.lists(inner_rules, min_size=1, max_size=5), st.integers(60, 150))
def test_formula_and_boxes_agree_or_there_is_no_formula(chain: Chain, size: int) -> None:
    sizes = sizes_of(chain, size)
    field = chain_field(chain, size).axes[0]
    if field.is_whole:
        assert (field.stride, field.steps) == (None, None)
        return
    known = [(unit, hull(truth)) for unit in range(min(sizes[-1], 120)) if (truth := seen(chain, sizes, unit))]
    if field.stride is not None:
        assert all((box.start, box.size) == (field.offset + u * field.stride, field.size) for u, box in known)
    else:
        assert field.offset is None
        check_steps(field, known)


def check_steps(field: AxisField, known: list) -> None:
    """Neighbours among the known units are as far apart as their step says."""
    for (unit, box), (after, next_box) in pairwise(known):
        if field.steps is not None and after == unit + 1:
            assert next_box.start - box.start == field.steps[unit % len(field.steps)]
