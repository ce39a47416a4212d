"""Spellings: how the axes of a value encode the axes of an image, its rows and columns, as digits.

In (image, channel, row, column) one axis is the rows. A view into (..., H/2, 2, W/2, 2) spells a row with two digits,
and a permute and reshape may move the lower one to the channels, as space-to-depth does; windows move to the batch. As
long as every axis is a product of such digits, it is known exactly which rows and columns a position reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain, pairwise
from math import prod

from featmap.graph.operators.base.call import Axes


@dataclass(frozen=True, slots=True)
class Digit:
    """One digit of an axis: `size` places of an axis of the image, `step` apart.

    `label` is the number of that axis (0 rows and 1 columns of a picture); None where it is of none.
    """

    size: int
    label: int | None = None
    step: int = 0


AxisSpelling = tuple[Digit, ...]
"""The digits of one axis, the most significant first; digits of size 1 are left out."""
Spelling = tuple[AxisSpelling, ...]


@dataclass(frozen=True, slots=True)
class PlacedDigit:
    """A digit with its position: the axis, and the number of values below it there."""

    digit: Digit
    axis: int
    inner: int


def plain(shape: Sequence[int], axes: Axes) -> Spelling:
    """The spelling where each axis of the image is an axis of its own."""
    labels = {axis: label for label, axis in enumerate(axes.spatial) if axis is not None}
    digits = [Digit(size, labels[axis], 1) if axis in labels else Digit(size) for axis, size in enumerate(shape)]
    return tuple(() if digit.size == 1 else (digit,) for digit in digits)


def placed_digits(spelling: Spelling, label: int | None = None) -> list[PlacedDigit]:
    """The digits of one axis of the image, the most significant first; without a label, all, axis by axis."""
    each = [
        PlacedDigit(digit, axis, prod(below.size for below in digits[at + 1 :]))
        for axis, digits in enumerate(spelling)
        for at, digit in enumerate(digits)
    ]
    if label is None:
        return each
    return sorted((one for one in each if one.digit.label == label), key=lambda one: -one.digit.step)


def size_of(spelling: Spelling, label: int) -> int:
    """The number of places that are spelled of one axis of the image."""
    return prod(digit.size for digit in chain(*spelling) if digit.label == label)


def labels_of(digits: AxisSpelling) -> set[int]:
    """The axes of the image that an axis spells."""
    return {digit.label for digit in digits if digit.label is not None}


def without(spelling: Spelling, label: int) -> Spelling:
    """The spelling without one axis of the image."""
    return tuple(tuple(Digit(d.size) if d.label == label else d for d in digits) for digits in spelling)


def renumbered(spelling: Spelling) -> Spelling:
    """The digits in their order with steps renumbered without gaps; neighbours that belong together are merged."""
    steps: dict[tuple[int, int], int] = {}
    for label in labels_of(tuple(chain(*spelling))):
        step = 1
        for one in reversed(placed_digits(spelling, label)):
            steps[one.axis, one.inner] = step
            step *= one.digit.size
    changed: list[list[Digit]] = [[] for _ in spelling]
    for one in placed_digits(spelling):
        changed[one.axis].append(replace(one.digit, step=steps.get((one.axis, one.inner), 0)))
    return tuple(map(merged, changed))


def merged(digits: Sequence[Digit]) -> AxisSpelling:
    """The digits with neighbours merged where together they count consecutively."""
    joined: list[Digit] = []
    for digit in digits:
        above = joined[-1] if joined else None
        if digit.size == 1:
            continue
        if above is not None and above.label == digit.label and above.step == digit.step * digit.size:
            joined[-1] = Digit(above.size * digit.size, digit.label, digit.step)
        else:
            joined.append(digit)
    return tuple(joined)


def parted(digits: Sequence[Digit], sizes: Sequence[int]) -> list[list[Digit]] | None:
    """The digits distributed to axes of these sizes, split at the ends of axes; None where a digit cannot be split.

    >>> parted([Digit(8, 0, 1), Digit(6, 1, 1)], (4, 12))
    [[Digit(size=4, label=0, step=2)], [Digit(size=2, label=0, step=1), Digit(size=6, label=1, step=1)]]
    """
    waiting, parts = list(digits[::-1]), list[list[Digit]]()
    for size in sizes:
        part: list[Digit] = []
        while size > 1 and waiting:
            digit = waiting.pop()
            if digit.size > size:
                if digit.size % size:
                    return None
                waiting.append(replace(digit, size=digit.size // size))
                digit = Digit(size, digit.label, digit.step * (digit.size // size))
            if size % digit.size:
                return None
            part.append(digit)
            size //= digit.size
        parts.append(part)
    return parts


def reshaped(spelling: Spelling, groups: Sequence[tuple[list[int], list[int]]], shape: Sequence[int]) -> Spelling:
    """The spelling of the same values in another shape; digits that cannot be split are lost.

    `groups` say which axes hold the same values as which of the new ones.
    """
    after: list[AxisSpelling] = [()] * len(shape)
    lost: set[int] = set()
    for ours, theirs in groups:
        digits = list(chain(*(spelling[axis] for axis in ours)))
        parts = parted(digits, [shape[axis] for axis in theirs])
        if parts is None:
            lost |= labels_of(tuple(digits))
            parts = [[Digit(shape[axis])] for axis in theirs]
        for axis, part in zip(theirs, parts, strict=True):
            after[axis] = tuple(part)
    made = tuple(after)
    for label in lost:
        made = without(made, label)
    return tuple(map(merged, made))


def common(one: AxisSpelling, other: AxisSpelling) -> tuple[AxisSpelling, AxisSpelling]:
    """Two spellings of one axis, both split where either has a boundary; unchanged where that is impossible."""
    ends = sorted(ends_of(one) | ends_of(other), reverse=True)
    if any(above % below for above, below in pairwise(ends)):
        return one, other
    sizes = [above // below for above, below in pairwise(ends)]
    parts = parted(one, sizes), parted(other, sizes)
    if any(part is None or any(len(digits) != 1 for digits in part) for part in parts):
        return one, other
    first, second = (tuple(digit for digits in part or () for digit in digits) for part in parts)
    return first, second


def ends_of(digits: AxisSpelling) -> set[int]:
    """The boundaries between the digits of an axis: the number of values below each."""
    ends, below = {1}, 1
    for digit in reversed(digits):
        below *= digit.size
        ends.add(below)
    return ends
