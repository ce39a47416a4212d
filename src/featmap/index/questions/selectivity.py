"""The label that each map responds to: its mean activity per label, and the margin of the best one.

The index of Morcos, Barrett, Rabinowitz and Botvinick (2018), arXiv:1803.06959: (best - rest) / (best + rest), where
best is the mean over the images of the label with the highest mean, and rest the mean over all other images. It is 1
for a map that responds to one label alone and 0 for one that responds to all labels equally, and is not defined where
a mean is below 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featmap.errors import NotKept
from featmap.index.questions.chosen import check_table
from featmap.index.questions.query import By, check_by
from featmap.index.schema.description import IndexedLayer
from featmap.index.store.snapshot import Snapshot
from featmap.network.address import Address
from featmap.plain_data import PlainData
from featmap.result_table import TableResult

_CELLS_AT_ONCE = 1 << 23


@dataclass(frozen=True)
class MapSelectivity:
    """One map: the label with the highest mean, that mean, the mean over all other images, and the index.

    `label` is "" where all labels have the same mean. `selectivity` is None where it is not defined. `means` holds the
    mean for every label.
    """

    address: str
    label: str
    best: float
    rest: float
    selectivity: float | None
    means: dict[str, float]

    def to_dict(self) -> dict[str, PlainData]:
        """The map as plain data."""
        return {**vars(self), "label": self.label or None}


@dataclass(frozen=True)
class Selectivity(TableResult):
    """The maps of a layer, or one map, over the labelled images; `images` by label."""

    address: str
    by: By
    images: dict[str, int]
    maps: tuple[MapSelectivity, ...]
    magnitudes: bool = False

    @property
    def title(self) -> str:
        """The address, with what is measured where that is not the values."""
        return f"magnitudes of {self.address}" if self.magnitudes else self.address

    def _data(self) -> dict[str, Any]:
        said = {"address": self.address, **({"numbers_of": "magnitudes"} if self.magnitudes else {})}
        return {**said, "by": self.by, "images": self.images, "maps": [m.to_dict() for m in self.maps]}

    def rows(self) -> list[dict[str, PlainData]]:
        """One row per map, with the mean of every label."""
        return [
            {
                "map": m.address,
                "label": m.label,
                "best": m.best,
                "rest": m.rest,
                "selectivity": m.selectivity,
                **m.means,
            }
            for m in self.maps
        ]

    def __repr__(self) -> str:
        return f"Selectivity({self.title}: maps {len(self.maps)}, labels {len(self.images)}, by {self.by})"


def selectivity(snapshot: Snapshot, address: str | Address, by: By = "mean") -> Selectivity:
    """How selective a layer's maps, or one map, are for labels; see `featmap.Index.selectivity`."""
    check_table(snapshot, "selectivity")
    check_by(by)
    asked = Address.parse(address)
    layer = snapshot.description.layer(asked)
    channels = list(range(layer.channels))
    if asked.channel is not None:
        layer, channel = snapshot.description.map(asked)
        channels = [channel]
    if len(snapshot.labels) < 2:
        raise NotKept(
            f"The images of '{snapshot.path}' have {len(snapshot.labels)} labels; selectivity needs at least 2.",
            "Build it from a folder with a folder per label, or from a list with labels.",
        )
    counts, sums = _sums(snapshot, layer, channels, by)
    images = {label: int(count) for label, count in zip(snapshot.labels, counts, strict=True)}
    maps = tuple(
        _map(f"{layer.address}/{channel}", snapshot.labels, counts, sums[:, at]) for at, channel in enumerate(channels)
    )
    name = layer.address if asked.channel is None else f"{layer.address}/{channels[0]}"
    return Selectivity(name, by, images, maps, bool(layer.magnitudes))


def _sums(
    snapshot: Snapshot, layer: IndexedLayer, channels: list[int], by: By
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """How many images each label has, and the sum of their activities (label, map)."""
    count = len(snapshot.labels)
    counts, sums = np.zeros(count, np.int64), np.zeros((count, len(channels)))
    for rows in _parts(snapshot.images, len(channels)):
        labels = snapshot.read("image/label", rows)
        part = slice(layer.first + channels[0], layer.first + channels[-1] + 1)
        values = snapshot.read(f"table/{by}", (rows, part)).astype(np.float64)
        labelled = labels >= 0
        counts += np.bincount(labels[labelled], minlength=count)
        for label in np.unique(labels[labelled]):
            sums[label] += values[labels == label].sum(axis=0)
    return counts, sums


def _parts(images: int, maps: int) -> Iterator[slice]:
    rows = max(1, _CELLS_AT_ONCE // maps)
    yield from (slice(first, first + rows) for first in range(0, images, rows))


def _map(address: str, labels: list[str], counts: NDArray[np.int64], sums: NDArray[np.float64]) -> MapSelectivity:
    means = sums / np.maximum(counts, 1)
    best = int(np.argmax(np.where(counts > 0, means, -np.inf)))
    others = counts.sum() - counts[best]
    rest = float(np.delete(sums, best).sum() / others) if others else 0.0
    highest = float(means[best])
    is_defined = bool(others) and highest >= 0 and rest >= 0 and bool((means >= 0).all())
    index = (highest - rest) / (highest + rest) if is_defined and highest + rest > 0 else None
    if is_defined and highest + rest == 0:
        index = 0.0
    is_alike = bool((means[counts > 0] == highest).all())
    return MapSelectivity(
        address, "" if is_alike else labels[best], highest, rest, index, dict(zip(labels, means.tolist(), strict=True))
    )
