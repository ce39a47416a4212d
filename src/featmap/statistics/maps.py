"""Statistics of every map from one pass: extremes, position of the maximum, moments, share above 0.

The pass runs over the positions of channels-last maps; numba compiles it at first use and caches the result on disk.
Maps on other devices are measured by torch's operators, with the same results.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float, Float32, Float64, Int32, Int64
from torch import Tensor

from featmap.statistics.array_types import Counts, Doubles, Floats
from featmap.statistics.layout import laid_out
from featmap.threads import share_threads

_VALUES_PER_THREAD = 32768
"""Fewer values are measured sooner than another thread would have started."""
Bounds = tuple[float, float]
Pass = Callable[..., None]
UNBOUNDED: Bounds = (-np.inf, np.inf)


@dataclass(frozen=True, eq=False)
class MapStatistics:
    """Statistics of every map, arrays (image, map).

    `place` is the first position of the maximum, counted row by row. `squares` is the sum of squared deviations from
    the mean. `positive` and `at_bound` count values: above 0, and at or beyond a bound of the nonlinearity.
    They are parts of `extremes` (maximum, minimum), `counts` (place, positive, at_bound) and `moments` (mean, squares).
    """

    extremes: Float32[Floats, "2 image map"]
    counts: Int32[Counts, "3 image map"]
    moments: Float64[Doubles, "2 image map"]

    @classmethod
    def empty(cls, images: int, maps: int) -> MapStatistics:
        """Uninitialized statistics for this many images and maps."""
        shape = (images, maps)
        return cls(np.empty((2, *shape), np.float32), np.empty((3, *shape), np.int32), np.empty((2, *shape)))

    @property
    def maximum(self) -> Float32[Floats, "image map"]:
        return self.extremes[0]

    @property
    def minimum(self) -> Float32[Floats, "image map"]:
        return self.extremes[1]

    @property
    def place(self) -> Int32[Counts, "image map"]:
        return self.counts[0]

    @property
    def positive(self) -> Int32[Counts, "image map"]:
        return self.counts[1]

    @property
    def at_bound(self) -> Int32[Counts, "image map"]:
        return self.counts[2]

    @property
    def mean(self) -> Float64[Doubles, "image map"]:
        return self.moments[0]

    @property
    def squares(self) -> Float64[Doubles, "image map"]:
        return self.moments[1]


def map_statistics(maps: Float[Tensor, "image channel row column"], bounds: Bounds = UNBOUNDED) -> MapStatistics:
    """The statistics of maps (image, channel, row, column).

    `bounds`: values at or below the first and at or above the second are counted as at a bound.

    >>> found = map_statistics(torch.tensor([[[[0.0, 2.0], [2.0, -1.0]]]]))
    >>> found.maximum, found.place, found.mean, found.positive
    (array([[2.]], dtype=float32), array([[1]], dtype=int32), array([[0.75]]), array([[2]], dtype=int32))
    """
    found = MapStatistics.empty(maps.shape[0], maps.shape[1])
    measure_into(found, 0, maps, bounds)
    return found


def measure_into(
    found: MapStatistics, first: int, maps: Float[Tensor, "image channel row column"], bounds: Bounds = UNBOUNDED
) -> None:
    """Writes the statistics of maps (image, channel, row, column) into the part of `found` from the map `first` on."""
    if maps.device.type != "cpu":
        _by_operators(found, first, maps.detach().float().permute(0, 2, 3, 1).flatten(1, 2), bounds)
        return
    in_turn, together = _compiled()
    maps = laid_out(maps)
    images, channels, rows, columns = maps.shape
    is_small = images * channels * rows * columns < 2 * _VALUES_PER_THREAD
    compiled = in_turn if is_small or share_threads() < 2 else together
    where = (maps.data_ptr(), images, rows * columns, channels, first)
    compiled(*where, found.extremes, found.counts, found.moments, *bounds)


@lru_cache(maxsize=1)
def _compiled() -> tuple[Pass, Pass]:
    # numba takes a second to import.
    from featmap.statistics.one_pass import measure, measure_in_turn

    return measure_in_turn, measure


def _by_operators(
    found: MapStatistics, first: int, apart: Float32[Tensor, "image position channel"], bounds: Bounds
) -> None:
    """The same by torch's operators, of maps (image, position, channel)."""
    exact = apart.double()
    mean = exact.mean(dim=1)
    maximum, place = _first_maximum(apart)
    at_bound = (apart <= bounds[0]) | (apart >= bounds[1])
    squares = (exact - mean[:, None]).square().sum(dim=1)
    here = (slice(None), slice(None), slice(first, first + apart.shape[2]))
    found.extremes[here] = torch.stack([maximum, apart.amin(dim=1)]).cpu().numpy()
    found.counts[here] = torch.stack([place, (apart > 0).sum(dim=1), at_bound.sum(dim=1)]).cpu().numpy()
    found.moments[here] = torch.stack([mean, squares]).cpu().numpy()


def _first_maximum(
    apart: Float32[Tensor, "image position channel"],
) -> tuple[Float32[Tensor, "image channel"], Int64[Tensor, "image channel"]]:
    # torch does not specify which of several equal maxima `max` returns.
    maximum = apart.amax(dim=1)
    numbers = torch.arange(apart.shape[1], device=apart.device)[None, :, None]
    place = torch.where(apart == maximum[:, None], numbers, apart.shape[1]).amin(dim=1)
    return maximum, place.clamp(max=apart.shape[1] - 1)
