"""Which images excite each map most? Kept for every map as the images come: value, image and place, strongest first.

Of equal values the earlier image comes first, and it stays when later ones are as strong.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featmap.run.threads import as_many_threads_as_torch


@dataclass(frozen=True, eq=False)
class Strongest:
    """For each map its `k` strongest images, arrays (map, k): NaN and -1 where there are fewer images."""

    value: NDArray[np.float32]
    image: NDArray[np.int64]
    place: NDArray[np.int32]

    @classmethod
    def none(cls, maps: int, k: int) -> Strongest:
        shape = (maps, k)
        return cls(np.full(shape, np.nan, np.float32), np.full(shape, -1, np.int64), np.full(shape, -1, np.int32))

    def add(self, maximum: NDArray[np.float32], place: NDArray[np.int32], first: int) -> None:
        """Takes in later images, numbered from `first` on: their maxima and where, (image, map). Changes this.

        >>> kept = Strongest.none(1, 2)
        >>> kept.add(np.array([[1], [3], [3]], np.float32), np.array([[0], [7], [5]], np.int32), 10)
        >>> kept.value, kept.image, kept.place
        (array([[3., 3.]], dtype=float32), array([[11, 12]]), array([[7, 5]], dtype=int32))
        """
        numbers = np.arange(first, first + len(maximum), dtype=np.int64)
        count = len(maximum)
        if not count:
            return
        with as_many_threads_as_torch():
            _kernel()(maximum, place, numbers, self.value, self.image, self.place)

    def numbered_from(self, first: int) -> Strongest:
        """The same images with higher numbers."""
        return Strongest(self.value, np.where(self.image < 0, self.image, self.image + first), self.place)

    def merged(self, later: Strongest) -> Strongest:
        """Both together; the other's images all come after this one's."""
        value = np.concatenate([self.value, later.value], axis=1)
        # NaN sorts behind everything, and a stable sort leaves earlier images before later ones.
        order = np.argsort(-value, axis=1, kind="stable")[:, : self.value.shape[1]]

        def ordered(ours: NDArray[Any], theirs: NDArray[Any]) -> NDArray[Any]:
            return np.take_along_axis(np.concatenate([ours, theirs], axis=1), order, axis=1)

        return Strongest(*(ordered(getattr(self, name), getattr(later, name)) for name in ("value", "image", "place")))


@lru_cache(maxsize=1)
def _kernel() -> Any:
    from numba import njit, prange

    @njit(parallel=True, cache=True)
    def insert(maximum, place, numbers, value, image, where):  # type: ignore[no-untyped-def]
        images, maps = maximum.shape
        k = value.shape[1]
        for group in prange((maps + 15) // 16):
            for at in range(images):
                for m in range(group * 16, min(group * 16 + 16, maps)):
                    new = maximum[at, m]
                    if new <= value[m, k - 1] or np.isnan(new):
                        continue
                    slot = k - 1
                    while slot > 0 and not new <= value[m, slot - 1]:
                        value[m, slot] = value[m, slot - 1]
                        image[m, slot] = image[m, slot - 1]
                        where[m, slot] = where[m, slot - 1]
                        slot -= 1
                    value[m, slot], image[m, slot], where[m, slot] = new, numbers[at], place[at, m]

    return insert
