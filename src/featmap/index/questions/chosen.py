"""The images that a question asks about: all, or those with a label or in a subset."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featmap.errors import NoSuchImage, NotKept, SettingError, nearest
from featmap.index.store.snapshot import Snapshot

ROWS_AT_ONCE = 1 << 20
_SHOWN = 8
_SUBSET = "Give numbers, names, a slice or a pattern."

Subset = str | slice | Sequence[int] | Sequence[str] | None
"""Image numbers, names, a slice of numbers, or a pattern of names with `*` and `?`."""


@dataclass(frozen=True)
class Choice:
    """The images that a question asks about: with one of these labels, and in this subset; None is all."""

    label: str | Sequence[str] | None = None
    subset: Subset = None

    @property
    def is_all(self) -> bool:
        return self.label is None and self.subset is None

    def words(self) -> str:
        """The choice in words, '' for all."""
        labels = [self.label] if isinstance(self.label, str) else list(self.label or ())
        parts = [f"label {' or '.join(labels)}"] if labels else []
        if isinstance(self.subset, str):
            parts.append(f"names like {self.subset}")
        elif self.subset is not None:
            parts.append("a subset")
        return ", ".join(parts)

    def numbers(self, snapshot: Snapshot) -> NDArray[np.int64]:
        """The numbers of the chosen images, ascending. Raises: NotKept, SettingError."""
        found = np.arange(snapshot.images) if self.subset is None else _subset(snapshot, self.subset)
        if self.label is None:
            return found
        labels: Any = [self.label] if isinstance(self.label, str) else self.label
        if not isinstance(labels, Iterable):
            raise SettingError(f"label is {self.label!r}.", "Give a label, or a list of labels.")
        wanted = [_label(snapshot, label) for label in labels]
        return found[np.isin(snapshot.read("image/label")[found], wanted)]


def _label(snapshot: Snapshot, label: str) -> int:
    if label not in snapshot.labels:
        more = len(snapshot.labels) - _SHOWN
        shown = (", ".join(snapshot.labels[:_SHOWN]) or "none") + (f" and {more} more" if more > 0 else "")
        raise NotKept(
            f"No image has the label '{label}'.", f"There are {shown}. {nearest(label, snapshot.labels)}".strip()
        )
    return snapshot.labels.index(label)


def _subset(snapshot: Snapshot, subset: Any) -> NDArray[np.int64]:
    if isinstance(subset, slice):
        return np.sort(np.arange(snapshot.images)[subset])
    if isinstance(subset, str):
        # Brackets are literal: file names contain them.
        pattern = subset.replace("[", "[[]")
        return _named(snapshot, [number for number, name in names(snapshot) if fnmatchcase(name, pattern)], subset)
    if not isinstance(subset, Iterable):
        raise SettingError(f"The subset {subset!r} is not a list of images.", _SUBSET)
    listed: list[Any] = list(subset)  # pyright: ignore[reportUnknownArgumentType]
    if listed and isinstance(listed[0], str):
        wanted = set(listed)
        found = {name: number for number, name in names(snapshot) if name in wanted}
        missing = [name for name in listed if name not in found]
        if missing:
            raise NoSuchImage(f"There is no image '{missing[0]}' in '{snapshot.path}'.", "`index.names()` lists all.")
        return np.array(sorted(found.values()), np.int64)
    return _checked_numbers(snapshot, listed)


def _checked_numbers(snapshot: Snapshot, listed: list[Any]) -> NDArray[np.int64]:
    found = np.unique(np.asarray(listed))
    if len(found) and not np.issubdtype(found.dtype, np.integer):
        raise SettingError(f"The subset {listed[:3]} is not a list of images.", _SUBSET)
    if len(found) and (found[0] < 0 or found[-1] >= snapshot.images):
        wrong = int(found[0] if found[0] < 0 else found[-1])
        raise NotKept(
            f"There is no image {wrong}; '{snapshot.path}' has {snapshot.images}.", "Images are counted from 0."
        )
    return found.astype(np.int64)


def _named(snapshot: Snapshot, found: list[int], pattern: str) -> NDArray[np.int64]:
    if not found:
        raise NotKept(
            f"No image of '{snapshot.path}' has a name like '{pattern}'.",
            "`*` stands for anything, `?` for one sign; names are those that `featmap index show INDEX --names` lists.",
        )
    return np.array(found, np.int64)


def names(snapshot: Snapshot) -> Iterator[tuple[int, str]]:
    """All images' numbers and names."""
    for first in range(0, snapshot.images, ROWS_AT_ONCE):
        for at, name in enumerate(snapshot.read("image/name", slice(first, first + ROWS_AT_ONCE))):
            yield first + at, str(name)


def check_any(snapshot: Snapshot) -> None:
    """Raises: NotKept: the index has no images."""
    if not snapshot.images:
        raise NotKept(f"'{snapshot.path}' holds no image yet.", "Build it with images that can be read.")


def check_rectified(snapshot: Snapshot) -> None:
    """Raises: NotKept: an old index, which does not record which layers are rectified."""
    if any(layer.rectified is None for layer in snapshot.description.layers):
        raise NotKept(
            f"'{snapshot.path}' was built by featmap {snapshot.description.version}, which did not keep which layers "
            "are rectified: behind others no map is dead.",
            "Build the index again, at another path.",
        )


def check_table(snapshot: Snapshot, what: str) -> None:
    """Raises: NotKept: the index keeps no table of its images, which `what` needs."""
    if not snapshot.description.table:
        raise NotKept(
            f"'{snapshot.path}' keeps no table of its images; {what} needs one.", "Build it with table=True (--table)."
        )
