"""How is one map read once for all of its statistics? The compiled pass over the places of maps laid out channels last.

A module of its own, because numba finds compiled code on the disk again only for functions that close over no others.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange


@njit(inline="always")
def measure_place(values, at, first, best, where, least, positive, total, square):  # type: ignore[no-untyped-def]
    for c in range(values.shape[0]):
        value = values[c]
        where[c] = at if value > best[c] else where[c]
        best[c] = max(value, best[c])
        # Distances from the map's first value: a constant map has none, and large means cancel nothing.
        distance = value - first[c]
        total[c] += distance
        square[c] += distance * distance
    for c in range(values.shape[0]):
        least[c] = min(values[c], least[c])
        positive[c] += np.int32(values[c] > 0)


@njit(parallel=True, cache=True, error_model="numpy")
def measure(maps, maximum, place, minimum, mean, squares, above, at_once):  # type: ignore[no-untyped-def]
    images, places, channels = maps.shape
    for image in prange(images):
        first = maps[image, 0].copy()
        best, least = first.copy(), first.copy()
        where, positive = np.zeros(channels, np.int32), np.zeros(channels, np.int32)
        total, square = np.zeros(channels, np.float32), np.zeros(channels, np.float32)
        totals, all_squares = np.zeros(channels), np.zeros(channels)
        for start in range(0, places, at_once):
            total[:] = 0
            square[:] = 0
            for at in range(start, min(start + at_once, places)):
                measure_place(maps[image, at], np.int32(at), first, best, where, least, positive, total, square)
            for c in range(channels):
                totals[c] += total[c]
                all_squares[c] += square[c]
        for c in range(channels):
            mean[image, c] = first[c] + totals[c] / places
            squares[image, c] = max(all_squares[c] - totals[c] * totals[c] / places, 0.0)
        maximum[image], place[image], minimum[image], above[image] = best, where, least, positive
