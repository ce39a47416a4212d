"""Axis rules of resizes: nearest, linear and cubic.

The arithmetic is PyTorch's `interpolate`. The ratio of input to output steps is 1 / scale where a scale is given and
used, otherwise inputs / outputs ((inputs - 1) / (outputs - 1) with align_corners). `Nearest` repeats PyTorch's float32
steps, so that it gives exactly the index that PyTorch reads. `Linear` and `Cubic` are computed exactly; a tap whose
weight is exactly 0 is not read. Where the ratio's denominator is not a power of two, PyTorch's rounding can read a
neighbour of such a position with a weight near 1e-7; these neighbours are counted as read, so none is ever missed.
Antialiased resizes are not described here: their callers treat them as reading the whole map.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import ceil, floor
from struct import Struct

from featmap.errors import SettingError
from featmap.geometry.axis.period import LONGEST, Period
from featmap.geometry.axis.rule import MonotoneRule, cut
from featmap.geometry.setting import at_least

FLOAT32 = Struct("f")
FLOAT32_BITS = 24
NOISE = Fraction(1, 2**20)
"""More than the rounding error of a float32 position, relative to the position plus 1."""
HALF = Fraction(1, 2)


@dataclass(frozen=True, slots=True)
class Resize(MonotoneRule):
    """Base of the resizes. Where both `outputs` and `scale` are given, `scale` alone decides the ratio."""

    outputs: int | None = None
    scale: float | None = None

    def __post_init__(self) -> None:
        if self.outputs is None and self.scale is None:
            raise SettingError("a resize has neither an output size nor a scale.", "Give `outputs` or `scale`.")
        if self.outputs is not None:
            at_least("the output size of a resize", self.outputs, 1)
        if self.scale is not None and not self.scale > 0:
            raise SettingError(f"the scale of a resize is {self.scale:g}.", "Use a scale above 0.")

    def output_size(self, size: int) -> int:
        if self.outputs is not None:
            return self.outputs
        scale = self.scale or 0.0
        if int(size * scale) < 1:
            raise SettingError(f"scale {scale:g} makes 0 of {size}.", f"Use a scale of at least 1/{size}.")
        return int(size * scale)

    def ratio(self, size: int) -> Fraction:
        """Input steps per output step."""
        return Fraction(size, self.output_size(size)) if self.scale is None else 1 / Fraction(self.scale)

    @abstractmethod
    def place(self, output: int, ratio: Fraction) -> Fraction:
        """The output's position among the inputs, as an exact number."""

    @abstractmethod
    def around(self, place: Fraction, ratio: Fraction, size: int) -> range:
        """The inputs that are read for a position, as if the map had no borders."""

    def reads(self, size: int) -> Iterator[range]:
        """The `sources` of each output in turn."""
        ratio, last = self.ratio(size), size - HALF
        for output in range(self.output_size(size)):
            yield self.around(min(max(self.place(output, ratio), -HALF), last), ratio, size)

    def sources(self, output: int, size: int) -> range:
        return all_reads(self, size)[output]

    def period(self, size: int) -> Period | None:
        return resize_period(self, size)

    def is_contiguous(self, size: int) -> bool:
        return self.ratio(size) < 2


@dataclass(frozen=True, slots=True)
class Nearest(Resize):
    """One axis of a resize of mode "nearest"; with `exact`, of mode "nearest-exact".

    >>> [Nearest(scale=2.0).sources(i, 3).start for i in range(6)]
    [0, 0, 1, 1, 2, 2]
    """

    exact: bool = False

    def ratio(self, size: int) -> Fraction:
        # PyTorch has shortcuts for these two sizes, whatever the scale says.
        if not self.exact and self.output_size(size) in (size, 2 * size):
            return Fraction(size, self.output_size(size))
        return Resize.ratio(self, size)

    def place(self, output: int, ratio: Fraction) -> Fraction:
        return (output + HALF * self.exact) * ratio

    def around(self, place: Fraction, ratio: Fraction, size: int) -> range:  # noqa: ARG002
        return range(floor(place), floor(place) + 1)

    def reads(self, size: int) -> Iterator[range]:
        step, shift = float32(self.ratio(size)), 0.5 * self.exact
        for output in range(self.output_size(size)):
            index = min(int(float32((output + shift) * step)), size - 1)
            yield range(index, index + 1)

    def is_contiguous(self, size: int) -> bool:
        ratio = self.ratio(size)
        return ratio == 1 or ratio <= HALF


