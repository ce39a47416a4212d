"""Numbers per map over all positions of all images, which add up: those of parts merge into those of the whole.

Moments are merged in float64 by the formula of Chan, Golub and LeVeque (1979).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from featmap.statistics.array_types import Doubles, Floats, LongCounts


@dataclass(frozen=True, eq=False)
class PerMap:
    """Over all positions of all images, one number per map of all layers.

    `squares` is the sum of squared distances from the mean; `positive` counts values above 0, `at_bound` those at a
    bound of the nonlinearity, `positive_images` images with any value above 0. Without images extremes are infinite.
    """

    mean: Doubles
    squares: Doubles
    positive: LongCounts
    at_bound: LongCounts
    positive_images: LongCounts
    minimum: Floats
    maximum: Floats

    @classmethod
    def none(cls, maps: int) -> PerMap:
        """The numbers of no images."""
        counts = [np.zeros(maps, np.int64) for _ in range(3)]
        low, high = np.full(maps, -np.inf, np.float32), np.full(maps, np.inf, np.float32)
        return cls(np.zeros(maps), np.zeros(maps), *counts, minimum=high, maximum=low)

    def merged(self, other: PerMap, ours: LongCounts, theirs: LongCounts) -> PerMap:
        """Both together, of so many positions per map each."""
        both = np.maximum(ours + theirs, 1)
        apart = other.mean - self.mean
        return PerMap(
            self.mean + apart * (theirs / both),
            self.squares + other.squares + apart**2 * (ours * (theirs / both)),
            self.positive + other.positive,
            self.at_bound + other.at_bound,
            self.positive_images + other.positive_images,
            np.minimum(self.minimum, other.minimum),
            np.maximum(self.maximum, other.maximum),
        )
