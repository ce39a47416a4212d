"""The rules by which the places that a value spells of an axis of the image read those that an operand spells.

Each of the operand's digits is one of the value's, or is on an axis that is read by a rule of its own (a window on
windows), or is read as a whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from math import prod

from featmap.geometry import AxisRule, Pointwise
from featmap.geometry.axis.digits import Digits, Within
from featmap.graph.receptive.axis_reading import AxisReading
from featmap.graph.receptive.spelling import (
    AxisSpelling,
    Digit,
    PlacedDigit,
    Spelling,
    common,
    labels_of,
    placed_digits,
    renumbered,
)

Steps = tuple[tuple[AxisRule, int], ...]
"""A chain of rules from a value back to an operand, each with the size of its input."""

_Name = tuple[str, int, int, int]
"""A digit's name: "value" or "operand", the axis there, the number of values below it on that axis, its size."""


@dataclass(frozen=True, slots=True)
class Read:
    """An operand as a call reads it: its shape, its spelling, and how each of its axes is read."""

    shape: tuple[int, ...]
    spelling: Spelling
    axes: tuple[AxisReading, ...]

    def is_kept(self, axis: int, shape: Sequence[int]) -> bool:
        """Whether a value of `shape` has the operand's axis unchanged."""
        to = self.axes[axis]
        return to.axis is not None and not to.rule.moves and shape[to.axis] == self.shape[axis]

    def is_moved(self, axis: int) -> bool:
        """Whether the axis is read by a rule of its own, and spells one axis of the image alone."""
        to = self.axes[axis]
        return to.rule.moves and not to.reads_whole and len(labels_of(self.spelling[axis])) == 1


@dataclass(frozen=True, slots=True)
class Linked:
    """The rules from a value's places along one axis of the image to an operand's.

    `is_certain` is False where they may name more than is read; `reads_all` says that each position may read all.
    """

    steps: Steps
    is_certain: bool
    reads_all: bool


def value_spelling(shape: tuple[int, ...], reads: Sequence[Read]) -> Spelling:
    """The spelling of a value that reads these operands: on each axis that of the operand that distinguishes most."""
    best: list[AxisSpelling] = [(Digit(size),) if size > 1 else () for size in shape]
    for read in reads:
        for axis, to in enumerate(read.axes):
            if to.axis is not None and _told(offered := _offered(read, axis, shape)) > _told(best[to.axis]):
                best[to.axis] = offered
    return renumbered(tuple(best))


def _offered(read: Read, axis: int, shape: Sequence[int]) -> AxisSpelling:
    to, digits = read.axes[axis], read.spelling[axis]
    if read.is_kept(axis, shape):
        return digits
    if to.axis is None or shape[to.axis] == 1 or not read.is_moved(axis):
        return ()
    label, step = next((digit.label, digit.step) for digit in digits if digit.label is not None)
    return (Digit(shape[to.axis], label, step),)


def _told(digits: AxisSpelling) -> int:
    """The number of places of the image that an axis distinguishes."""
    return prod(digit.size for digit in digits if digit.label is not None) if labels_of(digits) else 0


def steps_to(read: Read, label: int, value: Spelling, shape: tuple[int, ...]) -> Linked:
    """The rules from the places that a value spells of one axis of the image to the operand's."""
    mine, theirs = common_digits(read, value, shape)
    names = [[("value", one.axis, one.inner, one.digit.size)] for one in placed_digits(theirs, label)]
    steps: list[tuple[AxisRule, int]] = []
    for axis, to in enumerate(read.axes):
        if read.is_moved(axis) and (at := _place_of(to.axis, names, shape)) is not None:
            rule = Within(to.rule, read.shape[axis], _count(names[:at]), _count(names[at + 1 :]))
            steps.append((rule.plain, rule.inputs))
            names[at] = _names_along(mine, axis)
    return _linked(read, placed_digits(mine, label), list(chain(*names)), steps, shape)


def common_digits(read: Read, value: Spelling, shape: tuple[int, ...]) -> tuple[Spelling, Spelling]:
    """The operand's digits and the value's, split alike along the axes that are kept, where that is possible."""
    mine, theirs = list(read.spelling), list(value)
    for axis, to in enumerate(read.axes):
        if to.axis is not None and read.is_kept(axis, shape):
            mine[axis], theirs[to.axis] = common(mine[axis], theirs[to.axis])
    return tuple(mine), tuple(theirs)


def _place_of(axis: int | None, names: list[list[_Name]], shape: tuple[int, ...]) -> int | None:
    """The index of the one digit that is a whole axis of the value; None where that axis spells something else."""
    if axis is None or shape[axis] == 1:
        # A single position of the operand's axis is left, which needs no digit: it is appended as an empty one.
        names.append([])
        return len(names) - 1
    name = ("value", axis, 1, shape[axis])
    return names.index([name]) if [name] in names else None


def _count(names: list[list[_Name]]) -> int:
    return prod(size for part in names for *_, size in part)


def _names_along(spelling: Spelling, axis: int) -> list[_Name]:
    """All digits of an operand's axis, including those of no axis of the image."""
    return [("operand", axis, one.inner, one.digit.size) for one in placed_digits(spelling) if one.axis == axis]


def _linked(
    read: Read, digits: list[PlacedDigit], names: list[_Name], steps: list[tuple[AxisRule, int]], shape: tuple[int, ...]
) -> Linked:
    """The steps together with the last one, from the named digits to those of the operand."""
    inputs: list[tuple[int, int | None]] = []
    is_certain = True
    for one in digits:
        to, size = read.axes[one.axis], one.digit.size
        kept = ("value", -1 if to.axis is None else to.axis, one.inner, size) if read.is_kept(one.axis, shape) else None
        known = [name for name in (kept, ("operand", one.axis, one.inner, size)) if name in names]
        inputs.append((size, names.index(known[0]) if known else None))
        is_certain = is_certain and (bool(known) or to.is_certain)
    last = Digits(tuple(size for *_, size in names), tuple(inputs))
    if last.moves or not steps:
        steps = [*steps, (last if last.moves else Pointwise(), prod(size for size, _ in inputs))]
    return Linked(tuple(steps), is_certain, bool(inputs) and all(at is None for _, at in inputs))
