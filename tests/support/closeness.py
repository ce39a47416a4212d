"""Tolerances: in float64 1e-9 and in float32 1e-4 of the map's largest value, as the project promises."""

from __future__ import annotations

import torch
from torch import Tensor

SHARE = {torch.float32: 1e-4, torch.float64: 1e-9}


def assert_close(value: Tensor, expected: Tensor, name: str = "") -> None:
    """Same shape, same dtype, and nowhere further apart than the dtype's share of the largest expected value."""
    assert value.shape == expected.shape, f"{name}: {tuple(value.shape)} instead of {tuple(expected.shape)}"
    assert value.dtype == expected.dtype, f"{name}: {value.dtype} instead of {expected.dtype}"
    if expected.numel():
        difference = float((value - expected).abs().max())
        largest = float(expected.abs().max())
        # Written so that NaN on either side fails.
        assert difference <= SHARE[expected.dtype] * largest, f"{name}: off by {difference}, largest value {largest}"
