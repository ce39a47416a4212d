"""Builds on this machine: threads read images ahead while the network runs on earlier ones."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import torch

from featmap.errors import ImageBroken
from featmap.images.entry import Entry
from featmap.images.reading import ReadImage, read_image
from featmap.index.build.measure import Finish, Measurer, Tick
from featmap.index.schema.description import Description
from featmap.network.network import CapturedNetwork
from featmap.statistics.per_map import Floats
from featmap.threads import side_by_side

Floors = Callable[[], Sequence[Floats]]
_AHEAD = 4


class ReadAhead:
    """Reads images in threads, a few batches before they are asked for. `strict`: one that cannot be read ends it."""

    def __init__(self, network: CapturedNetwork, ahead: int, pool: ThreadPoolExecutor, *, strict: bool) -> None:
        self.network = network
        self.ahead = ahead
        self.pool = pool
        self.strict = strict
        self._waiting: dict[str, Future[ReadImage]] = {}

    def prepare(self, entries: Sequence[Entry]) -> None:
        """Begins to read the first of these."""
        for entry in entries[: self.ahead]:
            self._begin(entry)

    def read(self, entries: Sequence[Entry]) -> Iterator[ReadImage]:
        """The images in order. Raises: ImageBroken: where it is strict."""
        self.prepare(entries)
        for at, entry in enumerate(entries):
            if at + self.ahead < len(entries):
                self._begin(entries[at + self.ahead])
            image = self._begin(entry).result()
            del self._waiting[entry.name]
            if self.strict and image.problem:
                raise ImageBroken(image.problem, "Mend or leave out this image, or build without --strict.")
            yield image

    def _begin(self, entry: Entry) -> Future[ReadImage]:
        if entry.name not in self._waiting:
            self._waiting[entry.name] = self.pool.submit(read_image, self.network, entry)
        return self._waiting[entry.name]


@contextmanager
def reading_ahead(
    network: CapturedNetwork, batch: int, *, strict: bool, workers: int | None = None
) -> Generator[ReadAhead]:
    """A reader whose threads end with the context, also after an interrupt."""
    pool = ThreadPoolExecutor(workers or min(8, os.cpu_count() or 1), thread_name_prefix="featmap-read")
    try:
        yield ReadAhead(network, _AHEAD * batch, pool, strict=strict)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def local_blocks(
    network: CapturedNetwork,
    description: Description,
    parts: Iterable[Sequence[Entry]],
    tried: int,
    floors: Floors,
    *,
    device: torch.device | None = None,
    strict: bool = False,
    tick: Tick | None = None,
) -> Iterator[Finish]:
    """The parts measured one after the other; `tried` images were read before the first."""
    measurer = Measurer(network, description, device)
    reading = reading_ahead(network, measurer.batch, strict=strict)
    with side_by_side(measurer.program.device) as measurer.runner, reading as reader:
        waiting = iter(parts)
        part = next(waiting, None)
        while part is not None:
            finish = measurer.measured(part, tried, reader.read, floors(), tick)
            tried += len(part)
            part = next(waiting, None)
            if part is not None:
                # While the block is written, the next images are read.
                reader.prepare(part)
            yield finish
