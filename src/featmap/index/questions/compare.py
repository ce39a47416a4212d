"""Two checkpoints on the same images, by their indexes: maps that died, came alive or changed.

Only images that both hold, the same by their digest, are compared; only layers of the same address and number of maps.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featmap.errors import OtherIndex, SettingError
from featmap.index.questions.chosen import check_rectified, check_table
from featmap.index.schema.description import IndexedLayer
from featmap.index.store.snapshot import Snapshot
from featmap.plain_data import PlainData
from featmap.result_table import TableResult

CHANGED_BELOW = 0.9
_CELLS_AT_ONCE = 1 << 23


@dataclass(frozen=True)
class LayerComparison:
    """One layer in both: channels that `died` (above 0 somewhere before, nowhere now), that came alive (`revived`), and
    that `changed` (alive in both, and their maxima over the images correlate less than the threshold, or vary in one
    of the two only). Maps that are not rectified neither die nor revive.

    `correlation` is that of every map's maxima before and after, None where either is constant; `mean_before` and
    `mean_after` are the means of each map's values.
    """

    address: str
    maps: int
    died: tuple[int, ...]
    revived: tuple[int, ...]
    changed: tuple[int, ...]
    correlation: tuple[float | None, ...]
    mean_before: tuple[float, ...]
    mean_after: tuple[float, ...]

    def to_dict(self) -> dict[str, PlainData]:
        """The layer as plain data."""
        return {name: list(v) if isinstance(v, tuple) else v for name, v in vars(self).items()}


@dataclass(frozen=True)
class Comparison(TableResult):
    """Two indexes, before and after, over the images that both hold.

    Where `preprocessing_before` and `preprocessing_after` differ, what changed may come from how pictures were
    prepared.
    """

    before: str
    after: str
    images: int
    changed_below: float
    only_before: tuple[str, ...]
    only_after: tuple[str, ...]
    layers: tuple[LayerComparison, ...]
    preprocessing_before: str
    preprocessing_after: str

    def _data(self) -> dict[str, Any]:
        lists = {"only_before": list(self.only_before), "only_after": list(self.only_after)}
        return {**vars(self), **lists, "layers": [layer.to_dict() for layer in self.layers]}

    def rows(self) -> list[dict[str, PlainData]]:
        """One row per map."""
        return [row for layer in self.layers for row in _rows(layer)]

    def __repr__(self) -> str:
        died, changed = (sum(len(getattr(layer, what)) for layer in self.layers) for what in ("died", "changed"))
        return f"Comparison({self.before} and {self.after}, {self.images} images: {died} maps died, {changed} changed)"


def _rows(layer: LayerComparison) -> Iterator[dict[str, Any]]:
    for channel in range(layer.maps):
        yield {
            "map": f"{layer.address}/{channel}",
            **{what: channel in getattr(layer, what) for what in ("died", "revived", "changed")},
            "correlation": layer.correlation[channel],
            "mean_before": layer.mean_before[channel],
            "mean_after": layer.mean_after[channel],
        }


def compare(before: Snapshot, after: Snapshot, changed_below: float = CHANGED_BELOW) -> Comparison:
    """The changes from one index to the other; see `featmap.Index.compare`."""
    if not -1 <= changed_below <= 1:
        raise SettingError(f"changed_below is {changed_below!r}.", "Give a correlation, from -1 to 1.")
    for snapshot in (before, after):
        check_table(snapshot, "a comparison")
        check_rectified(snapshot)
    rows = _common_images(before, after)
    addresses = [{layer.address for layer in snapshot.description.layers} for snapshot in (before, after)]
    pairs = list(_common_layers(before, after))
    if not pairs:
        raise OtherIndex(
            f"'{before.path}' and '{after.path}' have no layer in common.", "Compare two indexes of the same network."
        )
    shared = {ours.address for ours, _ in pairs}
    return Comparison(
        before.path,
        after.path,
        len(rows[0]),
        changed_below,
        tuple(sorted(addresses[0] - shared)),
        tuple(sorted(addresses[1] - shared)),
        tuple(_layer(before, after, ours, theirs, rows, changed_below) for ours, theirs in pairs),
        before.description.preprocess.describe(),
        after.description.preprocess.describe(),
    )


def _common_layers(before: Snapshot, after: Snapshot) -> Iterator[tuple[IndexedLayer, IndexedLayer]]:
    others = {layer.address: layer for layer in after.description.layers}
    for layer in before.description.layers:
        other = others.get(layer.address)
        if other is not None and other.channels == layer.channels:
            yield layer, other


Rows = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Numbers of the same images in both indexes."""


