"""Checks of bounds: where a nonlinearity is 0, where it is flat, what keeps that."""

from __future__ import annotations

import torch
from torch import Tensor

from support.operators.agreement import is_drawn
from support.operators.case import OperatorCase
from support.operators.response import responses


def check_bounds(case: OperatorCase) -> None:
    """A nonlinearity is 0 below some number where it is called rectified, and reaches the bounds that it names."""
    found = responses(case)
    operator = case.operator
    if found is None or case.weights or not operator.is_nonlinearity:
        return
    zero_below = not any(bool(found[number].any()) for number in (-8.0, -6.0, -4.5))
    assert operator.is_rectified(case.bound) == zero_below
    low, high = operator.saturation(case.node)
    if low is None or high is None or low <= high:
        _check_bound(found, low, -30.0, 1)
        _check_bound(found, high, 30.0, -1)
    if operator.is_probability(case.bound):
        assert all(bool(((value >= 0) & (value <= 1)).all()) for value in found.values())


def _check_bound(found: dict[float, Tensor], bound: float | None, far: float, sign: int) -> None:
    """It comes to the bound far out and never passes it; where it is flat there, and not at 0, a bound is named."""
    is_flat = torch.equal(found[far], found[far / 5]) and torch.equal(found[far], found[sign * -8.0])
    if bound is None:
        assert not is_flat or not found[far].any(), "flat, and no bound is named"
        return
    assert all(bool((sign * value >= sign * bound - 1e-9).all()) for value in found.values()), "passes its bound"
    assert float((found[far] - bound).abs().max()) < 1e-9, "does not come to its bound"


def check_kept_bounds(case: OperatorCase) -> None:
    """What keeps rectified values rectified gives 0 of zeros, and nothing negative of what is not negative."""
    if not case.operator.keeps_rectified or case.weights or is_drawn(case):
        return
    zeros = case.value(torch.zeros_like(case.image))
    value = case.value(case.image.clamp_min(0))
    if not value.is_complex():
        assert not zeros.any()
        assert bool((value >= 0).all())
