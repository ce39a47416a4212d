"""How many threads do compiled passes run on? As many as torch does."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from functools import lru_cache

import torch


@contextmanager
def as_many_threads_as_torch() -> Generator[None]:
    """numba and torch can share one pool of threads, whose size numba sets; the user's setting is kept."""
    import numba

    threads = torch.get_num_threads()
    # NUMBA_NUM_THREADS may allow fewer; then numba stays with what it has.
    with suppress(ValueError):
        numba.set_num_threads(min(threads, _processors()))
    try:
        yield
    finally:
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)


@lru_cache(maxsize=1)
def _processors() -> int:
    return os.cpu_count() or 1
