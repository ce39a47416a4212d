"""Receptive fields along one axis: what each unit sees of the image's axis.

Far from the borders the fields of a map are periodic: after `len(phases)` units the same pixels are seen, `advance`
pixels further on. A chain of convolutions has one phase; resizes and transposed convolutions have several. Composing a
field with one more operator is a union of a few shifted bit masks, holes of dilation included, so a field is known
exactly, whatever its size. Where a pattern never repeats, or too late, only linear bounds are kept.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise, product
from math import ceil, floor, gcd, lcm

from featmap.geometry.axis.period import LONGEST, Bounds, Period
from featmap.geometry.axis.rule import AxisRule
from featmap.geometry.axis.support import Support

FINEST = 10**6
"""The largest denominator of a stride, where a resize has an arbitrary scale."""

NOTHING = Bounds(Fraction(1), Fraction(0), Fraction(-1))
"""Bounds where no unit sees anything: each window falls between the inputs of a transposed convolution."""


@dataclass(frozen=True, slots=True)
class AxisField:
    """The fields of all units of one axis, unclipped: parts on the padding are included.

    `phases` is None where only `bounds` are known; `is_certain` is False where `phases` may hold a pixel too many.
    `is_aligned` is False where branches of different strides were joined. `units` and `pixels`, the sizes of the map
    and of the image, are known once the first operator has been passed.
    """

    bounds: Bounds
    phases: tuple[Support, ...] | None = None
    advance: int = 0
    is_certain: bool = True
    is_aligned: bool = True
    is_whole: bool = False
    units: int | None = None
    pixels: int | None = None

    @property
    def size(self) -> int:
        """The pixels from the first to the last that a unit sees: the largest over all units."""
        if self.phases is not None and not self.is_whole:
            return max(phase.size for phase in self.phases)
        return floor(self.bounds.high - self.bounds.low) + 1

    @property
    def stride(self) -> int | None:
        """Pixels from one unit's field to the next; None where fields are unevenly spaced or cover everything."""
        if not self.phases or self.is_whole or len({phase.size for phase in self.phases} | {0}) != 2:
            return None
        moves = self._moves(self.phases)
        return moves[0] if len(set(moves)) == 1 else None

    @property
    def offset(self) -> int | None:
        """The first pixel of unit 0's field, negative on padding; None where fields are unevenly spaced."""
        if self.is_whole:
            return ceil(self.bounds.low)
        return self.phases[0].start if self.phases and self.stride is not None else None

    def first_pixel(self, unit: int) -> int | None:
        """The first pixel of a unit's field, negative on padding; None where there is no stride."""
        return None if self.offset is None or self.stride is None else self.offset + unit * self.stride

    @property
    def steps(self) -> tuple[int, ...] | None:
        """Pixels from each field's start to the next, over one period; None where there is a stride or it is unknown.

        Fields of different sizes are unevenly spaced too: their steps are those of their first pixels.
        """
        if not self.phases or self.is_whole or self.stride is not None or not all(p.mask for p in self.phases):
            return None
        return tuple(shortest_cycle(self._moves(self.phases)))

    def _moves(self, phases: tuple[Support, ...]) -> list[int]:
        starts = [phase.start for phase in phases] + [phases[0].start + self.advance]
        return [after - before for before, after in pairwise(starts)]

    @property
    def is_exact(self) -> bool:
        """Whether every unit far from the borders sees exactly `size` neighbouring pixels."""
        if self.phases is None or not self.is_certain or self.is_whole:
            return False
        return all(phase.is_dense and phase.size == self.size for phase in self.phases)

    def at(self, unit: int) -> Support:
        """What a unit sees far from the borders."""
        assert self.phases is not None
        turns, phase = divmod(unit, len(self.phases))
        return self.phases[phase].shifted(turns * self.advance)

    def through(self, rule: AxisRule, size: int) -> AxisField:
        """The field of an operator's outputs, where its input is `size` such units."""
        pixels = size if self.pixels is None else self.pixels
        known = replace(self, units=rule.output_size(size), pixels=pixels)
        if not rule.moves or self.is_whole:
            return known
        if rule.reads_whole(size):
            return whole(known)
        return passed_exactly(known, rule.period(size)) or passed_in_bounds(known, rule, size)


IDENTITY = AxisField(Bounds(Fraction(1), Fraction(0), Fraction(0)), (Support(0, 1),), 1)
"""A pixel sees itself."""


