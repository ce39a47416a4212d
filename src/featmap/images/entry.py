"""Entries, which stand for images of a dataset before they are read, and the tally of what was found."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_NAMES = 3


@dataclass(frozen=True)
class TarMember:
    """An image inside a tar file; `offset` is where its bytes begin, `None` in a compressed one."""

    tar: Path
    name: str
    offset: int | None
    size_bytes: int

    def __str__(self) -> str:
        return f"{self.tar}!{self.name}"


@dataclass(frozen=True)
class Unreadable:
    """The content of an entry that was found to be unreadable before its turn, with the reason."""

    problem: str


@dataclass(frozen=True)
class Entry:
    """One image of a dataset: its name there, its label ('' for none) and its content.

    `content` is a path, a tar member, the bytes of a compressed one, an image in memory, or `Unreadable`.
    """

    name: str
    label: str
    content: Any
    path: str = ""


@dataclass(frozen=True)
class Other:
    """Something in a dataset that is not an image, with the reason."""

    name: str
    reason: str


@dataclass(frozen=True)
class LeftOut:
    """The number of things that were left out of a dataset for one reason, and the first names."""

    reason: str
    count: int
    names: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The reason, the count and the first names."""
        return {"reason": self.reason, "count": self.count, "names": list(self.names)}


@dataclass
class Tally:
    """Counts what was found in a dataset, and what was left out, by reason."""

    found: int = 0
    _left_out: dict[str, LeftOut] = field(default_factory=dict[str, LeftOut])

    def leave_out(self, name: str, reason: str) -> None:
        """Counts something that is left out."""
        before = self._left_out.get(reason, LeftOut(reason, 0, ()))
        names = (*before.names, name)[:_NAMES]
        self._left_out[reason] = LeftOut(reason, before.count + 1, names)

    @property
    def left_out(self) -> tuple[LeftOut, ...]:
        """What was left out, by reason."""
        return tuple(self._left_out.values())