def _common_images(before: Snapshot, after: Snapshot) -> Rows:
    ours, theirs = (snapshot.read("image/digest").astype("U64") for snapshot in (before, after))
    _, first, second = np.intersect1d(ours, theirs, return_indices=True)
    if not len(first):
        raise OtherIndex(
            f"'{before.path}' and '{after.path}' have no image in common.", "Build both over the same images."
        )
    order = np.argsort(first)
    return first[order].astype(np.int64), second[order].astype(np.int64)


@dataclass
class _Sums:
    """Sums over images for every map of a layer, in float64."""

    positive: NDArray[np.int64]
    mean: NDArray[np.float64]
    maximum: NDArray[np.float64]


def _layer(
    before: Snapshot, after: Snapshot, ours: IndexedLayer, theirs: IndexedLayer, rows: Rows, changed_below: float
) -> LayerComparison:
    sides = [_sums(before, ours, rows[0]), _sums(after, theirs, rows[1])]
    means = [side.maximum / len(rows[0]) for side in sides]
    correlation, varies_in_one = _correlation(before, after, ours, theirs, rows, means)
    # Without a rectifier, a map that is never above 0 is as alive as any other.
    alive = [(side.positive > 0) | (not layer.rectified) for side, layer in zip(sides, (ours, theirs), strict=True)]
    # Rounding leaves the correlation of an unchanged map slightly below 1.
    differs = (np.nan_to_num(correlation, nan=1.0) < changed_below - 1e-12) | varies_in_one
    return LayerComparison(
        ours.address,
        ours.channels,
        died=_channels(alive[0] & ~alive[1]),
        revived=_channels(~alive[0] & alive[1]),
        changed=_channels(alive[0] & alive[1] & differs),
        correlation=tuple(None if np.isnan(value) else float(value) for value in correlation),
        mean_before=tuple((sides[0].mean / len(rows[0])).tolist()),
        mean_after=tuple((sides[1].mean / len(rows[0])).tolist()),
    )


def _channels(which: NDArray[np.bool_]) -> tuple[int, ...]:
    return tuple(np.flatnonzero(which).tolist())


def _parts(rows: NDArray[np.int64], maps: int) -> Iterator[slice]:
    count = max(1, _CELLS_AT_ONCE // maps)
    yield from (slice(first, first + count) for first in range(0, len(rows), count))


def _sums(snapshot: Snapshot, layer: IndexedLayer, rows: NDArray[np.int64]) -> _Sums:
    found = _Sums(np.zeros(layer.channels, np.int64), np.zeros(layer.channels), np.zeros(layer.channels))
    for part in _parts(rows, layer.channels):
        found.positive += snapshot.rows("table/positive", rows[part], layer.maps).sum(axis=0, dtype=np.int64)
        found.mean += snapshot.rows("table/mean", rows[part], layer.maps).sum(axis=0, dtype=np.float64)
        found.maximum += snapshot.rows("table/maximum", rows[part], layer.maps).sum(axis=0, dtype=np.float64)
    return found


def _correlation(
    before: Snapshot,
    after: Snapshot,
    ours: IndexedLayer,
    theirs: IndexedLayer,
    rows: Rows,
    means: list[NDArray[np.float64]],
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Pearson's correlation of each map's maxima before and after, NaN where either is constant; where only one is."""
    both, first, second = (np.zeros(ours.channels) for _ in range(3))
    for part in _parts(rows[0], ours.channels):
        one = _maxima(before, ours, rows[0][part]) - means[0]
        other = _maxima(after, theirs, rows[1][part]) - means[1]
        both += (one * other).sum(axis=0)
        first += (one**2).sum(axis=0)
        second += (other**2).sum(axis=0)
    spread = np.sqrt(first) * np.sqrt(second)
    # The mean of equal float32 values is exact in float64: a constant map has a spread of exactly 0.
    found = np.divide(both, spread, out=np.full(ours.channels, np.nan), where=spread > 0)
    return np.clip(found, -1.0, 1.0), (first > 0) != (second > 0)


def _maxima(snapshot: Snapshot, layer: IndexedLayer, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """The maxima (image, map) of a layer on some images."""
    return snapshot.rows("table/maximum", rows, layer.maps).astype(np.float64)