def shortest_cycle(moves: list[int]) -> list[int]:
    """The shortest list that, repeated, gives the same endless sequence.

    >>> shortest_cycle([4, 0, 4, 0])
    [4, 0]
    """
    lengths = (length for length in range(1, len(moves) + 1) if len(moves) % length == 0)
    return next(moves[:n] for n in lengths if moves[:n] * (len(moves) // n) == moves)


def whole(field: AxisField) -> AxisField:
    """The field whose units all see the whole axis."""
    last = Fraction((field.pixels or 1) - 1)
    bounds = Bounds(Fraction(0), Fraction(0), last)
    return replace(field, bounds=bounds, phases=None, is_whole=True)


def passed_exactly(field: AxisField, period: Period | None) -> AxisField | None:
    """The field behind an operator, pixel by pixel; None where the pattern is unknown or too long."""
    if field.phases is None or period is None:
        return None
    turns = len(field.phases) // gcd(len(field.phases), period.inputs)
    if turns * period.outputs > LONGEST:
        return None
    phases = tuple(seen_through(field, period.at(unit)) for unit in range(turns * period.outputs))
    advance = field.advance * (turns * period.inputs) // len(field.phases)
    return patterned(replace(field, is_certain=field.is_certain and period.is_exact), phases, advance)


def seen_through(field: AxisField, units: range) -> Support:
    """The union of the fields of these units."""
    if field.phases is not None and len(field.phases) == 1:
        return field.at(units.start).repeated(len(units), units.step * field.advance)
    seen = Support()
    for unit in units:
        seen |= field.at(unit)
    return seen


def patterned(field: AxisField, phases: tuple[Support, ...], advance: int) -> AxisField:
    """The field with another pattern and the bounds that follow from it."""
    stride = Fraction(advance, len(phases))
    starts = [phase.start - unit * stride for unit, phase in enumerate(phases) if phase.mask]
    ends = [phase.stop - 1 - unit * stride for unit, phase in enumerate(phases) if phase.mask]
    bounds = Bounds(stride, min(starts, default=NOTHING.low), max(ends, default=NOTHING.high))
    return replace(field, phases=phases, advance=advance, bounds=bounds)


def passed_in_bounds(field: AxisField, rule: AxisRule, size: int) -> AxisField:
    """The bounds of the field behind an operator."""
    seen, read = field.bounds, bounds_of(rule, size)
    first, last = sorted((read.low * seen.stride, read.high * seen.stride))
    bounds = Bounds(read.stride * seen.stride, seen.low + first, seen.high + last)
    return replace(field, bounds=bounds, phases=None)


@lru_cache(maxsize=4096)
def bounds_of(rule: AxisRule, size: int) -> Bounds:
    """The bounds of what a rule reads of a map, from every output or from one period of them."""
    period = rule.period(size)
    if period is not None:
        stride, reads = Fraction(period.inputs, period.outputs), enumerate(period.sources)
    else:
        stride = rule.ratio(size).limit_denominator(FINEST)
        reads = ((output, rule.sources(output, size)) for output in range(rule.output_size(size)))
    ends = [(read[0] - output * stride, read[-1] - output * stride) for output, read in reads if read]
    low, high = (low for low, _ in ends), (high for _, high in ends)
    return Bounds(stride, min(low, default=NOTHING.low), max(high, default=NOTHING.high))


def joined(first: AxisField, second: AxisField) -> AxisField:
    """The field of units that read two branches: the union of both."""
    known = replace(first, units=first.units or second.units, pixels=first.pixels or second.pixels)
    if first.is_whole or second.is_whole:
        return whole(known)
    known = replace(known, is_certain=first.is_certain and second.is_certain)
    if first.bounds.stride != second.bounds.stride:
        return replace(known, bounds=hull(first, second), phases=None, is_aligned=False)
    known = replace(known, is_aligned=first.is_aligned and second.is_aligned)
    pairs = paired(first, second)
    if pairs is None:
        return replace(known, bounds=hull(first, second), phases=None)
    phases = tuple(one | other for one, other in pairs)
    return patterned(known, phases, int(first.bounds.stride * len(phases)))


def paired(first: AxisField, second: AxisField) -> list[tuple[Support, Support]] | None:
    """What each unit of a common period sees on either branch; None where that is unknown or too long."""
    if first.phases is None or second.phases is None or first.bounds.stride != second.bounds.stride:
        return None
    period = lcm(len(first.phases), len(second.phases))
    return [(first.at(unit), second.at(unit)) for unit in range(period)] if period <= LONGEST else None


def hull(first: AxisField, second: AxisField) -> Bounds:
    """Bounds of both branches, for all units of the map."""
    stride, last = first.bounds.stride, (first.units or second.units or 1) - 1
    drifts = list(product((first.bounds, second.bounds), (0, last)))
    low = min(bounds.low + unit * (bounds.stride - stride) for bounds, unit in drifts)
    high = max(bounds.high + unit * (bounds.stride - stride) for bounds, unit in drifts)
    return Bounds(stride, low, high)


def covers(first: AxisField, second: AxisField) -> bool:
    """Whether every unit certainly sees on the first branch all that it may see on the second."""
    pairs = paired(first, second)
    return pairs is not None and first.is_certain and all(one >= other for one, other in pairs)
