"""Images that look alike to a layer: the nearest by the maxima, or the means, of all its maps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from featmap.errors import SettingError
from featmap.index.questions.chosen import Choice
from featmap.index.questions.query import By, Query, layer_in_table
from featmap.index.schema.description import Description
from featmap.index.store.snapshot import Snapshot
from featmap.methods.shared.count import checked_count
from featmap.network.address import Address
from featmap.plain_data import PlainData
from featmap.result_table import TableResult

Measure = Literal["cosine", "euclidean"]
MEASURES = ("cosine", "euclidean")
_CELLS_AT_ONCE = 1 << 23


@dataclass(frozen=True)
class SimilarImage:
    """One of the nearest images. `distance` is 1 - cosine, or the euclidean distance.

    `digest` is the SHA-256 that the image had when it was indexed.
    """

    number: int
    image: str
    path: str
    label: str
    distance: float
    digest: str

    def to_dict(self) -> dict[str, PlainData]:
        """The image as plain data."""
        plain = {name: value for name, value in vars(self).items() if name != "digest"}
        return {**plain, "label": self.label or None, "path": self.path or None}


@dataclass(frozen=True)
class SimilarImages(TableResult):
    """The images nearest to one, nearest first; the image itself is not among them."""

    image: str
    path: str
    layer: str
    by: By
    measure: Measure
    images: int
    nearest: tuple[SimilarImage, ...]
    description: Description
    digest: str | None = None

    def _data(self) -> dict[str, Any]:
        plain = {name: value for name, value in vars(self).items() if name not in ("description", "digest")}
        return {**plain, "path": self.path or None, "nearest": [each.to_dict() for each in self.nearest]}

    def rows(self) -> list[dict[str, PlainData]]:
        """One row per image."""
        return [each.to_dict() for each in self.nearest]

    def __repr__(self) -> str:
        return f"SimilarImages({len(self.nearest)} of {self.images} images, nearest to {self.image} by {self.layer})"


def similar(
    snapshot: Snapshot, query: Query, address: str | Address, k: int, choice: Choice, by: By, measure: Measure
) -> SimilarImages:
    """The images nearest to a query; see `featmap.Index.similar`."""
    layer = layer_in_table(snapshot, address)
    _check(measure)
    k = checked_count(k)
    numbers = choice.numbers(snapshot)
    numbers = numbers[numbers != query.number]
    distance = _distance(query.values.astype(np.float64), measure)
    best, distances = np.zeros(0, np.int64), np.zeros(0)
    rows = max(1, _CELLS_AT_ONCE // layer.channels)
    for first in range(0, snapshot.images, rows):
        here = numbers[(numbers >= first) & (numbers < first + rows)]
        if not len(here):
            continue
        values = snapshot.read(f"table/{by}", (slice(first, first + rows), layer.maps))[here - first]
        best, distances = np.concatenate([best, here]), np.concatenate([distances, distance(values)])
        order = np.argsort(distances, kind="stable")[:k]
        best, distances = best[order], distances[order]
    found = _images(snapshot, best, distances)
    about = (query.name, query.path, layer.address, by, measure, len(numbers))
    return SimilarImages(*about, found, snapshot.description, query.digest)


def _check(measure: str) -> None:
    if measure not in MEASURES:
        raise SettingError(f"measure is {measure!r}.", f"It is one of {', '.join(MEASURES)}.")


def _distance(query: NDArray[np.float64], measure: Measure) -> Callable[[NDArray[Any]], NDArray[np.float64]]:
    def euclidean(values: NDArray[Any]) -> NDArray[np.float64]:
        return np.sqrt(((values.astype(np.float64) - query) ** 2).sum(axis=1))

    def cosine(values: NDArray[Any]) -> NDArray[np.float64]:
        exact = values.astype(np.float64)
        norms = np.sqrt((exact**2).sum(axis=1)) * np.sqrt((query**2).sum())
        # An image that excites nothing has no direction: it counts as orthogonal.
        # Row by row, not as one product, which sums equal rows in different orders: equal images are equally far.
        products = (exact * query).sum(axis=1)
        cosines = np.divide(products, norms, out=np.zeros(len(exact)), where=norms > 0)
        return 1 - np.clip(cosines, -1.0, 1.0)

    return euclidean if measure == "euclidean" else cosine


def _images(snapshot: Snapshot, numbers: NDArray[np.int64], distances: NDArray[np.float64]) -> tuple[SimilarImage, ...]:
    found_names, paths, digests = (snapshot.texts(f"image/{what}", numbers) for what in ("name", "path", "digest"))
    labels = [snapshot.labels[label] if label >= 0 else "" for label in snapshot.numbers("image/label", numbers)]
    parts = zip(numbers.tolist(), found_names, paths, labels, distances.tolist(), digests, strict=True)
    return tuple(SimilarImage(*part) for part in parts)
