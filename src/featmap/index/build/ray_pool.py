"""The worker pool of a Ray cluster: it measures parts anywhere; their blocks come back in order.

Actors rather than Ray Data: one committer needs the blocks in the order of the parts, each with the number of images
before it, and the network is prepared once per worker. At most two parts per worker are in progress or waiting for
their turn, so memory does not grow with the number of images. A worker that dies is replaced, and its parts are
measured again.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import torch

from featmap.errors import WorkError, warn_caller
from featmap.images.entry import Entry
from featmap.index.build.engine import Work
from featmap.index.build.measure import Block
from featmap.index.build.ray_cluster import Share, connected, share_of
from featmap.index.build.worker import Task, Worker, portable
from featmap.index.schema.description import Description
from featmap.network.network import CapturedNetwork
from featmap.network.shipped import ShippedNetwork, shipped
from featmap.run.memory import available_bytes

_ATTEMPTS = 4
_PARTS_PER_WORKER = 2
_CELL_BYTES = 16


def ray_blocks(work: Work, workers: int | None, address: str | None) -> Generator[Block]:
    """The blocks of the parts, measured by workers of a Ray cluster; see `RayEngine`.

    Raises: MissingPackage, SettingError, WorkError, ImageBroken.
    """
    waiting = iter(work.parts)
    first = next(waiting, None)
    if first is None:
        return
    payload = shipped(work.network)
    device = work.device or _device(work.network)
    # What does not fit is spilled to disk.
    shared_bytes = payload.size_bytes + _PARTS_PER_WORKER * (workers or 4) * block_bytes(work.description)
    store_bytes = min(shared_bytes, available_bytes() // 4)
    with connected(address, store_bytes) as ray:
        share = share_of(ray, workers, on_gpu=device.type == "cuda")
        # Each worker sees only its own GPU.
        place = torch.device("cuda") if device.type == "cuda" else device
        task = Task(work.description, place, work.strict, share.threads, str(Path.cwd()))
        pool = _WorkerPool(ray, work, payload, task, share)
        try:
            yield from pool.blocks(chain([first], waiting))
        finally:
            pool.shut_down()


def block_bytes(description: Description) -> int:
    """The approximate size of a block in transit: the table, whole maps, and the totals of its images."""
    layers = description.layers
    whole = sum(2 * layer.channels * layer.places for layer in layers if layer.address in description.full)
    together = sum(4 * layer.channels * layer.tail + 8 * bool(layer.correlated) * layer.channels**2 for layer in layers)
    per_image = _CELL_BYTES * description.maps + whole
    return description.block * per_image + together + _CELL_BYTES * description.maps * description.top_k


def _device(network: CapturedNetwork) -> torch.device:
    tensors = iter(network.tensors.values())
    return next((tensor.device for tensor in tensors), torch.device("cpu"))


@dataclass(eq=False)
class _Part:
    """Some images that go to a worker together; `attempts` counts the workers that died over it."""

    number: int
    entries: list[Entry]
    tried: int
    attempts: int = 0

    def __str__(self) -> str:
        first, last = self.entries[0].name, self.entries[-1].name
        return f"'{first}'" if first == last else f"the {len(self.entries)} images from '{first}' to '{last}'"


@dataclass(eq=False)
class _Actor:
    """A worker's actor: `starting` until it is ready, then `work`, its assigned parts, the oldest first."""

    actor: Any
    starting: Any
    work: dict[Any, _Part] = field(default_factory=dict[Any, _Part])

    @property
    def awaited(self) -> list[Any]:
        return list(self.work) if self.starting is None else [self.starting]


