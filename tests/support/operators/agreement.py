"""Tolerances, and the calls whose values are another with every run."""

from __future__ import annotations

import torch
from torch import Tensor

from featmap.network.randomness import is_random
from support.operators.case import OperatorCase


def agree(found: Tensor, expected: Tensor, what: str, *, is_single: bool = False) -> None:
    """Same shape and type, and nowhere further apart than 1e-9 of the largest number (1e-4 in single precision)."""
    assert (tuple(found.shape), found.dtype) == (tuple(expected.shape), expected.dtype), what
    if not expected.numel():
        return
    if not (expected.is_floating_point() or expected.is_complex()):
        assert torch.equal(found, expected), what
        return
    share = 1e-4 if is_single else 1e-9
    largest = float(expected.abs().nan_to_num(0, 0, 0).max())
    close = torch.isclose(found, expected, rtol=0, atol=share * max(largest, 1e-3), equal_nan=True)
    assert bool(close.all()), f"{what}: off by {float((found - expected).abs().max())}, largest number {largest}"


def is_drawn(case: OperatorCase) -> bool:
    """Whether the value is another one with each run: random numbers, memory as it was found."""
    return is_random(case.node) or "empty" in str(case.call.target)
