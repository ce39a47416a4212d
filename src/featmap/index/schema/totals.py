"""Totals of every map over all images so far: counts, moments, extremes, strongest images, largest values.

Totals of parts add up to those of the whole, so a dataset is measured block by block, here or on many machines."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from featmap.index.schema.description import Description
from featmap.statistics.array_types import Floats, LongCounts
from featmap.statistics.comoments import CoMoments
from featmap.statistics.largest import joined
from featmap.statistics.per_map import PerMap
from featmap.statistics.strongest import Strongest


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

    def merged(self, later: Totals, places: LongCounts) -> Totals:
        """Both together; `later` images, numbered from 0, come after these; `places` are the positions of each map."""
        return Totals(
            self.images + later.images,
            self.per_map.merged(later.per_map, self.images * places, later.images * places),
            self.strongest.merged(later.strongest.numbered_from(self.images)),
            tuple(joined(*pair) for pair in zip(self.tails, later.tails, strict=True)),
            tuple(_together(*pair) for pair in zip(self.comoments, later.comoments, strict=True)),
        )


def places_per_map(description: Description) -> LongCounts:
    """How many positions each map of all layers has in one image."""
    return np.concatenate([np.full(layer.channels, layer.places, np.int64) for layer in description.layers])


def _together(one: CoMoments | None, other: CoMoments | None) -> CoMoments | None:
    return None if one is None or other is None else one.merged(other)
