"""Numba kernels: values entered into the largest of each channel, and two sets of largest values merged.

Channels are contiguous, so many are compared with their floors at once; values above their floor are rare. A full
channel is thinned out by radix selection on the bits of the floats, read as integers of the same order. The functions
are in a module of their own, because numba caches compiled code on disk only for functions that close over no others.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, prange
from numba.core import types

from featmap.statistics.addresses import floats_at, intrinsic
from featmap.statistics.array_types import Bytes, Counts, Floats, Keys, Lengths

LANES = 64
"""The least number of values that are compared at a time."""
DIGIT_BITS, BINS = 11, 2**11
SIGN, ONE, FIRST_BIT = np.uint32(31), np.uint32(1), np.uint32(2**31)


@intrinsic
def lowest_bit(_context: Any, _mask: Any) -> Any:
    """The position of the lowest set bit of an integer that is not 0."""

    def generated(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], context.get_constant(types.boolean, True))

    return types.uint64(types.uint64), generated


@njit(inline="always")
def in_order(bits: np.uint32) -> np.uint32:
    """A float's bits as an integer that is larger for a larger float."""
    # Numba computes in 64 bits, of which 32 are kept.
    return np.uint32(~bits) if bits >> SIGN else np.uint32(bits | FIRST_BIT)


@njit(inline="always")
def rank_key(keys: Keys, count: int, bins: Counts) -> tuple[np.uint32, int]:
    """The key at a rank from the top, counted from 1, and the number of keys above it."""
    found, above = np.uint32(0), 0
    for done in range(0, 32, DIGIT_BITS):
        bits = np.uint32(min(DIGIT_BITS, 32 - done))
        shift, low = np.uint32(32 - done) - bits, (ONE << bits) - ONE
        bins[:] = 0
        for i in range(keys.size):
            key = in_order(keys[i])
            alike = done == 0 or key >> (shift + bits) == found
            bins[(key >> shift) & low] += 1 if alike else 0
        at = low
        while above + bins[at] < count:
            above += bins[at]
            at -= ONE
        found = (found << bits) | at
    return found, above


@njit(inline="always")
def thin_out(line: Floats, keys: Keys, count: int, bins: Counts) -> np.float32:
    """Moves the `count` largest values to the front; returns the least of them."""
    key, above = rank_key(keys, count, bins)
    equal = count - above
    left, least = 0, line[0]
    for i in range(line.size):
        value, mine = line[i], in_order(keys[i])
        line[left] = value
        if mine == key:
            least = value
            left += 1 if equal > 0 else 0
            equal -= 1
        else:
            left += 1 if mine > key else 0
    return least


@njit(inline="always")
def put(value: np.float32, c: int, kept: Floats, lines: Lengths, floor: Floats, count: int, bins: Counts) -> bool:
    """Adds one value of a channel; returns whether its floor has changed."""
    kept[c, lines[c]] = value
    lines[c] += 1
    if lines[c] < kept.shape[1]:
        return False
    line = kept[c]
    floor[c] = thin_out(line, line.view(np.uint32), count, bins)
    lines[c] = count
    return True


@njit(inline="always")
def read_row(
    values: Floats,
    row: int,
    width: int,
    channels: int,
    first: int,
    least: Floats,
    hits: Bytes,
    kept: Floats,
    lines: Lengths,
    floor: Floats,
    count: int,
    bins: Counts,
) -> None:
    """Adds those of a row of contiguous values that exceed the `least` of their lane."""
    start, here = np.uint64(row), np.uint64(min(width, values.size - row))
    words = hits.view(np.uint64)
    for lane in range(here):
        hits[lane] = values[start + lane] > least[lane]
    hits[here:] = 0
    for word in range(words.size):
        left = words[word]
        while left != 0:
            lane = word * 8 + (int(lowest_bit(left)) >> 3)
            left &= left - np.uint64(1)
            c = first + lane % channels
            if put(values[start + np.uint64(lane)], c, kept, lines, floor, count, bins):
                for other in range(lane % channels, width, channels):
                    least[other] = floor[c]


@njit(nogil=True, error_model="numpy")
def push_some(
    first: int,
    end: int,
    address: int,
    places: int,
    maximum: Floats,
    map_: int,
    kept: Floats,
    lines: Lengths,
    floor: Floats,
    count: int,
) -> None:
    """The same as `push`, for the channels from `first` to `end`."""
    channels = len(floor)
    # With few channels, a row spans several positions.
    beside = max(LANES // channels, 1)
    width, step = (end - first) * beside, channels * beside
    least, bins = np.empty(width, np.float32), np.empty(BINS, np.int32)
    hits = np.zeros((width + 7) // 8 * 8, np.uint8)
    for image in range(len(maximum)):
        is_any = False
        for lane in range(width):
            c = first + lane % channels
            enters = maximum[image, map_ + c] > floor[c]
            least[lane] = floor[c] if enters else np.float32(np.inf)
            is_any |= enters
        if is_any:
            values = floats_at(address + 4 * image * places * channels, places * channels)
            for row in range(first, values.size, step):
                read_row(values, row, width, channels, first, least, hits, kept, lines, floor, count, bins)


@njit(nogil=True, cache=True, error_model="numpy")
def push_in_turn(
    address: int,
    places: int,
    maximum: Floats,
    map_: int,
    kept: Floats,
    lines: Lengths,
    floor: Floats,
    count: int,
) -> None:
    """The same as `push`, in the thread that calls it."""
    push_some(0, len(floor), address, places, maximum, map_, kept, lines, floor, count)


@njit(parallel=True, nogil=True, cache=True, error_model="numpy")
def push(
    address: int,
    places: int,
    maximum: Floats,
    map_: int,
    kept: Floats,
    lines: Lengths,
    floor: Floats,
    count: int,
    threads: int,
) -> None:
    """Puts values that exceed the floor of their channel into `kept` (channel, number).

    Maps (image, position, channel), float32, are at an address; their maxima are in `maximum` (image, map), from the
    map `map_` on. A full channel is thinned out to `count` values, the least of which is the new floor; `lines` counts
    what each channel holds.
    """
    channels = len(floor)
    tasks = min(threads, max(channels // LANES, 1))
    for task in prange(tasks):
        first, end = task * channels // tasks, (task + 1) * channels // tasks
        push_some(first, end, address, places, maximum, map_, kept, lines, floor, count)


@njit(nogil=True, cache=True, error_model="numpy")
def join(one: Floats, other: Floats, joined: Floats) -> None:
    """Writes the largest values of two arrays (channel, rank), largest first, padded with NaN."""
    for c in range(len(joined)):
        at, behind = 0, 0
        for rank in range(joined.shape[1]):
            mine = one[c, at] if at < one.shape[1] else np.float32(np.nan)
            theirs = other[c, behind] if behind < other.shape[1] else np.float32(np.nan)
            if mine >= theirs or np.isnan(theirs):
                joined[c, rank] = mine
                at += 1
            else:
                joined[c, rank] = theirs
                behind += 1
