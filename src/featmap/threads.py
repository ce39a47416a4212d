"""The division of processors: compiled passes run on as many threads as torch does; batches run side by side.

The threads of one operator wait for the slowest of them at its end, which costs most where processors are shared.
Batches that run side by side, each on its share of torch's threads, do not wait for each other.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import lru_cache
from threading import current_thread, local, main_thread
from typing import TypeVar

import torch

Item = TypeVar("Item")
Made = TypeVar("Made")
_MOST_SIDE_BY_SIDE = 4
"""Each batch in progress needs memory of its own."""


class InTurn:
    """Works on one item after the other, in this thread."""

    def each(self, work: Callable[[Item], Made], items: Iterable[Item]) -> Iterator[Made]:
        """The result for each item, in order."""
        return map(work, items)


class SideBySide(InTurn):
    """Works on several items at once, a few ahead of what was asked for."""

    def __init__(self, pool: ThreadPoolExecutor, count: int) -> None:
        self.pool = pool
        self.count = count

    def each(self, work: Callable[[Item], Made], items: Iterable[Item]) -> Iterator[Made]:
        waiting: deque[Future[Made]] = deque()
        try:
            for item in items:
                waiting.append(self.pool.submit(work, item))
                if len(waiting) > self.count:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            # After an error, work that has begun is waited for: it may write into what its caller holds.
            for future in waiting:
                future.cancel()
            for future in waiting:
                if not future.cancelled():
                    future.exception()


@contextmanager
def side_by_side(device: torch.device) -> Generator[InTurn]:
    """Divides torch's threads among batches on the CPU; on other devices batches run in turn."""
    threads = threads_of_torch()
    count = min(threads, _MOST_SIDE_BY_SIDE) if device.type == "cpu" and _takes_several() else 1
    if count < 2:
        yield InTurn()
        return
    pool = ThreadPoolExecutor(
        count, thread_name_prefix="featmap-run", initializer=torch.set_num_threads, initargs=(threads // count,)
    )
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads // count)
        yield SideBySide(pool, count)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        torch.set_num_threads(before)


def _takes_several() -> bool:
    """Whether compiled passes may run at once: numba's own thread pool would end the process."""
    share_threads()
    return _shared.takes_several


def share_threads() -> int:
    """Lets compiled passes of this thread run on as many threads as torch's operators; returns how many that is.

    numba and torch can share one pool, whose size numba sets when it starts; torch's is restored. Where numba has a
    pool of its own, which takes one pass at a time, threads other than the main one do without.
    """
    wanted = threads_of_torch()
    # Asking numba would take longer than many passes do.
    if getattr(_shared, "wanted", None) != wanted:
        import numba

        threads = torch.get_num_threads()
        # NUMBA_NUM_THREADS may allow fewer; then numba keeps what it has.
        with suppress(ValueError):
            numba.set_num_threads(wanted)
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
        _shared.takes_several = str(numba.threading_layer()) != "workqueue"  # pyright: ignore[reportPrivateImportUsage]
        _shared.threads = wanted if _shared.takes_several or current_thread() is main_thread() else 1
        _shared.wanted = wanted
    return _shared.threads


_shared = local()


def threads_of_torch() -> int:
    """How many threads torch uses, at most one per processor."""
    return min(torch.get_num_threads(), _processors())


@lru_cache(maxsize=1)
def _processors() -> int:
    return os.cpu_count() or 1
