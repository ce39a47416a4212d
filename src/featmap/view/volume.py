"""The plane of a volume that a picture shows, chosen or said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featmap.errors import OutputError


@dataclass(frozen=True)
class Plane:
    """One plane of so many; `words` say which it is and why."""

    number: int
    count: int
    is_asked: bool

    @property
    def words(self) -> str:
        """The plane for a title.

        >>> Plane(3, 16, False).words, Plane(3, 16, True).words
        ('plane 3 of 16, which holds the largest value', 'plane 3 of 16')
        """
        return f"plane {self.number} of {self.count}" + ("" if self.is_asked else ", which holds the largest value")


def plane_of(values: NDArray[Any], asked: int | None = None) -> Plane:
    """The plane that is shown of values (channel, plane, row, column): the one that is asked for, else that with the
    largest magnitude.

    Raises: OutputError: there is no such plane.
    """
    count = values.shape[1]
    if asked is not None:
        check_plane(asked, count)
        return Plane(asked, count, is_asked=True)
    sizes = np.abs(np.where(np.isfinite(values), values, 0)).max(axis=(0, 2, 3))
    return Plane(int(sizes.argmax()), count, is_asked=False)


def check_plane(asked: int, count: int) -> None:
    """Raises: OutputError: a volume of so many planes has no such plane."""
    if not 0 <= asked < count:
        raise OutputError(
            f"There is no plane {asked}; the volume has {count} planes.", f"Choose one from 0 to {count - 1}."
        )
