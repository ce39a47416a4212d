"""Building an index: new images are measured block by block, and each block is committed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from featmap.images.entries import batched, count_hint, entries, is_read_at_once
from featmap.images.entry import Entry, LeftOut, Taken, Tally
from featmap.images.signals import taken_by
from featmap.index.build.engine import Engine, Work
from featmap.index.build.local import LocalEngine
from featmap.index.build.measure import Finish
from featmap.index.schema.describe import describe
from featmap.index.schema.same import check_same
from featmap.index.schema.totals import places_per_map
from featmap.index.schema.wish import Wish
from featmap.index.store.snapshot import Snapshot
from featmap.index.store.storage import has_repository, only_builder
from featmap.index.store.writer import Writer
from featmap.network.differing import note_differences
from featmap.network.network import CapturedNetwork
from featmap.result import Result
from featmap.run.batches import Progress
from featmap.statistics.array_types import Floats


@dataclass(frozen=True)
class BuildReport(Result):
    """What a build did: `added` images are new, `images` are in the index now; `skipped` could not be read, each with
    the reason; `known` were tried before, `skipped_before` of them without success; `left_out` are no images.

    It adds up: `found`, all that the dataset holds, is added + skipped + known + left out.
    """

    path: str
    images: int
    added: int
    known: int
    skipped: tuple[tuple[str, str], ...]
    found: int = 0
    skipped_before: int = 0
    left_out: tuple[LeftOut, ...] = ()

    def _data(self) -> dict[str, Any]:
        skipped = [{"name": name, "reason": reason} for name, reason in self.skipped]
        left_out = [entry.to_dict() for entry in self.left_out]
        done = {"index": self.path, "images": self.images, "found": self.found, "added": self.added}
        before = {"known": self.known, "skipped_before": self.skipped_before}
        return {**done, **before, "skipped": skipped, "left_out": left_out}


def build_index(
    network: CapturedNetwork,
    images: Any,
    path: str | Path,
    wish: Wish,
    engine: Engine | None = None,
    *,
    device: torch.device | None = None,
    strict: bool = False,
    retry: bool = False,
    progress: Progress | None = None,
) -> BuildReport:
    """Measures the images that the index at `path` does not have yet; see `featmap.Index.build`."""
    engine = engine or LocalEngine()
    # Before anything is written.
    engine.check()
    wish.check()
    tally = Tally()
    listed, planned = _listed(images, tally, taken_by(network))
    if not has_repository(path) or Snapshot(path).is_empty:
        Writer.begin(path, describe(network, wish, planned))
    with only_builder(path):
        snapshot = Snapshot.of(path)
        check_same(snapshot.description, network, wish, path)
        note_differences(network, [network.place(layer.address).node for layer in snapshot.description.layers])
        build = _Build(Writer.of(snapshot), snapshot, retry=retry, planned=planned, tally=tally, progress=progress)
        work = Work(network, snapshot.description, build.parts(listed), build.tried, build.floors, build.tick, device)
        return build.run(engine.run(replace(work, strict=strict)))


def _listed(images: Any, tally: Tally, taken: Taken) -> tuple[Iterable[Entry], int]:
    """The entries, and how many images there are, 0 where that is not known."""
    if not is_read_at_once(images):
        return entries(images, tally, taken), count_hint(images)
    listed = list(entries(images, tally, taken))
    return listed, len(listed)


class _Build:
    """The state of a running build."""

    def __init__(
        self,
        writer: Writer,
        snapshot: Snapshot,
        *,
        retry: bool,
        planned: int,
        tally: Tally,
        progress: Progress | None,
    ) -> None:
        self.writer = writer
        self.progress = progress
        self.planned = planned
        self.places = places_per_map(writer.description)
        known = {str(name) for name in snapshot.read("image/name")}
        self.not_again = set[str]() if retry else {str(name) for name in snapshot.read("skipped/name")} - known
        self.passed_over = known | self.not_again
        self.tally = tally
        self.tried = int(snapshot.read("block/tried").sum())
        self.totals = snapshot.totals()
        self.seen = self.passed = self.skipped_before = 0
        self.written: Future[None] | None = None
        self.skipped: list[tuple[str, str]] = []

    def parts(self, listed: Iterable[Entry]) -> Iterator[Sequence[Entry]]:
        """What is new, in blocks."""
        return batched(self._new(listed), self.writer.description.block)

    def run(self, measured: Iterator[Finish]) -> BuildReport:
        """Measures and commits what is new."""
        before = self.totals.images
        self.writer.discard()
        try:
            # While a block is finished and written the next is measured. Whatever ends the build, that is ended first.
            with ThreadPoolExecutor(1, thread_name_prefix="featmap-commit") as committer:
                for finish in measured:
                    self._wait()
                    self.written = committer.submit(self._commit, finish)
                self._wait()
        except BaseException:
            self.writer.discard()
            raise
        self.writer.tidy()
        images = self.totals.images
        done = BuildReport(str(self.writer.path), images, images - before, self.passed, tuple(self.skipped))
        return replace(done, found=self.tally.found, skipped_before=self.skipped_before, left_out=self.tally.left_out)

    def _new(self, listed: Iterable[Entry]) -> Iterator[Entry]:
        for entry in listed:
            if entry.name not in self.passed_over:
                yield entry
                continue
            self.passed += 1
            self.skipped_before += entry.name in self.not_again
            self.tick(1)

    def tick(self, count: int) -> None:
        """Counts images that are done."""
        self.seen += count
        if self.progress is not None:
            self.progress(self.seen, max(self.planned, self.seen))

    def floors(self) -> list[Floats]:
        """Per layer and map a value up to which nothing can enter the tail any more, by what is written so far."""
        lowest = [tail[:, -1] if tail.shape[1] else np.empty(len(tail), np.float32) for tail in self.totals.tails]
        return [np.where(np.isnan(floor), -np.inf, floor).astype(np.float32) for floor in lowest]

    def _commit(self, finish: Finish) -> None:
        block = finish()
        totals = self.totals.merged(block.totals, self.places)
        self.writer.add(block, totals)
        self.totals = totals
        self.skipped += block.skipped

    def _wait(self) -> None:
        """Until the last block is written. Raises what went wrong with it."""
        if self.written is not None:
            self.written.result()
