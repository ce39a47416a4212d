"""What can be said of every map in one read of it? Its extremes, where the largest is, its moments, its share above 0.

One pass over the places of maps laid out channels last; numba compiles it at first use and keeps the result on disk.
Maps on other devices are measured by torch's operators, with the same numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from featmap.run.threads import as_many_threads_as_torch

VALUES_PER_THREAD = 32768
"""Fewer are measured sooner than another thread has begun."""


@dataclass(frozen=True, eq=False)
class MapStatistics:
    """Per image and channel, arrays (image, channel): what one map holds.

    `place` is the first place of the maximum, counted row by row. `squares` is the sum of squared distances from the
    mean. `positive` and `at_bound` count values: above 0, and at or beyond a bound of the nonlinearity.
    """

    maximum: NDArray[np.float32]
    place: NDArray[np.int32]
    minimum: NDArray[np.float32]
    mean: NDArray[np.float64]
    squares: NDArray[np.float64]
    positive: NDArray[np.int32]
    at_bound: NDArray[np.int32]
    places: int


def map_statistics(maps: Tensor, bounds: tuple[float, float] = (-np.inf, np.inf)) -> MapStatistics:
    """The statistics of maps (image, channel, row, column).

    `bounds`: values at or below the first and at or above the second are counted as lying at a bound.

    >>> found = map_statistics(torch.tensor([[[[0.0, 2.0], [2.0, -1.0]]]]))
    >>> found.maximum, found.place, found.mean, found.positive
    (array([[2.]], dtype=float32), array([[1]], dtype=int32), array([[0.75]]), array([[2]], dtype=int32))
    """
    maps = maps.detach()
    if maps.dtype != torch.float32:
        maps = maps.float()
    apart = maps.permute(0, 2, 3, 1).flatten(1, 2)
    return _compiled(apart, bounds) if maps.device.type == "cpu" else _by_operators(apart, bounds)


def _by_operators(apart: Tensor, bounds: tuple[float, float]) -> MapStatistics:
    exact = apart.double()
    mean = exact.mean(dim=1)
    maximum, place = _first_maximum(apart)
    at_bound = (apart <= bounds[0]) | (apart >= bounds[1])
    return MapStatistics(
        maximum.cpu().numpy(),
        place.to(torch.int32).cpu().numpy(),
        apart.amin(dim=1).cpu().numpy(),
        mean.cpu().numpy(),
        (exact - mean[:, None]).square().sum(dim=1).cpu().numpy(),
        (apart > 0).sum(dim=1).to(torch.int32).cpu().numpy(),
        at_bound.sum(dim=1).to(torch.int32).cpu().numpy(),
        apart.shape[1],
    )


def _first_maximum(apart: Tensor) -> tuple[Tensor, Tensor]:
    # torch promises nothing about which of several equal maxima `max` names.
    maximum = apart.amax(dim=1)
    numbers = torch.arange(apart.shape[1], device=apart.device)[None, :, None]
    place = torch.where(apart == maximum[:, None], numbers, apart.shape[1]).amin(dim=1)
    return maximum, place.clamp(max=apart.shape[1] - 1)


def _compiled(apart: Tensor, bounds: tuple[float, float]) -> MapStatistics:
    # numba takes a second to import.
    from featmap.run.one_pass import measure

    values = apart.contiguous().numpy()
    images, places, channels = values.shape
    extremes = np.empty((2, images, channels), np.float32)
    counts = np.empty((3, images, channels), np.int32)
    moments = np.empty((2, images, channels), np.float64)
    with as_many_threads_as_torch(values.size // VALUES_PER_THREAD):
        measure(values, extremes, counts, moments, np.float32(bounds[0]), np.float32(bounds[1]))
    place, positive, at_bound = counts
    return MapStatistics(extremes[0], place, extremes[1], moments[0], moments[1], positive, at_bound, places)
