"""One map over the whole dataset: moments and quantiles of its values, a histogram of its maxima."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featmap.index.questions.chosen import ROWS_AT_ONCE, check_any
from featmap.index.schema.budget import QUANTILES, tail_rank
from featmap.index.store.snapshot import Snapshot
from featmap.methods.shared.count import checked_count
from featmap.network.address import Address
from featmap.plain_data import PlainData
from featmap.result_table import TableResult

BINS = 40


@dataclass(frozen=True)
class Distribution(TableResult):
    """One map over all images. `quantiles` by percent: the smallest value with at least that share at or below it.

    A quantile is None where more values are above it than the index keeps. `edges` and `counts` are the histogram of
    the maxima per image, None without a table; `positive_images` have any value above 0.
    """

    address: str
    images: int
    values: int
    mean: float
    deviation: float
    minimum: float
    maximum: float
    fraction_positive: float
    positive_images: int
    quantiles: dict[str, float | None]
    edges: tuple[float, ...] | None
    counts: tuple[int, ...] | None
    magnitudes: bool = False

    @property
    def title(self) -> str:
        """The map's address, with what is measured where that is not the values."""
        return f"magnitudes of {self.address}" if self.magnitudes else self.address

    def _data(self) -> dict[str, Any]:
        histogram = {"edges": self.edges, "counts": self.counts}
        plain = {name: value for name, value in vars(self).items() if name != "magnitudes"}
        said = {"numbers_of": "magnitudes"} if self.magnitudes else {}
        return {**plain, **said, **{name: None if part is None else list(part) for name, part in histogram.items()}}

    def rows(self) -> list[dict[str, PlainData]]:
        """The histogram, one row per bin."""
        edges, counts = self.edges or (), self.counts or ()
        bins = zip(edges[:-1], edges[1:], counts, strict=True)
        return [{"from": low, "to": high, "images": count} for low, high, count in bins]

    def __repr__(self) -> str:
        return f"Distribution({self.title}: {self.values} values of {self.images} images, mean {self.mean:.4g})"


def distribution(snapshot: Snapshot, address: str | Address, bins: int = BINS) -> Distribution:
    """The distribution of one map; see `featmap.Index.distribution`."""
    layer, channel = snapshot.description.map(address)
    bins = checked_count(bins, "bins", "bins")
    check_any(snapshot)
    column, values = layer.first + channel, snapshot.images * layer.places
    found = snapshot.per_map(column)
    tail = snapshot.tail(snapshot.description.layers.index(layer), channel)
    edges, counts = _histogram(snapshot, column, bins) if snapshot.description.table else (None, None)
    return Distribution(
        address=f"{layer.address}/{channel}",
        images=snapshot.images,
        values=values,
        mean=float(found.mean),
        deviation=math.sqrt(float(found.squares) / values),
        minimum=float(found.minimum),
        maximum=float(found.maximum),
        fraction_positive=int(found.positive) / values,
        positive_images=int(found.positive_images),
        quantiles={f"{100 * share:g}": quantile(tail, values, share) for share in QUANTILES},
        edges=edges,
        counts=counts,
        magnitudes=bool(layer.magnitudes),
    )


def quantile(tail: NDArray[np.float32], values: int, share: float) -> float | None:
    """A quantile of `count` values of which the largest are known; None where it is below those.

    >>> quantile(np.array([9.0, 7.0], np.float32), 100, 0.99), quantile(np.array([9.0], np.float32), 100, 0.99)
    (7.0, None)
    """
    rank = tail_rank(values, share)
    if rank > len(tail):
        return None
    found = float(-np.partition(-tail, rank - 1)[rank - 1])
    return None if math.isnan(found) else found


def _histogram(snapshot: Snapshot, column: int, bins: int) -> tuple[tuple[float, ...], tuple[int, ...]]:
    """The maxima per image in bins of equal width, from the smallest to the largest."""
    parts = [slice(first, first + ROWS_AT_ONCE) for first in range(0, snapshot.images, ROWS_AT_ONCE)]
    low, high = np.inf, -np.inf
    for part in parts:
        maxima = snapshot.read("table/maximum", (part, column))
        low, high = min(low, float(maxima.min())), max(high, float(maxima.max()))
    counts = np.zeros(bins, np.int64)
    edges = np.histogram_bin_edges(np.zeros(0), bins, (low, high))
    for part in parts:
        counts += np.histogram(snapshot.read("table/maximum", (part, column)).astype(np.float64), edges)[0]
    return tuple(edges.tolist()), tuple(counts.tolist())