class _WorkerPool:
    """The workers, their assigned parts, and the blocks that are not handed over yet."""

    def __init__(self, ray: Any, work: Work, payload: ShippedNetwork, task: Task, share: Share) -> None:
        self.ray = ray
        self.work = work
        self.payload = ray.put(payload)
        self.task = ray.put(task)
        self.actor_class = ray.remote(Worker).options(num_cpus=share.processors, num_gpus=share.gpus)
        self.most = _PARTS_PER_WORKER * share.workers
        self.lost: list[_Part] = []
        self.done: dict[int, Block] = {}
        self.ended = False
        self.handed_over = self.failed_starts = 0
        self.sent_floors: tuple[int, Any] = (-1, None)
        self.workers: list[_Actor] = []
        self.workers += [self._started() for _ in range(share.workers)]

    def _started(self) -> _Actor:
        # A dead actor is replaced rather than restarted: where its node is gone, others take over its parts.
        actor = self.actor_class.remote(self.payload, self.task)
        return _Actor(actor, actor.begin.remote())

    def blocks(self, parts: Iterator[Sequence[Entry]]) -> Iterator[Block]:
        """The blocks of all parts, in order."""
        fresh = self._numbered(parts)
        while self._hand_out(fresh):
            self._collect()
            while self.handed_over in self.done:
                block = self.done.pop(self.handed_over)
                self.handed_over += 1
                yield block

    def shut_down(self) -> None:
        """Ends all workers."""
        for worker in self.workers:
            self.ray.kill(worker.actor)

    def _numbered(self, parts: Iterator[Sequence[Entry]]) -> Iterator[_Part]:
        tried = self.work.tried
        for number, entries in enumerate(parts):
            yield _Part(number, [portable(self.work.network, entry) for entry in entries], tried)
            tried += len(entries)

    def _hand_out(self, fresh: Iterator[_Part]) -> bool:
        """Gives every worker the parts that it can take; returns whether anything is still to come."""
        while (worker := self._free()) is not None and (part := self._next(fresh)) is not None:
            reference = worker.actor.block.remote(part.entries, part.tried, self._present_floors())
            worker.work[reference] = part
        return not self.ended or bool(self.lost) or any(worker.work for worker in self.workers)

    def _free(self) -> _Actor | None:
        able = [worker for worker in self.workers if worker.starting is None and len(worker.work) < _PARTS_PER_WORKER]
        return min(able, key=lambda worker: len(worker.work), default=None)

    def _next(self, fresh: Iterator[_Part]) -> _Part | None:
        if self.lost:
            first = min(self.lost, key=lambda part: part.number)
            self.lost.remove(first)
            return first
        under_way = sum(len(worker.work) for worker in self.workers)
        if self.ended or under_way + len(self.done) >= self.most:
            return None
        part = next(fresh, None)
        self.ended = part is None
        return part

    def _present_floors(self) -> Any:
        """The floors, sent again only when they change. Older, lower ones would give the same totals."""
        if self.sent_floors[0] != self.handed_over:
            self.sent_floors = (self.handed_over, self.ray.put(list(self.work.floors())))
        return self.sent_floors[1]

    def _collect(self) -> None:
        """Waits for the next result of any worker."""
        workers = {reference: worker for worker in self.workers for reference in worker.awaited}
        (reference, *_), _ = self.ray.wait(list(workers), num_returns=1)
        worker = workers[reference]
        try:
            answer = self.ray.get(reference)
        except self.ray.exceptions.RayTaskError as error:
            # An exception there is raised here as itself.
            raise error.cause from error
        except self.ray.exceptions.RayError as error:
            self._replace(worker, error)
            return
        if worker.starting is not None:
            worker.starting, self.failed_starts = None, 0
            return
        part = worker.work.pop(reference)
        self.done[part.number] = answer
        for category, words in answer.warned:
            warn_caller(words, category)
        if self.work.tick is not None:
            self.work.tick(len(part.entries))

    def _replace(self, worker: _Actor, reason: Exception) -> None:
        """Replaces a worker that died and queues its parts again. Raises: WorkError: it happens again and again."""
        self.workers.remove(worker)
        self.ray.kill(worker.actor)
        parts = list(worker.work.values())
        if worker.starting is not None:
            self.failed_starts += 1
            self._check(self.failed_starts, "at startup", reason)
        for part in parts[:1]:
            # The others were not started.
            part.attempts += 1
            self._check(part.attempts, f"on {part}", reason)
        self.lost += parts
        self.workers.append(self._started())

    def _check(self, attempts: int, where: str, reason: Exception) -> None:
        if attempts >= _ATTEMPTS:
            raise WorkError(
                f"Workers of the Ray cluster died {attempts} times {where}; the last one: {_said(reason)}",
                "What was committed before is kept, and building again goes on from there. Where memory ran out, take "
                "fewer workers or smaller blocks; Ray's logs may say more.",
            )


def _said(reason: Exception) -> str:
    """The useful part of Ray's long texts: the first line and the last, without colours."""
    lines = [line.strip() for line in re.sub(r"\x1b\[[\d;]*m", "", str(reason)).splitlines() if line.strip()]
    return " ... ".join(dict.fromkeys([*lines[:1], *lines[-1:]])) or type(reason).__name__
