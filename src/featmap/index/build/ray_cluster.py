"""The Ray cluster of a build: the connected one, the one at an address, or one started on this machine."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from featmap.errors import MissingPackage, SettingError, WorkError

_LEAST_STORE_BYTES = 2**27
_PROCESSORS_PER_WORKER = 4


@dataclass(frozen=True)
class Share:
    """The number of workers, and each one's share of the cluster; `processors` is below 1 where they share one."""

    workers: int
    processors: float
    gpus: float

    @property
    def threads(self) -> int:
        return max(1, int(self.processors))


def imported_ray() -> Any:
    """Raises: MissingPackage."""
    try:
        import ray
    except ImportError as error:
        raise MissingPackage(
            f"The engine 'ray' needs Ray, which cannot be imported ({error}).",
            "Install it: pip install 'featmap[ray]'; or build with the engine 'local'.",
        ) from error
    return ray


@contextmanager
def connected(address: str | None, store_bytes: int) -> Generator[Any]:
    """Ray, connected to a cluster.

    Where this process is connected already, that cluster is used and left as it is. Otherwise the one at `address` or
    at RAY_ADDRESS, or without both one that is started here, with `store_bytes` for what processes share, and ends
    with the block. Raises: MissingPackage. WorkError: no cluster responds at the address.
    """
    ray = imported_ray()
    if ray.is_initialized():
        yield ray
        return
    with _process_as_before():
        _connect(ray, address or os.environ.get("RAY_ADDRESS"), store_bytes)
        try:
            yield ray
        finally:
            ray.shutdown()


def _connect(ray: Any, address: str | None, store_bytes: int) -> None:
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address is None:
        # "local": without it Ray would look for whatever cluster was last started on this machine.
        ray.init("local", include_dashboard=False, object_store_memory=max(store_bytes, _LEAST_STORE_BYTES), **quiet)
        return
    try:
        ray.init(address, **quiet)
    except (ConnectionError, RuntimeError, ValueError) as error:
        said = str(error).strip().splitlines()
        raise WorkError(
            f"There is no Ray cluster at '{address}': {said[0] if said else type(error).__name__}",
            "Give the address of a running one, HOST:PORT; or none, then Ray is started on this machine.",
        ) from error


@contextmanager
def _process_as_before() -> Generator[None]:
    """Restores the handler for SIGTERM and the environment variables that Ray sets."""
    handler = signal.getsignal(signal.SIGTERM)
    environment = dict(os.environ)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)
        for name in {*os.environ, *environment}:
            if name == "PYTHONBREAKPOINT" or name.startswith("RAY_"):
                _put_back(name, environment.get(name))


def _put_back(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value


def share_of(ray: Any, workers: int | None, *, on_gpu: bool) -> Share:
    """Each worker's share of the cluster; with `None` there are as many workers as keep it busy.

    Raises: SettingError: the cluster has nothing to compute on.
    """
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    processors = [int(node.get("CPU", 0)) for node in nodes]
    gpus = sum(int(node.get("GPU", 0)) for node in nodes)
    if on_gpu and not gpus:
        raise SettingError("The Ray cluster has no GPU.", "Build with device cpu.")
    if workers is None:
        workers = gpus if on_gpu else workers_for(processors)
    if not workers:
        raise SettingError("The Ray cluster has no processor yet.", "Say how many workers to use.")
    each = processors_each(processors, workers)
    return Share(workers, each, min(1.0, gpus / workers) if on_gpu else 0.0)


def workers_for(processors: Sequence[int]) -> int:
    """The number of workers that keep nodes with these processors busy: one per four, at least one per node.

    >>> workers_for([2]), workers_for([8, 8, 2, 0])
    (1, 5)
    """
    return sum(max(1, count // _PROCESSORS_PER_WORKER) for count in processors if count)


def processors_each(processors: Sequence[int], workers: int) -> float:
    """The most processors that each worker can have, given the processors of every node.

    >>> processors_each([4, 4, 4, 4], 3), processors_each([6, 6], 3), processors_each([2], 4)
    (4, 3, 0.5)
    """
    for each in range(max(processors, default=0), 0, -1):
        if sum(count // each for count in processors) >= workers:
            return each
    # Ray keeps four digits; rounded up, the last worker would wait forever.
    return int(10_000 * sum(processors) / workers) / 10_000 or 1
