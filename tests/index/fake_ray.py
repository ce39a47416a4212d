"""A Ray cluster in this process: answers come in random order, and workers die when a test says so."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any


class RayError(Exception):
    pass


class RayTaskError(RayError):
    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


class FakeRay:
    """As much of Ray as the engine uses. `dies` is asked with the arguments of every call that is about to run."""

    exceptions = SimpleNamespace(RayError=RayError, RayTaskError=RayTaskError)

    def __init__(self, dies: Callable[[str, tuple[Any, ...]], bool] = lambda *_: False, seed: int = 0) -> None:
        self.dies = dies
        self.random = random.Random(seed)
        self.actors: list[_Actor] = []
        self.put_count = 0

    @contextmanager
    def connected(self, *_: Any) -> Iterator[FakeRay]:
        yield self

    def nodes(self) -> list[dict[str, Any]]:
        return [{"Alive": True, "Resources": {"CPU": 2.0}}, {"Alive": False, "Resources": {"CPU": 99.0}}]

    def put(self, value: Any) -> Any:
        self.put_count += 1
        return value

    def remote(self, kind: Any) -> Any:
        def options(**_: Any) -> Any:
            return SimpleNamespace(remote=lambda *arguments: self._started(kind(*arguments)))

        return SimpleNamespace(options=options)

    def _started(self, worker: Any) -> _Actor:
        self.actors.append(_Actor(worker))
        return self.actors[-1]

    def wait(self, references: list[Any], num_returns: int) -> tuple[list[Any], list[Any]]:
        assert num_returns == 1
        # An actor answers in the order in which it was asked.
        oldest = [reference for reference in references if reference.actor.asked[0] is reference]
        return [self.random.choice(oldest)], []

    def get(self, reference: _Reference) -> Any:
        actor = reference.actor
        actor.asked.remove(reference)
        actor.is_dead = actor.is_dead or self.dies(reference.method, reference.arguments)
        if actor.is_dead:
            raise RayError("the \x1b[36mprocess\x1b[39m\n  at length\n  was killed\n")
        try:
            return getattr(actor.worker, reference.method)(*reference.arguments)
        except Exception as error:
            raise RayTaskError(error) from error

    def kill(self, actor: _Actor) -> None:
        actor.is_dead = True

    @property
    def living(self) -> int:
        return sum(not actor.is_dead for actor in self.actors)

    @property
    def asked(self) -> int:
        """How many blocks were asked for and not yet fetched."""
        return sum(len(actor.asked) for actor in self.actors if not actor.is_dead)


class _Reference:
    def __init__(self, actor: _Actor, method: str, arguments: tuple[Any, ...]) -> None:
        self.actor, self.method, self.arguments = actor, method, arguments


class _Actor:
    def __init__(self, worker: Any) -> None:
        self.worker = worker
        self.is_dead = False
        self.asked: list[_Reference] = []

    def __getattr__(self, method: str) -> Any:
        def remote(*arguments: Any) -> _Reference:
            self.asked.append(_Reference(self, method, arguments))
            return self.asked[-1]

        return SimpleNamespace(remote=remote)
