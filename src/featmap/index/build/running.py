"""Running sums of every map while the images of a block are measured; none grows with the number of images."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from featmap.statistics.array_types import LongCounts
from featmap.statistics.maps import MapStatistics
from featmap.statistics.per_map import PerMap


class RunningPerMap:
    """Takes in the statistics of all maps for some images at a time; sums are in float64."""

    def __init__(self, maps: int) -> None:
        self._first_mean = np.zeros(maps)
        # Distances of an image's mean from that of the first image: near means lose no digits.
        self._apart, self._apart_squares = np.zeros(maps), np.zeros(maps)
        self._within = np.zeros(maps)
        self._at_bound = np.zeros(maps, np.int64)
        self._minimum = np.full(maps, np.inf, np.float32)

    def add(self, found: MapStatistics, *, is_first: bool) -> None:
        """Takes in the statistics of every map for the next images, which are the first or not."""
        if is_first:
            self._first_mean = found.mean[0].copy()
        # Values that are not finite are detected by the caller, and not kept.
        with np.errstate(invalid="ignore", over="ignore"):
            apart = found.mean - self._first_mean
            self._apart += apart.sum(axis=0)
            self._apart_squares += np.square(apart).sum(axis=0)
            self._within += found.squares.sum(axis=0)
        self._at_bound += found.at_bound.sum(axis=0, dtype=np.int64)
        np.minimum(self._minimum, found.minimum.min(axis=0), out=self._minimum)

    def found(self, maximum: NDArray[np.float32], positive: NDArray[np.int32], places: LongCounts) -> PerMap:
        """The totals of every map, given the table (image, map) and the number of positions of each map."""
        count = len(maximum)
        between = np.maximum(self._apart_squares - np.square(self._apart) / count, 0.0) * places
        return PerMap(
            self._first_mean + self._apart / count,
            self._within + between,
            positive.sum(axis=0, dtype=np.int64),
            self._at_bound,
            (maximum > 0).sum(axis=0, dtype=np.int64),
            self._minimum,
            maximum.max(axis=0),
        )
