"""How many threads do compiled passes run on? As many as torch does."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from functools import lru_cache

import torch


@contextmanager
def as_many_threads_as_torch(useful: int | None = None) -> Generator[None]:
    """numba and torch can share one pool of threads, whose size numba sets; the user's setting is kept.

    Work for fewer than 2 `useful` threads stays on this one: to wait for others can take longer than to do it.
    """
    import numba

    threads = torch.get_num_threads()
    # NUMBA_NUM_THREADS may allow fewer; then numba stays with what it has.
    with suppress(ValueError):
        numba.set_num_threads(1 if useful is not None and useful < 2 else threads_of_torch())
    try:
        yield
    finally:
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)


def threads_of_torch() -> int:
    """How many threads torch uses, at most one per processor."""
    return min(torch.get_num_threads(), _processors())


@lru_cache(maxsize=1)
def _processors() -> int:
    return os.cpu_count() or 1
