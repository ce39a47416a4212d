"""The images that excite each map most: value, image and position for every map, strongest first.

Of equal values the earlier image comes first, and later ones do not replace it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int32, Int64

from featmap.statistics.array_types import Counts, Floats, Lengths

_KEYS_AT_ONCE = 2**18


@dataclass(frozen=True, eq=False)
class Strongest:
    """The `k` strongest images of each map, arrays (map, k): NaN and -1 where there are fewer images."""

    value: Float32[Floats, "map k"]
    image: Int64[Lengths, "map k"]
    place: Int32[Counts, "map k"]

    @classmethod
    def none(cls, maps: int, k: int) -> Strongest:
        shape = (maps, k)
        return cls(np.full(shape, np.nan, np.float32), np.full(shape, -1, np.int64), np.full(shape, -1, np.int32))

    @classmethod
    def of(cls, maximum: Float32[Floats, "image map"], place: Int32[Counts, "image map"], k: int) -> Strongest:
        """The strongest of some images, numbered from 0, from their maxima and the positions of these, (image, map).

        >>> found = Strongest.of(np.array([[1], [3], [3]], np.float32), np.array([[0], [7], [5]], np.int32), 2)
        >>> found.value, found.image, found.place
        (array([[3., 3.]], dtype=float32), array([[1, 2]]), array([[7, 5]], dtype=int32))
        """
        images, maps = maximum.shape
        found = cls.none(maps, k)
        at_once = max(1, _KEYS_AT_ONCE // max(images, 1))
        for first in range(0, maps, at_once):
            here = slice(first, first + at_once)
            values = np.ascontiguousarray(maximum[:, here].T)
            image = _ranked(values, k)
            value, kept = np.take_along_axis(values, image, axis=1), image.shape[1]
            is_none = np.isnan(value)
            image[is_none] = -1
            found.value[here, :kept], found.image[here, :kept] = value, image
            places = place[image, np.arange(first, first + len(value))[:, None]]
            places[is_none] = -1
            found.place[here, :kept] = places
        return found

    def numbered_from(self, first: int) -> Strongest:
        """The same images with higher numbers."""
        return Strongest(self.value, np.where(self.image < 0, self.image, self.image + first), self.place)

    def merged(self, later: Strongest) -> Strongest:
        """The strongest of both; the images of `later` all come after those of this one."""
        found = Strongest.none(*self.value.shape)
        at_once = max(1, _KEYS_AT_ONCE // max(2 * self.value.shape[1], 1))
        for first in range(0, len(self.value), at_once):
            here = slice(first, first + at_once)
            value = np.concatenate([self.value[here], later.value[here]], axis=1)
            order = _ranked(value, self.value.shape[1])
            found.value[here] = np.take_along_axis(value, order, axis=1)
            for name in ("image", "place"):
                both = np.concatenate([getattr(self, name)[here], getattr(later, name)[here]], axis=1)
                getattr(found, name)[here] = np.take_along_axis(both, order, axis=1)
        return found


def _ranked(values: Float32[Floats, "map image"], k: int) -> Int64[Lengths, "map rank"]:
    """The indices of the `k` largest of each row, largest first, of equal ones the first; NaN comes last."""
    count = values.shape[1]
    k = min(k, count)
    # A float's bits as an integer that is larger for a larger float; 0 and -0 are equal.
    bits = (values + np.float32(0)).view(np.uint32)
    bits ^= (bits.view(np.int32) >> 31).view(np.uint32) | np.uint32(2**31)
    bits[np.isnan(values)] = 0
    # Then the index counted from the end, so that no two keys are equal.
    keys = bits.astype(np.uint64)
    keys <<= np.uint64(32)
    keys |= np.arange(count - 1, -1, -1, dtype=np.uint64)
    if k < count:
        keys = np.partition(keys, count - k, axis=1)[:, count - k :]
    keys.sort(axis=1)
    return count - 1 - keys[:, ::-1].astype(np.uint32).astype(np.int64)
