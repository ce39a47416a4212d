"""Writing an index block by block: a commit adds a whole block, or nothing at all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from featmap.errors import IndexBroken, IndexBusy
from featmap.images.reading import ReadImage
from featmap.index.build.measure import Block, ImageTable
from featmap.index.schema import layout
from featmap.index.schema.description import Description
from featmap.index.schema.totals import Totals
from featmap.index.store.snapshot import RECORD, RECORD_DIGEST, Snapshot, record_digest
from featmap.index.store.storage import created, guarded, is_url, opened, sweep

_TIDY_AFTER = 8
ImageRecord = tuple[str, str, str, str, int, int]
"""Name, path, label, digest, rows and columns."""


@dataclass
class Writer:
    """The one builder of an index: adds blocks to it, each in one commit."""

    path: str | Path
    repository: Any
    description: Description
    labels: dict[str, int] = field(default_factory=dict[str, int])
    _commits: int = 0

    @staticmethod
    def begin(path: str | Path, description: Description) -> None:
        """Makes an index without images. Raises: NoIndex, IndexBusy, IndexBroken."""
        import zarr

        with created(path) as repository:
            session = repository.writable_session("main")
            root: Any = zarr.open_group(session.store, mode="a")
            for part in (*layout.growing(description), *layout.standing(description), *layout.naming(description)):
                part.created(root)
            numbered = [(number, range(layer.channels)) for number, layer in enumerate(description.layers)]
            root["map/layer"][:] = np.concatenate([np.full(len(maps), number) for number, maps in numbered])
            root["map/channel"][:] = np.concatenate([np.arange(len(maps)) for _, maps in numbered])
            record = description.to_dict()
            root.attrs.update({RECORD: record, RECORD_DIGEST: record_digest(record)})
            _commit(path, session, "no images yet")

    @staticmethod
    def of(snapshot: Snapshot) -> Writer:
        """A writer that adds to the index of a snapshot."""
        labels = {label: number for number, label in enumerate(snapshot.labels)}
        return Writer(snapshot.path, opened(snapshot.path), snapshot.description, labels)

    def add(self, block: Block, totals: Totals) -> None:
        """Adds a block, and the totals that include it; the index is unchanged where that fails.

        Raises: IndexBroken, IndexBusy.
        """
        import zarr

        with guarded(self.path):
            session = self.repository.writable_session("main")
            root: Any = zarr.open_group(session.store, mode="r+")
            first = totals.images - len(block.images)
            if root["image/name"].shape[0] != first:
                raise _changed(self.path)
            labels = self._grow(root, block, first)
            _rewrite(root, totals)
            words = f"images {first} to {totals.images - 1}" if block.images else "no image that could be read"
            _commit(self.path, session, words)
            self.labels = labels
        self._commits += 1
        if self._commits % _TIDY_AFTER == 0:
            self.tidy()

    def _grow(self, root: Any, block: Block, first: int) -> dict[str, int]:
        labels = dict(self.labels)
        for image in block.images:
            if image.entry.label:
                labels.setdefault(image.entry.label, len(labels))
        entries = [image.entry for image in block.images]
        grown: dict[str, Any] = {
            "image/name": [entry.name for entry in entries],
            "image/path": [entry.path for entry in entries],
            "image/label": [labels.get(entry.label, -1) for entry in entries],
            "image/digest": [image.digest for image in block.images],
            "image/rows": [image.size[0] for image in block.images],
            "image/columns": [image.size[1] for image in block.images],
            "block/first": [first],
            "block/images": [len(entries)],
            "block/tried": [block.tried],
            "block/digest": [block_digest(map(_record, block.images), block.table if self.description.table else None)],
            "label/name": list(labels)[len(self.labels) :],
        }
        if self.description.table:
            grown |= {f"table/{name}": getattr(block.table, name) for name in layout.TABLE}
        for number, layer in enumerate(self.description.layers):
            if layer.address in block.full:
                grown[layout.full_name(number)] = block.full[layer.address]
        for name, values in grown.items():
            _append(root[name], values)
        self._skip(root, block)
        return labels

    def _skip(self, root: Any, block: Block) -> None:
        """Records skipped images; those that could be read this time, or fail for another reason, are updated."""
        before = [[str(text) for text in root[f"skipped/{part}"][:]] for part in ("name", "reason")]
        known = dict(zip(*before, strict=True))
        read = {image.entry.name for image in block.images}
        now = {name: reason for name, reason in known.items() if name not in read} | dict(block.skipped)
        if now == known:
            return
        for part, texts in (("name", list(now)), ("reason", list(now.values()))):
            array = root[f"skipped/{part}"]
            array.resize((0,))
            _append(array, texts)

    def tidy(self) -> None:
        """Deletes what only older states hold; the last two stay, so that a reader can finish its question."""
        # The index is whole without this. Where it fails an older state is damaged, which `verify` reports, or the disk
        # is full, which the next block reports.
        with suppress(IndexBroken), guarded(self.path):
            states = list(self.repository.ancestry(branch="main"))[:2]
            before = states[-1].written_at
            self.repository.expire_snapshots(before)
            self.repository.garbage_collect(before)

    def discard(self) -> None:
        """Deletes the remains of interrupted builds. Does nothing in an object store, where others may be building."""
        if is_url(self.path):
            return
        with suppress(IndexBroken), guarded(self.path):
            sweep(self.path)
            self.repository.garbage_collect(datetime.now(UTC))


def _commit(path: str | Path, session: Any, words: str) -> None:
    import icechunk

    try:
        session.commit(words)
    except icechunk.ConflictError:
        raise _changed(path) from None


def _changed(path: str | Path) -> IndexBusy:
    return IndexBusy(f"'{path}' was changed by another builder.", "Build again: it goes on from there.")


def _rewrite(root: Any, totals: Totals) -> None:
    for name in layout.PER_MAP:
        root[f"map/{name}"][:] = getattr(totals.per_map, name)
    for name in layout.STRONGEST:
        root[f"map/strongest_{name}"][:] = getattr(totals.strongest, name)
    for number, (tail, comoments) in enumerate(zip(totals.tails, totals.comoments, strict=True)):
        if tail.shape[1]:
            root[layout.tail_name(number)][:] = tail
        if comoments is not None:
            upper = comoments.products[np.triu_indices(len(comoments.mean))]
            root[layout.comoment_name(number)][:] = np.concatenate([comoments.mean, upper])


def _record(image: ReadImage) -> ImageRecord:
    entry = image.entry
    return entry.name, entry.path, entry.label, image.digest, *image.size


def block_digest(images: Iterable[ImageRecord], table: ImageTable | None) -> str:
    """A digest of a block's images and table, to check that they are as they were written."""
    made = hashlib.sha256(json.dumps(list(images)).encode())
    for name in layout.TABLE if table is not None else ():
        made.update(np.ascontiguousarray(getattr(table, name)).tobytes())
    return made.hexdigest()


def _append(array: Any, values: Any) -> None:
    """Appends values to an array."""
    first, count = array.shape[0], len(values)
    if not count:
        return
    array.resize((first + count, *array.shape[1:]))
    is_text = not isinstance(values, np.ndarray) and isinstance(values[0], str)
    # The type of texts in memory depends on the version of numpy; zarr names the one at hand.
    array[first:] = np.array(values, array.dtype) if is_text else np.asarray(values)
