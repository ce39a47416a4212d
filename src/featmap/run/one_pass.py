"""How is everything about a map found in one read? By compiled code that takes in many values of many maps at once.

Channels lie side by side, so each is a lane of the processor's registers. Of few channels several places lie side by
side, whose lanes are joined at the end; of many, a group is taken at a time. Sums run in float32 over a few rows and
then join those in float64.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

LANES, FEW_LANES, ROWS_AT_ONCE = 256, 64, 32
"""So many values lie side by side, at most and of few channels; so many are summed in float32."""


@lru_cache(maxsize=1)
def one_pass() -> Any:
    """The compiled pass over maps (image, place, channel), compiled at first use and kept on disk.

    It writes `extremes` (maximum, minimum), `counts` (first place of the maximum, above 0, at a bound) and `moments`
    (mean, squared distances from it), each of them for every (image, channel).
    """
    from numba import njit, prange

    lanes, few, rows_at_once = LANES, FEW_LANES, ROWS_AT_ONCE
    # What is summed over some rows lies in one array: so the compiler sees that its parts do not overlap. Numbers
    # without a sign: it need not ask whether to count from the end. Only then does it take many values at once.
    best, where, least, above, total, square, bound, shift = (np.uint64(part * lanes) for part in range(8))
    unsigned = np.uint64
    zero, one, two, three = (np.float32(number) for number in range(4))

    @njit(inline="always")
    def one_row(values, start, width, number, part):  # type: ignore[no-untyped-def]
        for c in range(unsigned(width)):
            a = values[start + c]
            most = part[best + c]
            part[where + c] = number if a > most else part[where + c]
            part[best + c] = a if a > most else most
            part[least + c] = a if a < part[least + c] else part[least + c]
            part[above + c] += one if a > zero else zero
            # Distances from the map's first value: a constant map has none, and large means cancel nothing.
            distance = a - part[shift + c]
            part[total + c] += distance
            part[square + c] += distance * distance

    @njit(inline="always")
    def four_rows(values, start, step, width, number, part):  # type: ignore[no-untyped-def]
        # The same as four times one row; what is kept is read and written once instead of four times.
        for c in range(unsigned(width)):
            a, b = values[start + c], values[start + step + c]
            d, e = values[start + step + step + c], values[start + step + step + step + c]
            most, at, fewest = part[best + c], part[where + c], part[least + c]
            at, most = (number, a) if a > most else (at, most)
            at, most = (number + one, b) if b > most else (at, most)
            at, most = (number + two, d) if d > most else (at, most)
            at, most = (number + three, e) if e > most else (at, most)
            fewest = a if a < fewest else fewest
            fewest = b if b < fewest else fewest
            fewest = d if d < fewest else fewest
            fewest = e if e < fewest else fewest
            part[best + c], part[where + c], part[least + c] = most, at, fewest
            more = (one if a > zero else zero) + (one if b > zero else zero)
            part[above + c] += more + ((one if d > zero else zero) + (one if e > zero else zero))
            middle = part[shift + c]
            a, b, d, e = a - middle, b - middle, d - middle, e - middle
            part[total + c] += (a + b) + (d + e)
            part[square + c] += (a * a + b * b) + (d * d + e * e)

    @njit(inline="always")
    def count_bounds(values, start, width, low, high, part):  # type: ignore[no-untyped-def]
        for c in range(unsigned(width)):
            a = values[start + c]
            part[bound + c] += one if (a <= low) | (a >= high) else zero

    @njit(inline="always")
    def some_rows(values, first, step, width, begin, stop, part):  # type: ignore[no-untyped-def]
        part[:shift] = 0
        part[best:where] = -np.inf
        part[least:above] = np.inf
        row, whole = begin, (values.size - first - width) // step + 1
        while row + 4 <= min(stop, whole):
            four_rows(values, unsigned(first + row * step), unsigned(step), width, np.float32(row - begin), part)
            row += 4
        while row < stop:
            # The last row may be shorter.
            here = min(width, values.size - first - row * step)
            one_row(values, unsigned(first + row * step), here, np.float32(row - begin), part)
            row += 1

    @njit(inline="always")
    def join_rows(part, begin, extreme, count, moment):  # type: ignore[no-untyped-def]
        for c in range(extreme.shape[1]):
            if part[best + c] > extreme[0, c]:
                extreme[0, c], count[0, c] = part[best + c], begin + np.int32(part[where + c])
            extreme[1, c] = min(extreme[1, c], part[least + c])
            count[1, c] += np.int32(part[above + c])
            count[2, c] += np.int32(part[bound + c])
            moment[0, c] += part[total + c]
            moment[1, c] += part[square + c]

    @njit(inline="always")
    def join_lanes(channels, beside, extreme, count, moment):  # type: ignore[no-untyped-def]
        for c in range(channels):
            count[0, c] *= beside
            for lane in range(1, beside):
                other = lane * channels + c
                place = count[0, other] * beside + lane
                ties = extreme[0, other] == extreme[0, c] and place < count[0, c]
                if extreme[0, other] > extreme[0, c] or ties:
                    extreme[0, c], count[0, c] = extreme[0, other], place
                extreme[1, c] = min(extreme[1, c], extreme[1, other])
                count[1:, c] += count[1:, other]
                moment[:, c] += moment[:, other]

    @njit(parallel=True, cache=True, error_model="numpy")
    def measure(maps, extremes, counts, moments, low, high):  # type: ignore[no-untyped-def]
        images, places, channels = maps.shape
        groups = (channels + lanes - 1) // lanes
        beside = max(few // channels, 1)
        step = beside * channels
        rows = (places + beside - 1) // beside
        for task in prange(images * groups):
            image, group = task // groups, task % groups
            values = maps[image].reshape(-1)
            first, end = group * channels // groups, (group + 1) * channels // groups
            width = (end - first) * beside
            part = np.empty(8 * lanes, np.float32)
            extreme = np.empty((2, width), np.float32)
            extreme[0], extreme[1] = -np.inf, np.inf
            count, moment = np.zeros((3, width), np.int32), np.zeros((2, width))
            for c in range(width):
                part[shift + c] = values[first + c % channels]
            for begin in range(0, rows, rows_at_once):
                stop = min(begin + rows_at_once, rows)
                some_rows(values, first, step, width, begin, stop, part)
                if np.isfinite(low) or np.isfinite(high):
                    for row in range(begin, stop):
                        start = first + row * step
                        count_bounds(values, unsigned(start), min(width, values.size - start), low, high, part)
                join_rows(part, begin, extreme, count, moment)
            join_lanes(end - first, beside, extreme, count, moment)
            for c in range(end - first):
                extremes[:, image, first + c] = extreme[:, c]
                counts[:, image, first + c] = count[:, c]
                moments[0, image, first + c] = part[shift + c] + moment[0, c] / places
                squares = moment[1, c] - moment[0, c] * moment[0, c] / places
                moments[1, image, first + c] = max(squares, 0.0)

    return measure
