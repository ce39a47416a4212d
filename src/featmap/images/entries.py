"""The entries of a dataset: one per image, with a name and a label; none is read before its turn."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from featmap.errors import InputError
from featmap.images.containers.table import container_of
from featmap.images.entry import PICTURES, Entry, Other, Taken, Tally, Unreadable
from featmap.images.listing import listed, words_for

T = TypeVar("T")
_TWICE = "listed twice"


def entries(images: Any, tally: Tally | None = None, taken: Taken = PICTURES) -> Iterator[Entry]:
    """The images that are listed (see `listed`) as entries of a dataset, where each has a name of its own.

    An image that is listed twice is one image. What is found, and what of it is left out, is counted in `tally`.
    Raises: InputError, ImageMissing, ImageBroken: there is nothing, or something else.
    """
    seen: set[str] = set()
    tally = tally or Tally()
    for entry in listed(images, taken):
        tally.found += 1
        if isinstance(entry, Other):
            tally.leave_out(entry.name, entry.reason)
        elif entry.name in seen:
            tally.leave_out(entry.name, _TWICE)
        else:
            seen.add(entry.name)
            yield _as_text(entry)
    if not seen:
        raise InputError(
            f"There is no image in {words_for(images)}.", "Give a folder, a list or a tar file with images."
        )


def _as_text(entry: Entry) -> Entry:
    """The entry; it becomes unreadable if its name is not valid text, which no table can hold."""
    try:
        f"{entry.name}{entry.path}{entry.label}".encode()
    except UnicodeEncodeError:
        name, label = (text.encode(errors="backslashreplace").decode() for text in (entry.name, entry.label))
        return Entry(name, label, Unreadable(f"'{name}' has a name that is not text in UTF-8."))
    return entry


def batched(items: Iterable[T], count: int) -> Iterator[list[T]]:
    """The items in lists of `count`; the last one may be shorter.

    >>> list(batched("abcde", 2))
    [['a', 'b'], ['c', 'd'], ['e']]
    """
    iterator = iter(items)
    while part := list(islice(iterator, count)):
        yield part


def count_hint(images: Any) -> int:
    """The approximate number of images, 0 where it is unknown without reading."""
    return len(images) if hasattr(images, "__len__") and not isinstance(images, str) else 0


def is_read_at_once(images: Any) -> bool:
    """Whether the images can be listed without reading them, unlike iterables and compressed tar files."""
    if not isinstance(images, str | Path):
        return False
    container = container_of(images)
    return container is None or not str(images).lower().endswith(container.read_in_turn)
