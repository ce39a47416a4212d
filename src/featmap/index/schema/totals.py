"""Totals of every map over all images so far: counts, moments, extremes, strongest images, largest values.

Totals of parts add up to those of the whole, so a dataset is measured block by block, here or on many machines.
Moments are merged in float64 by the formula of Chan, Golub and LeVeque (1979).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from featmap.index.schema.description import Description
from featmap.statistics.comoments import CoMoments
from featmap.statistics.largest import joined
from featmap.statistics.strongest import Strongest

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Counts = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class PerMap:
    """Over all positions of all images, one number per map of all layers.

    `squares` is the sum of squared distances from the mean; `positive` counts values above 0, `at_bound` those at a
    bound of the nonlinearity, `positive_images` images with any value above 0. Without images extremes are infinite.
    """

    mean: Doubles
    squares: Doubles
    positive: Counts
    at_bound: Counts
    positive_images: Counts
    minimum: Floats
    maximum: Floats

    @classmethod
    def none(cls, maps: int) -> PerMap:
        counts = [np.zeros(maps, np.int64) for _ in range(3)]
        low, high = np.full(maps, -np.inf, np.float32), np.full(maps, np.inf, np.float32)
        return cls(np.zeros(maps), np.zeros(maps), *counts, minimum=high, maximum=low)

    def merged(self, other: PerMap, ours: Counts, theirs: Counts) -> PerMap:
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


@dataclass(frozen=True, eq=False)
class Totals:
    """Everything that is known of the maps over `images` images.

    `tails` holds for every layer its largest values, (channel, rank), largest first, NaN where there are not as many,
    no more ranks than the layer keeps; `comoments` how its maps vary together, `None` where that was not asked for.
    """

    images: int
    per_map: PerMap
    strongest: Strongest
    tails: tuple[Floats, ...]
    comoments: tuple[CoMoments | None, ...]

    @classmethod
    def none(cls, description: Description) -> Totals:
        """The totals of no images."""
        layers = description.layers
        return cls(
            0,
            PerMap.none(description.maps),
            Strongest.none(description.maps, description.top_k),
            tuple(np.full((layer.channels, layer.tail), np.nan, np.float32) for layer in layers),
            tuple(CoMoments.none(layer.channels) if layer.correlated else None for layer in layers),
        )

    def merged(self, later: Totals, places: Counts) -> Totals:
        """Both together; `later` images, numbered from 0, come after these; `places` are the positions of each map."""
        return Totals(
            self.images + later.images,
            self.per_map.merged(later.per_map, self.images * places, later.images * places),
            self.strongest.merged(later.strongest.numbered_from(self.images)),
            tuple(joined(*pair) for pair in zip(self.tails, later.tails, strict=True)),
            tuple(_together(*pair) for pair in zip(self.comoments, later.comoments, strict=True)),
        )


def places_per_map(description: Description) -> Counts:
    """How many positions each map of all layers has in one image."""
    return np.concatenate([np.full(layer.channels, layer.places, np.int64) for layer in description.layers])


def _together(one: CoMoments | None, other: CoMoments | None) -> CoMoments | None:
    return None if one is None or other is None else one.merged(other)
