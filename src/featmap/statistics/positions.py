"""The positions of an image's maps over which co-moments are taken."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int64

from featmap.statistics.array_types import Lengths

GOLDEN = 0.6180339887498949


def chosen_places(every: int, count: int, number: int) -> Int64[Lengths, " count"]:
    """`count` of `every` positions of an image, evenly spread; the golden ratio shifts them from image to image.

    >>> chosen_places(10, 5, 0), chosen_places(10, 5, 1)
    (array([0, 2, 4, 6, 8]), array([6, 8, 0, 2, 4]))
    """
    if count == every:
        return np.arange(every)
    start = int(number * GOLDEN % 1.0 * every)
    return (np.arange(count, dtype=np.int64) * every // count + start) % every
