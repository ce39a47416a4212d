"""What was checked and what is wrong; every check is made, whatever the others found."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from numpy.typing import NDArray

from featmap.errors import FeatmapError, IndexBroken
from featmap.index.store.snapshot import Snapshot

_SHOWN = 4
Say = Callable[[str], None]
"""Takes a problem, in words."""
Check = Callable[[Snapshot, Say], str]
"""Says all problems that it finds; returns what it has checked, in words."""


class Findings:
    """The results of checks; a check whose arrays cannot be read is not made."""

    def __init__(self) -> None:
        self.checked: list[str] = []
        self.unread: set[str] = set()
        self._problems: dict[str, None] = {}

    @property
    def problems(self) -> list[str]:
        """Each problem once, in the order in which they were found."""
        return list(self._problems)

    def say(self, problem: str) -> None:
        """Adds a problem."""
        self._problems.setdefault(problem)

    def check(self, snapshot: Snapshot, check: Check, needs: Sequence[str] = ()) -> None:
        """Makes a check if the arrays with these name prefixes can be read; an error of featmap is a problem too."""
        if any(name.startswith(tuple(needs)) for name in self.unread):
            return
        said: list[str] = []
        try:
            words = check(snapshot, said.append)
        except FeatmapError as error:
            said.append(error.problem)
        else:
            # The text says that all is well.
            self.checked += [] if said else [words]
        for problem in said:
            self.say(problem)


def values_of(snapshot: Snapshot, name: str, part: Any = ...) -> NDArray[Any]:
    """An array or a part of it; the error says which. Raises: IndexBroken."""
    try:
        return snapshot.read(name, part)
    except FeatmapError as error:
        reason = error.problem.removeprefix(f"'{snapshot.path}': ")
        raise IndexBroken(f"{name}{_rows(part)} cannot be read: {reason}") from error


def _rows(part: Any) -> str:
    rows = part[0] if isinstance(part, tuple) and part else part
    return f" (rows {rows.start} to {rows.stop - 1})" if isinstance(rows, slice) and rows.stop is not None else ""


def some(items: Iterable[Any]) -> str:
    """The first of many, and how many more there are.

    >>> some(range(7))
    '0, 1, 2, 3 and 3 more'
    """
    listed = [str(item) for item in items]
    more = f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else ""
    return ", ".join(listed[:_SHOWN]) + more