@dataclass(frozen=True, slots=True)
class Linear(Resize):
    """One axis of a bilinear resize: two taps, or one where an output lies exactly on an input.

    >>> [list(Linear(outputs=5, align_corners=True).sources(i, 3)) for i in range(5)]
    [[0], [0, 1], [1], [1, 2], [2]]
    """

    align_corners: bool = False

    def ratio(self, size: int) -> Fraction:
        outputs = self.output_size(size)
        if self.align_corners:
            return Fraction(size - 1, outputs - 1) if outputs > 1 else Fraction(0)
        return Fraction(1) if outputs == size else Resize.ratio(self, size)

    def place(self, output: int, ratio: Fraction) -> Fraction:
        return output * ratio if self.align_corners else (output + HALF) * ratio - HALF

    def around(self, place: Fraction, ratio: Fraction, size: int) -> range:
        noise = 0 if is_unrounded(ratio, size) else (abs(place) + 1) * NOISE
        return range(floor(place - noise), ceil(place + noise) + 1)

    def is_exact(self, size: int) -> bool:
        return is_unrounded(self.ratio(size), size)


@dataclass(frozen=True, slots=True)
class Cubic(Linear):
    """One axis of a bicubic resize: four taps.

    Where an output lies exactly on an input, the neighbours on both sides are counted although their weight is 0, so
    that windows never step back.
    """

    def ratio(self, size: int) -> Fraction:
        # Unlike the linear mode, PyTorch's bicubic mode has no shortcut for as many outputs as inputs.
        return Linear.ratio(self, size) if self.align_corners else Resize.ratio(self, size)

    def around(self, place: Fraction, ratio: Fraction, size: int) -> range:
        taps = Linear.around(self, place, ratio, size)
        return taps if ratio == 1 else range(taps.start - 1, taps.stop + 1)

    def is_exact(self, size: int) -> bool:
        ratio = self.ratio(size)
        if ratio == 1 or not is_unrounded(ratio, size):
            return ratio == 1
        return all(self.place(phase, ratio).denominator > 1 for phase in range(ratio.denominator))


@lru_cache(maxsize=512)
def all_reads(rule: Resize, size: int) -> tuple[range, ...]:
    """What each output reads, cached: a resize is queried many times for the same map."""
    return tuple(rule.reads(size))


@lru_cache(maxsize=4096)
def resize_period(rule: Resize, size: int) -> Period | None:
    """The period of a resize; None if it is too long, or if rounding breaks it somewhere in this map."""
    ratio = rule.ratio(size)
    if ratio.denominator > LONGEST:
        return None
    sources = tuple(rule.around(rule.place(phase, ratio), ratio, size) for phase in range(ratio.denominator))
    period = Period(ratio.numerator, sources, is_exact=rule.is_exact(size))
    reads = enumerate(all_reads(rule, size))
    return period if all(cut(period.at(output), size) == cut(read, size) for output, read in reads) else None


def is_unrounded(ratio: Fraction, size: int) -> bool:
    """Whether all positions are exact in float32: their denominators are small powers of two."""
    steps = ratio.denominator
    return steps & (steps - 1) == 0 and (2 * steps * size).bit_length() <= FLOAT32_BITS


def float32(number: float | Fraction) -> float:
    """The nearest number that a float32 can hold."""
    return FLOAT32.unpack(FLOAT32.pack(number))[0]
