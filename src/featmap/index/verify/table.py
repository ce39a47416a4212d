"""Checks against what was written: blocks have their digests, and the table gives the totals.

Totals are computed again a block at a time, so that memory does not grow with the number of images.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from featmap.errors import FeatmapError
from featmap.index.build.measure import ImageTable
from featmap.index.schema import layout
from featmap.index.schema.description import Description, IndexedLayer
from featmap.index.schema.totals import Totals
from featmap.index.store.snapshot import Snapshot
from featmap.index.store.writer import ImageRecord, block_digest
from featmap.index.verify.findings import Say, some, values_of
from featmap.index.verify.sums import RELATIVE, say_maps
from featmap.statistics.array_types import Doubles, Floats
from featmap.statistics.strongest import Strongest


@dataclass
class _Again:
    """Totals over all images, from the table."""

    maximum: Floats
    positive: NDArray[np.int64]
    positive_images: NDArray[np.int64]
    means: Doubles
    strongest: Strongest
    images: int = 0

    @classmethod
    def none(cls, description: Description) -> _Again:
        nothing = Totals.none(description)
        per_map = nothing.per_map
        return cls(per_map.maximum, per_map.positive, per_map.positive_images, per_map.mean, nothing.strongest)

    def add(self, table: ImageTable) -> None:
        """Adds the next images."""
        count = len(table.maximum)
        if not count:
            return
        self.maximum = np.maximum(self.maximum, table.maximum.max(axis=0))
        self.positive = self.positive + table.positive.sum(axis=0, dtype=np.int64)
        self.positive_images = self.positive_images + (table.maximum > 0).sum(axis=0)
        self.means = self.means + table.mean.sum(axis=0, dtype=np.float64)
        now = Strongest.of(table.maximum, table.place, self.strongest.value.shape[1])
        self.strongest = self.strongest.merged(now.numbered_from(self.images))
        self.images += count


def check_table(snapshot: Snapshot, say: Say) -> str:
    """Checks that every block has the digest that it was written with, and that the table gives the totals."""
    description = snapshot.description
    kept = values_of(snapshot, "block/digest")
    again = _Again.none(description)
    wrong: list[int] = []
    for number, part in enumerate(_blocks(snapshot)):
        try:
            table = _table(snapshot, part) if description.table else None
        except FeatmapError as error:
            say(error.problem)
            continue
        if block_digest(_records(snapshot, part), table) != kept[number]:
            wrong.append(number)
        if table is not None:
            again.add(table)
    if wrong:
        say(f"Blocks {some(wrong)} do not have the digest that they were written with.")
    words = f"{len(kept)} blocks have the digest that they were written with"
    if not description.table:
        return f"{words}; there is no table"
    if again.images == snapshot.images:
        _compare(snapshot, say, again)
    return f"{words}; the table of {again.images} images gives what is known over all"


def _table(snapshot: Snapshot, part: slice) -> ImageTable:
    return ImageTable(*(values_of(snapshot, f"table/{name}", (part,)) for name in layout.TABLE))


def _records(snapshot: Snapshot, part: slice) -> Iterator[ImageRecord]:
    names, paths, labels, digests, rows, columns = (
        values_of(snapshot, f"image/{name}", (part,)).tolist()
        for name in ("name", "path", "label", "digest", "rows", "columns")
    )
    texts = dict(enumerate(snapshot.labels))
    found = zip(names, paths, (texts.get(label, "") for label in labels), digests, rows, columns, strict=True)
    return ((str(name), str(path), label, str(digest), *size) for name, path, label, digest, *size in found)


def _blocks(snapshot: Snapshot) -> Iterator[slice]:
    first, images = (values_of(snapshot, f"block/{name}").tolist() for name in ("first", "images"))
    for start, count in zip(first, images, strict=False):
        yield slice(start, start + count)


def _compare(snapshot: Snapshot, say: Say, again: _Again) -> None:
    found, strongest = snapshot.per_map(slice(None)), snapshot.strongest(slice(None))
    scale = np.maximum(np.abs(found.minimum), np.abs(found.maximum)).astype(np.float64)
    wrong = {name: getattr(found, name) != getattr(again, name) for name in ("maximum", "positive", "positive_images")}
    wrong["mean"] = np.abs(found.mean - again.means / max(again.images, 1)) > RELATIVE * scale
    for name in layout.STRONGEST:
        kept, now = getattr(strongest, name), getattr(again.strongest, name)
        wrong[f"{name} of the strongest images"] = ~((kept == now) | (np.isnan(kept) & np.isnan(now))).all(axis=1)
    say_maps(say, snapshot.description, {f"The table gives another {name}": which for name, which in wrong.items()})


def check_full(snapshot: Snapshot, say: Say) -> str:
    """Checks that whole maps have the maxima of the table."""
    description = snapshot.description
    checked = 0
    for number, layer in enumerate(description.layers):
        if layer.address not in description.full:
            continue
        for part in _blocks(snapshot):
            maps = values_of(snapshot, layout.full_name(number), (part,))
            checked += len(maps)
            if description.table:
                _compare_full(snapshot, say, layer, part, maps)
    return f"the whole maps of {checked} images and layers have their maxima" if description.full else ""


def _compare_full(snapshot: Snapshot, say: Say, layer: IndexedLayer, part: slice, maps: NDArray[np.float16]) -> None:
    kept = values_of(snapshot, "table/maximum", (part, layer.maps))
    with np.errstate(over="ignore"):
        # Rounding to half precision keeps the order.
        wrong = (maps.max(axis=(2, 3)) != kept.astype(np.float16)).any(axis=1)
    if wrong.any():
        say(f"Whole maps of {layer.address} have other maxima: images {some(np.flatnonzero(wrong) + part.start)}.")
