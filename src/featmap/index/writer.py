"""How is an index written? Block by block: a commit adds a whole one, or nothing at all."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from featmap.errors import IndexBusy
from featmap.index import layout
from featmap.index.description import Description
from featmap.index.measure import Block, Table
from featmap.index.snapshot import RECORD, Snapshot
from featmap.index.storage import created, guarded, opened
from featmap.index.totals import Totals

_TIDY_AFTER = 8


@dataclass
class Writer:
    """The one builder's hold on an index: blocks are added to what it holds, each in one commit."""

    path: str | Path
    repository: Any
    description: Description
    labels: dict[str, int] = field(default_factory=dict[str, int])
    _commits: list[datetime] = field(default_factory=list[datetime])

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
            root.attrs[RECORD] = description.to_json()
            session.commit("no images yet")

    @staticmethod
    def of(snapshot: Snapshot) -> Writer:
        """To add to the index of a snapshot."""
        labels = {label: number for number, label in enumerate(snapshot.labels)}
        return Writer(snapshot.path, opened(snapshot.path), snapshot.description, labels)

    def add(self, block: Block, totals: Totals) -> None:
        """Adds a block, with which the index knows these totals; it is unchanged where that fails.

        Raises: IndexBroken, IndexBusy.
        """
        import icechunk
        import zarr

        with guarded(self.path):
            session = self.repository.writable_session("main")
            root: Any = zarr.open_group(session.store, mode="r+")
            first = totals.images - len(block.images)
            if root["image/name"].shape[0] != first:
                raise IndexBusy(f"'{self.path}' was changed by another builder.", "Build again: it goes on from there.")
            labels = self._grow(root, block, first)
            self._rewrite(root, totals)
            words = f"images {first} to {totals.images - 1}" if block.images else "no image that could be read"
            try:
                session.commit(words)
            except icechunk.ConflictError:
                raise IndexBusy(
                    f"'{self.path}' was changed by another builder.", "Build again: it goes on from there."
                ) from None
            self.labels = labels
        self._commits.append(datetime.now(UTC))
        if len(self._commits) >= _TIDY_AFTER:
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
            "skipped/name": [name for name, _ in block.skipped],
            "skipped/reason": [reason for _, reason in block.skipped],
            "block/first": [first],
            "block/images": [len(entries)],
            "block/tried": [block.tried],
            "block/digest": [self._digest(block)],
            "label/name": list(labels)[len(self.labels) :],
        }
        if self.description.table:
            grown |= {f"table/{name}": getattr(block.table, name) for name in layout.TABLE}
        for number, layer in enumerate(self.description.layers):
            if layer.address in block.full:
                grown[layout.full_name(number)] = block.full[layer.address]
        for name, values in grown.items():
            _append(root[name], values)
        return labels

    def _digest(self, block: Block) -> str:
        digests = [image.digest for image in block.images]
        return block_digest(block.table if self.description.table else None, digests)

    def _rewrite(self, root: Any, totals: Totals) -> None:
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

    def tidy(self) -> None:
        """Takes off the disk what only older states held; the last two stay, so that a reader can end its question."""
        if len(self._commits) < 2:
            return
        before = self._commits[-2]
        with guarded(self.path):
            self.repository.expire_snapshots(before)
            self.repository.garbage_collect(before)
        self._commits = self._commits[-1:]


def block_digest(table: Table | None, digests: Sequence[str]) -> str:
    """What tells whether a block's table and images are those that were written."""
    made = hashlib.sha256("\n".join(digests).encode())
    for name in layout.TABLE if table is not None else ():
        made.update(np.ascontiguousarray(getattr(table, name)).tobytes())
    return made.hexdigest()


def _append(array: Any, values: Any) -> None:
    """Adds values behind what an array holds."""
    first, count = array.shape[0], len(values)
    if not count:
        return
    array.resize((first + count, *array.shape[1:]))
    is_text = not isinstance(values, np.ndarray) and isinstance(values[0], str)
    array[first:] = np.array(values, np.dtypes.StringDType()) if is_text else np.asarray(values)
