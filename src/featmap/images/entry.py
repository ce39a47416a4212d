"""Entries, which stand for images before they are read, what may hold them, and the tally of what was found."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from featmap.plain_data import PlainData

_NAMES = 3


class Stored(ABC):
    """An image inside a file, which is read when its turn comes, in this process or, pickled, in another."""

    @abstractmethod
    def read(self) -> bytes:
        """The bytes of the picture. Raises: ImageBroken, or what its reader raises."""


@dataclass(frozen=True)
class Taken:
    """What a network takes as images: `axes` of a tensor of several of them; with `arrays`, .wav and .npy files."""

    axes: int = 4
    arrays: bool = False


PICTURES = Taken()


@dataclass(frozen=True)
class Unreadable:
    """The content of an entry that was found to be unreadable before its turn, with the reason."""

    problem: str


@dataclass(frozen=True)
class Entry:
    """One image of a dataset: its name there, its label ('' for none) and its content.

    `content` is a path, what is stored in a file (`Stored`), the bytes of a picture, an image in memory, or
    `Unreadable`. `path` is where it can be found again, '' in memory. `title` is what a picture in memory is called;
    `is_found` says that the user did not name this image but a folder or a tar file that holds it.
    """

    name: str
    label: str
    content: Any
    path: str = ""
    title: str = ""
    is_found: bool = False


@dataclass(frozen=True)
class Other:
    """Something in a dataset that is not an image, with the reason."""

    name: str
    reason: str


@dataclass(frozen=True)
class Container:
    """A kind of file that names or holds images.

    `suffixes` end the names of such files. `entries` lists the images in one; those in `read_in_turn` of the suffixes
    can be listed only by reading all of it. `member` gives the bytes of one image by its name there, so that an index
    finds it again at `FILE!NAME`; None where images are files of their own.
    """

    suffixes: tuple[str, ...]
    entries: Callable[[Path], Iterator[Entry | Other]]
    member: Callable[[Path, str], bytes] | None = None
    read_in_turn: tuple[str, ...] = ()


@dataclass(frozen=True)
class LeftOut:
    """The number of things that were left out of a dataset for one reason, and the first names."""

    reason: str
    count: int
    names: tuple[str, ...]

    def to_dict(self) -> dict[str, PlainData]:
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
