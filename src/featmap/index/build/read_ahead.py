"""Images read ahead in threads, while the network runs on earlier ones."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

from featmap.errors import ImageBroken
from featmap.images.entry import Entry
from featmap.images.reading import ReadImage, read_image
from featmap.network.network import CapturedNetwork

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
