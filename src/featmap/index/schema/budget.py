"""Budgets of an index: sizes of blocks, of tails for quantiles, and of correlations.

What does not fit is left out whole, and the answers say that it is not known; nothing is estimated.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

QUANTILES = (0.99, 0.995, 0.999)
QUANTILE_BYTES = 2**25
_CORRELATION_SHARE, _CORRELATION_MACS, _CORRELATION_BYTES = 0.01, 4_000_000, 3 * 2**26
_CELL_BYTES, _BLOCK_BYTES, _BLOCK = 16, 2**28, 1024

MapShape = tuple[int, ...]
"""Channels, rows and columns of a layer's maps; of signals and volumes channels and the size along each axis."""


def correlated_places(shapes: Sequence[MapShape], macs: int, wanted: str) -> list[int]:
    """Over how many positions per image the maps of each layer are correlated; 0 is not at all.

    "auto" spends a hundredth of the network's own multiply-adds, at least 4 million per image, and 192 MiB.
    """
    if wanted != "auto":
        return [math.prod(size) if wanted == "all" else 0 for _, *size in shapes]
    # The cheapest layers first: the rest of their share goes to the others.
    cheapest = sorted(range(len(shapes)), key=lambda number: _products(shapes[number]))
    fitting = _fitting(cheapest, shapes)
    left = max(_CORRELATION_SHARE * macs, _CORRELATION_MACS)
    found = [0] * len(shapes)
    for turn, number in enumerate(fitting):
        channels, *size = shapes[number]
        share = left / (len(fitting) - turn)
        found[number] = min(math.prod(size), max(1, int(share / channels**2)))
        left -= found[number] * channels**2
    return found


def _products(shape: MapShape) -> int:
    channels, *size = shape
    return channels**2 * math.prod(size)


def _fitting(cheapest: Sequence[int], shapes: Sequence[MapShape]) -> list[int]:
    """The layers whose products fit into memory together, those of few maps before those of many."""
    left, kept = _CORRELATION_BYTES, set[int]()
    for number in sorted(cheapest, key=lambda number: shapes[number][0]):
        size = 8 * shapes[number][0] ** 2
        if size <= left:
            left -= size
            kept.add(number)
    return [number for number in cheapest if number in kept]


def tail_lengths(shapes: Sequence[MapShape], budget_bytes: int, planned: int) -> list[int]:
    """How many of the largest values of each map are kept: what the quantiles of twice the planned images need.

    Small maps first. A layer that does not fit keeps what the planned images alone need, or what their higher
    quantiles need, or nothing. Where the number of images is unknown, all share the budget.
    """
    if not planned:
        maps = sum(channels for channels, *_ in shapes)
        return [budget_bytes // (4 * max(maps, 1))] * len(shapes)
    found = [0] * len(shapes)
    for number in sorted(range(len(shapes)), key=lambda number: math.prod(shapes[number])):
        channels, *size = shapes[number]
        count = planned * math.prod(size)
        wanted = [tail_rank(2 * count, QUANTILES[0]), *(tail_rank(count, quantile) for quantile in QUANTILES)]
        found[number] = next((length for length in wanted if 4 * channels * length <= budget_bytes), 0)
        budget_bytes -= 4 * channels * found[number]
    return found


def tail_rank(count: int, quantile: float) -> int:
    """The rank from the top, counted from 1, of a quantile of `count` values: the smallest value with at least that
    share of all values at or below it.

    >>> tail_rank(100, 0.99), tail_rank(1000, 0.999), tail_rank(7, 0.5)
    (2, 2, 4)
    """
    # In whole thousandths: 0.99 * 100 is not a whole number as a float.
    return count - max(-(-count * round(quantile * 1000) // 1000), 1) + 1


def block_length(shapes: Sequence[MapShape], full_bytes: int, batch: int) -> int:
    """How many images are read before each commit: what 256 MiB hold of their numbers, at most 1024."""
    maps = sum(channels for channels, *_ in shapes)
    fits = _BLOCK_BYTES // (_CELL_BYTES * maps + full_bytes)
    return max(batch, min(_BLOCK, fits // batch * batch))
