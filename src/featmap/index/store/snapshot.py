"""Reading an index: a snapshot is its state at one moment, with a whole number of blocks."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featmap.errors import IndexBroken, NoIndex
from featmap.index.build.measure import ImageTable
from featmap.index.schema import layout
from featmap.index.schema.description import FORMAT, Description
from featmap.index.schema.totals import Totals
from featmap.index.store.storage import VERIFY, guarded, opened
from featmap.statistics.comoments import CoMoments
from featmap.statistics.per_map import PerMap
from featmap.statistics.strongest import Strongest

RECORD = "featmap"
"""The attribute that holds the description."""
RECORD_DIGEST = "featmap_sha256"
"""The attribute that tells whether the description is as it was written: icechunk keeps it without a checksum."""


class Snapshot:
    """An index at one moment: reading never sees half of a block."""

    def __init__(self, path: str | Path) -> None:
        """The newest state of the repository at a path or URL. Raises: NoIndex, IndexBroken."""
        self.path = str(path)
        self._repository: Any = opened(path)
        with guarded(path):
            session = self._repository.readonly_session("main")
            self.id: str = session.snapshot_id
            self.root: Any = _group(session.store)
            if self.root is None:
                # To zarr, a state that cannot be read looks like an empty one.
                next(self._repository.ancestry(snapshot_id=self.id))
        self._arrays: dict[str, Any] = {}

    @staticmethod
    def of(path: str | Path) -> Snapshot:
        """The newest state of the index at a path or URL. Raises: NoIndex, IndexBroken."""
        found = Snapshot(path)
        found.description  # noqa: B018 - whether it is ours is said at once
        return found

    def newest(self) -> Snapshot:
        """This snapshot, where nothing was committed since; else the newest state. Raises: NoIndex, IndexBroken."""
        with suppress(IndexBroken), guarded(self.path):
            if self._repository.lookup_branch("main") == self.id:
                return self
        return Snapshot.of(self.path)

    @property
    def is_empty(self) -> bool:
        """Whether nothing was ever committed: a build ended before its first commit."""
        return self.root is None

    @cached_property
    def description(self) -> Description:
        """What the index says of itself. Raises: NoIndex: it is not an index of featmap."""
        with guarded(self.path):
            attributes = {} if self.root is None else dict(self.root.attrs)
            has_images = self.root is not None and "image" in self.root
        record = attributes.get(RECORD)
        if not isinstance(record, dict):
            if RECORD_DIGEST in attributes or has_images:
                raise IndexBroken(f"'{self.path}': its description is lost.", VERIFY)
            remedy = "Give the path of an index; or build again, if a build was interrupted at its start."
            raise NoIndex(f"'{self.path}' is an icechunk repository, but no index of featmap.", remedy)
        if record.get("format") != FORMAT:
            if attributes.get(RECORD_DIGEST) not in (None, record_digest(record)):
                raise IndexBroken(f"'{self.path}': its description is not the one that was written.", VERIFY)
            raise NoIndex(
                f"'{self.path}' has format {record.get('format')}; this featmap reads format {FORMAT}.",
                "Use the version of featmap that built it, or build it again.",
            )
        try:
            return Description.from_dict(record)
        except (TypeError, KeyError, ValueError, AttributeError, IndexError) as error:
            raise IndexBroken(f"'{self.path}': its description is damaged: {error!r}.", VERIFY) from error

    def _array(self, name: str) -> Any:
        # Opening one takes as long as reading a chunk of it.
        if name not in self._arrays:
            self._arrays[name] = self.root[name]
        return self._arrays[name]

    def read(self, name: str, part: Any = ...) -> NDArray[Any]:
        """An array, or a part of it. Raises: IndexBroken."""
        with guarded(self.path):
            return np.asarray(self._array(name)[part])

    def length(self, name: str) -> int:
        """How long the first axis of an array is."""
        with guarded(self.path):
            return int(self._array(name).shape[0])

    def texts(self, name: str, numbers: Sequence[int] | NDArray[np.int64]) -> list[str]:
        """Some of many texts, one per number."""
        with guarded(self.path):
            return (
                [str(text) for text in self._array(name).oindex[np.asarray(numbers, np.int64)]] if len(numbers) else []
            )

    def numbers(self, name: str, numbers: Sequence[int] | NDArray[np.int64]) -> NDArray[np.int64]:
        """Some of many numbers."""
        with guarded(self.path):
            return (
                np.asarray(self._array(name).oindex[np.asarray(numbers, np.int64)])
                if len(numbers)
                else np.zeros(0, np.int64)
            )

    def rows(self, name: str, numbers: NDArray[np.int64], maps: slice) -> NDArray[Any]:
        """Some rows of a table, of some maps."""
        if len(numbers) and numbers[-1] - numbers[0] + 1 == len(numbers) and (np.diff(numbers) == 1).all():
            return self.read(name, (slice(int(numbers[0]), int(numbers[-1]) + 1), maps))
        with guarded(self.path):
            return np.asarray(self._array(name).oindex[numbers, maps])

    @cached_property
    def images(self) -> int:
        """How many images are in the index."""
        return self.length("image/name")

    @cached_property
    def labels(self) -> list[str]:
        """The labels that images have, by their number."""
        return [str(label) for label in self.read("label/name")]

    def per_map(self, part: slice | int) -> PerMap:
        """What is known over all images of some maps."""
        return PerMap(*(self.read(f"map/{name}", part) for name in layout.PER_MAP))

    def strongest(self, part: slice) -> Strongest:
        """The strongest images of some maps."""
        return Strongest(*(self.read(f"map/strongest_{name}", part) for name in layout.STRONGEST))

    def tail(self, number: int, part: Any = ...) -> NDArray[np.float32]:
        """A layer's largest values (channel, rank)."""
        layer = self.description.layers[number]
        if not layer.tail:
            return np.zeros((layer.channels, 0), np.float32)[part]
        return self.read(layout.tail_name(number), part)

    def comoments(self, number: int) -> CoMoments | None:
        """How a layer's maps vary together, `None` where that is not kept."""
        layer = self.description.layers[number]
        if not layer.correlated:
            return None
        if not self.images:
            return CoMoments.none(layer.channels)
        numbers = self.read(layout.comoment_name(number))
        rows, columns = np.triu_indices(layer.channels)
        products = np.zeros((layer.channels, layer.channels))
        products[rows, columns] = products[columns, rows] = numbers[layer.channels :]
        return CoMoments(self.images * layer.correlated, numbers[: layer.channels], products)

    def totals(self) -> Totals:
        """All that is known over all images."""
        layers = range(len(self.description.layers))
        return Totals(
            self.images,
            self.per_map(slice(None)),
            self.strongest(slice(None)),
            tuple(self.tail(number) for number in layers),
            tuple(self.comoments(number) for number in layers),
        )

    def table(self, images: slice, maps: slice | int = slice(None)) -> ImageTable:
        """The table of some images and maps."""
        return ImageTable(*(self.read(f"table/{name}", (images, maps)) for name in layout.TABLE))


def record_digest(record: Any) -> str:
    """The SHA-256 of a description."""
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def _group(store: Any) -> Any:
    import zarr

    try:
        return zarr.open_group(store, mode="r")
    except FileNotFoundError:
        return None
