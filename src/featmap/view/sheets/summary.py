"""The few numbers of each map that order, scale and labels need: one pass over the finite values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featmap.errors import SettingError


@dataclass(frozen=True)
class Summary:
    """Per map: extremes and mean of the finite values, the share above 0, and how many values are not finite.

    A map without any finite value has the extremes and mean 0.
    """

    minimum: NDArray[np.float64]
    maximum: NDArray[np.float64]
    mean: NDArray[np.float64]
    positive: NDArray[np.float64]
    broken: NDArray[np.int64]
    size: int

    @property
    def constant(self) -> NDArray[np.bool_]:
        """Which maps hold one and the same value everywhere."""
        return (self.minimum == self.maximum) & (self.broken == 0)

    @property
    def dead(self) -> NDArray[np.bool_]:
        """Which maps are 0 everywhere."""
        return self.constant & (self.maximum == 0)


def checked(values: NDArray[Any]) -> NDArray[Any]:
    """The values as a float array (channel, row, column) of at least one map with at least one value."""
    array = np.asarray(values)
    if array.ndim != 3 or array.size == 0:
        raise SettingError(
            f"A picture of feature maps needs an array (channel, row, column) that is not empty, got {array.shape}.",
            "Pass the maps of one image, for example values[0] of an array (image, channel, row, column).",
        )
    wide = np.promote_types(array.dtype, np.float32)
    return array.astype(wide if np.issubdtype(wide, np.floating) else np.float64, copy=False)


def summarise(values: NDArray[Any]) -> Summary:
    """The summary of each map of an array (channel, row, column).

    >>> summarise(np.array([[[0.0, 2.0]], [[np.nan, -1.0]]])).maximum.tolist()
    [2.0, -1.0]
    """
    finite = np.isfinite(values)
    count = finite.sum(axis=(1, 2))
    some = count > 0
    low = np.min(values, axis=(1, 2), where=finite, initial=np.inf).astype(np.float64)
    high = np.max(values, axis=(1, 2), where=finite, initial=-np.inf).astype(np.float64)
    total = np.sum(values, axis=(1, 2), where=finite, dtype=np.float64)
    above = np.sum(values > 0, axis=(1, 2), where=finite)
    size = values.shape[1] * values.shape[2]
    share = np.maximum(count, 1)
    return Summary(np.where(some, low, 0), np.where(some, high, 0), total / share, above / share, size - count, size)
