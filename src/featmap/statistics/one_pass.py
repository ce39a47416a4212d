"""Numba kernels: all statistics of a map in one pass.

Channels are contiguous, so each is a lane of the processor's registers. With few channels, a row spans several
positions, whose lanes are joined at the end; with many, a group of channels is measured at a time. Sums run in float32
over a few rows and are then added to those in float64. The functions are in a module of their own, because numba caches
compiled code on disk only for functions that close over no others.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from featmap.statistics.addresses import floats_at
from featmap.statistics.array_types import Counts, Doubles, Floats

LANES, FEW_LANES, ROWS_AT_ONCE = 256, 64, 32
"""The lanes of a row: at most, and at least with few channels; and the number of rows that are summed in float32."""
FAR = 100_000
"""The number of values from which the maps of an image no longer fit into a near cache."""
SQUARED = np.float32(1e15)
"""Deviations above this, or below its inverse, have squares whose sums may not fit into float32."""
# The sums over some rows are in one array, so that the compiler sees that its parts do not overlap. Indices are
# unsigned, so that it need not handle negative ones. Only then does it vectorize the loops.
BEST, WHERE, LEAST, ABOVE, TOTAL, SQUARE, BOUND, SHIFT = (np.uint64(part * LANES) for part in range(8))
ZERO, ONE, TWO, THREE = (np.float32(number) for number in range(4))


@njit(inline="always")
def one_row(values: Floats, start: np.uint64, width: int, number: np.float32, part: Floats) -> None:
    for c in range(np.uint64(width)):
        a = values[start + c]
        most = part[BEST + c]
        part[WHERE + c] = number if a > most else part[WHERE + c]
        part[BEST + c] = a if a > most else most
        part[LEAST + c] = a if a < part[LEAST + c] else part[LEAST + c]
        part[ABOVE + c] += ONE if a > ZERO else ZERO
        # Deviations from a value near the mean: 0 for a constant map, and no cancellation with large means.
        distance = a - part[SHIFT + c]
        part[TOTAL + c] += distance
        part[SQUARE + c] += distance * distance


@njit(inline="always")
def four_rows(values: Floats, start: np.uint64, step: np.uint64, width: int, number: np.float32, part: Floats) -> None:
    # The same as four times `one_row`; the sums are read and written once instead of four times.
    for c in range(np.uint64(width)):
        a, b = values[start + c], values[start + step + c]
        d, e = values[start + step + step + c], values[start + step + step + step + c]
        most, at, fewest = part[BEST + c], part[WHERE + c], part[LEAST + c]
        at, most = (number, a) if a > most else (at, most)
        at, most = (number + ONE, b) if b > most else (at, most)
        at, most = (number + TWO, d) if d > most else (at, most)
        at, most = (number + THREE, e) if e > most else (at, most)
        fewest = a if a < fewest else fewest
        fewest = b if b < fewest else fewest
        fewest = d if d < fewest else fewest
        fewest = e if e < fewest else fewest
        part[BEST + c], part[WHERE + c], part[LEAST + c] = most, at, fewest
        more = (ONE if a > ZERO else ZERO) + (ONE if b > ZERO else ZERO)
        part[ABOVE + c] += more + ((ONE if d > ZERO else ZERO) + (ONE if e > ZERO else ZERO))
        middle = part[SHIFT + c]
        a, b, d, e = a - middle, b - middle, d - middle, e - middle
        part[TOTAL + c] += (a + b) + (d + e)
        part[SQUARE + c] += (a * a + b * b) + (d * d + e * e)


@njit(inline="always")
def count_bounds(values: Floats, start: np.uint64, width: int, low: np.float32, high: np.float32, part: Floats) -> None:
    for c in range(np.uint64(width)):
        a = values[start + c]
        part[BOUND + c] += ONE if (a <= low) | (a >= high) else ZERO


@njit(inline="always")
def some_rows(
    values: Floats, first: int, step: int, width: int, begin: int, stop: int, part: Floats, near: Floats, is_far: bool
) -> None:
    part[:SHIFT] = 0
    part[BEST:WHERE] = -np.inf
    part[LEAST:ABOVE] = np.inf
    row, whole = begin, (values.size - first - width) // step + 1
    while row + 4 <= min(stop, whole):
        start, number = np.uint64(first + row * step), np.float32(row - begin)
        if is_far:
            near[: 4 * step] = values[start : start + np.uint64(4 * step)]
            four_rows(near, np.uint64(0), np.uint64(step), width, number, part)
        else:
            four_rows(values, start, np.uint64(step), width, number, part)
        row += 4
    while row < stop:
        # The last row may be shorter.
        here = min(width, values.size - first - row * step)
        one_row(values, np.uint64(first + row * step), here, np.float32(row - begin), part)
        row += 1


@njit(inline="always")
def join_rows(
    part: Floats,
    begin: int,
    rows: int,
    whole: int,
    origin: Floats,
    extreme: Floats,
    count: Counts,
    moment: Doubles,
) -> None:
    # Lanes from `whole` on have no last row.
    for c in range(extreme.shape[1]):
        if part[BEST + c] > extreme[0, c]:
            extreme[0, c], count[0, c] = part[BEST + c], begin + np.int32(part[WHERE + c])
        extreme[1, c] = min(extreme[1, c], part[LEAST + c])
        count[1, c] += np.int32(part[ABOVE + c])
        count[2, c] += np.int32(part[BOUND + c])
        # In float64 both are deviations from the map's first value; those of the next rows are from the mean so far.
        total, here = np.float64(part[TOTAL + c]), rows - (1 if c >= whole else 0)
        moved = np.float64(part[SHIFT + c]) - np.float64(origin[c])
        moment[1, c] += part[SQUARE + c] + moved * (2.0 * total + here * moved)
        moment[0, c] += total + here * moved
        part[SHIFT + c] = np.float32(origin[c] + moment[0, c] / (begin + here))


@njit(inline="always")
def join_lanes(channels: int, beside: int, extreme: Floats, count: Counts, moment: Doubles) -> None:
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


@njit(inline="always")
def is_beyond(spread: np.float32) -> np.bool_:
    """Whether squares of such deviations leave the range of float32, at either end."""
    return spread > SQUARED or np.float32(0) < spread < 1 / SQUARED


@njit(nogil=True, error_model="numpy")
def exact_moments(values: Floats, first: int, step: int, places: int, moment: Doubles) -> None:
    total = 0.0
    for place in range(places):
        total += np.float64(values[first + place * step])
    moment[0], moment[1] = total / places, 0.0
    for place in range(places):
        distance = np.float64(values[first + place * step]) - moment[0]
        moment[1] += distance * distance


@njit(nogil=True, error_model="numpy")
def one_group(
    task: int,
    address: int,
    places: int,
    channels: int,
    first: int,
    extremes: Floats,
    counts: Counts,
    moments: Doubles,
    low: np.float32,
    high: np.float32,
) -> None:
    """Measures the channels of an image that the number `task` stands for."""
    groups = (channels + LANES - 1) // LANES
    beside = max(FEW_LANES // channels, 1)
    step = beside * channels
    rows = (places + beside - 1) // beside
    # Main memory is read twice as fast in one stream as in four.
    is_far = groups == 1 and places * channels >= FAR
    image, group = task // groups, task % groups
    values = floats_at(address + 4 * image * places * channels, places * channels)
    begin_channel, end_channel = group * channels // groups, (group + 1) * channels // groups
    width = (end_channel - begin_channel) * beside
    part, near = np.empty(8 * LANES, np.float32), np.empty(4 * LANES, np.float32)
    extreme = np.empty((2, width), np.float32)
    extreme[0], extreme[1] = -np.inf, np.inf
    count, moment = np.zeros((3, width), np.int32), np.zeros((2, width))
    # Before any mean is known, each lane uses its own first value: an outlier costs digits of one lane only.
    origin = np.empty(width, np.float32)
    for c in range(width):
        origin[c] = values[begin_channel + c % channels]
        part[SHIFT + c] = values[min(begin_channel + c, values.size - 1)]
    for begin in range(0, rows, ROWS_AT_ONCE):
        stop = min(begin + ROWS_AT_ONCE, rows)
        some_rows(values, begin_channel, step, width, begin, stop, part, near, is_far)
        if np.isfinite(low) or np.isfinite(high):
            for row in range(begin, stop):
                start = begin_channel + row * step
                count_bounds(values, np.uint64(start), min(width, values.size - start), low, high, part)
        last = min(width, values.size - begin_channel - (stop - 1) * step)
        join_rows(part, begin, stop - begin, last, origin, extreme, count, moment)
    join_lanes(end_channel - begin_channel, beside, extreme, count, moment)
    for c in range(end_channel - begin_channel):
        at = first + begin_channel + c
        extremes[:, image, at] = extreme[:, c]
        counts[:, image, at] = count[:, c]
        moments[0, image, at] = origin[c] + moment[0, c] / places
        moments[1, image, at] = max(moment[1, c] - moment[0, c] * moment[0, c] / places, 0.0)
        if is_beyond(extreme[0, c] - extreme[1, c]):
            exact_moments(values, begin_channel + c, channels, places, moments[:, image, at])


@njit(nogil=True, cache=True, error_model="numpy")
def measure_in_turn(
    address: int,
    images: int,
    places: int,
    channels: int,
    first: int,
    extremes: Floats,
    counts: Counts,
    moments: Doubles,
    low: float,
    high: float,
) -> None:
    """The same as `measure`, in the thread that calls it."""
    for task in range(images * ((channels + LANES - 1) // LANES)):
        one_group(task, address, places, channels, first, extremes, counts, moments, np.float32(low), np.float32(high))


@njit(parallel=True, nogil=True, cache=True, error_model="numpy")
def measure(
    address: int,
    images: int,
    places: int,
    channels: int,
    first: int,
    extremes: Floats,
    counts: Counts,
    moments: Doubles,
    low: float,
    high: float,
) -> None:
    """Writes the statistics of maps (image, position, channel), float32 at an address, for every image and from the map
    `first` on: `extremes` (maximum, minimum), `counts` (first position of the maximum, above 0, at a bound) and
    `moments` (mean, squared deviations from it)."""
    for task in prange(images * ((channels + LANES - 1) // LANES)):
        one_group(task, address, places, channels, first, extremes, counts, moments, np.float32(low), np.float32(high))
