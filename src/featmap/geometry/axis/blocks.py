"""Axis rules of operators that work on blocks: adaptive pooling, pixel shuffle and unshuffle.

`Adaptive` pooling cuts the map into as many windows as there are outputs, `Gather` (pixel unshuffle) turns each block
of a map into one unit of several channels, and `Repeat` (pixel shuffle) turns one unit into a block.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from featmap.errors import SettingError
from featmap.geometry.axis.period import LONGEST, Period
from featmap.geometry.axis.rule import AxisRule, MonotoneRule
from featmap.geometry.interval import EMPTY, Interval
from featmap.geometry.setting import at_least


@dataclass(frozen=True, slots=True)
class Adaptive(AxisRule):
    """The axis of an adaptive pooling: output i reads [floor(i*n/o), ceil((i+1)*n/o)).

    >>> [list(Adaptive(3).sources(i, 5)) for i in range(3)]
    [[0, 1], [1, 2, 3], [3, 4]]
    """

    outputs: int

    def __post_init__(self) -> None:
        at_least("the output size of an adaptive pooling", self.outputs, 1)

    def output_size(self, size: int) -> int:  # noqa: ARG002
        return self.outputs

    def sources(self, output: int, size: int) -> range:
        return range(output * size // self.outputs, -(-(output + 1) * size // self.outputs))

    def needed(self, outputs: Interval, size: int) -> Interval:
        if outputs.is_empty:
            return EMPTY
        return Interval(self.sources(outputs.start, size).start, self.sources(outputs.stop - 1, size).stop)

    def affected(self, inputs: Interval, size: int) -> Interval:
        inputs = inputs.clip(size)
        if inputs.is_empty:
            return EMPTY
        return Interval(inputs.start * self.outputs // size, -(-inputs.stop * self.outputs // size))

    def period(self, size: int) -> Period | None:
        ratio = Fraction(size, self.outputs)
        if ratio.denominator > LONGEST:
            return None
        return Period(ratio.numerator, tuple(self.sources(phase, size) for phase in range(ratio.denominator)))

    def reads_whole(self, size: int) -> bool:
        return self.outputs == 1 < size

    def is_contiguous(self, size: int) -> bool:  # noqa: ARG002
        return True


@dataclass(frozen=True, slots=True)
class Repeat(MonotoneRule):
    """Output i reads input i // factor: pixel shuffle, repeat_interleave."""

    factor: int

    def __post_init__(self) -> None:
        at_least("factor", self.factor, 1)

    @property
    def moves(self) -> bool:
        return self.factor > 1

    def output_size(self, size: int) -> int:
        return size * self.factor

    def sources(self, output: int, size: int) -> range:  # noqa: ARG002
        return range(output // self.factor, output // self.factor + 1)

    def affected(self, inputs: Interval, size: int) -> Interval:
        inputs = inputs.clip(size)
        return Interval(inputs.start * self.factor, inputs.stop * self.factor)

    def period(self, size: int) -> Period:  # noqa: ARG002
        return Period(1, (range(1),) * self.factor)

    def is_contiguous(self, size: int) -> bool:  # noqa: ARG002
        return True


@dataclass(frozen=True, slots=True)
class Gather(MonotoneRule):
    """Output i reads the inputs from i * factor to (i + 1) * factor: pixel unshuffle. The size must be divisible."""

    factor: int

    def __post_init__(self) -> None:
        at_least("factor", self.factor, 1)

    @property
    def moves(self) -> bool:
        return self.factor > 1

    def output_size(self, size: int) -> int:
        if size % self.factor:
            raise SettingError(
                f"{size} is not divisible by the factor {self.factor}.",
                f"Use an input of {size - size % self.factor} or {size - size % self.factor + self.factor}.",
            )
        return size // self.factor

    def sources(self, output: int, size: int) -> range:  # noqa: ARG002
        return range(output * self.factor, (output + 1) * self.factor)

    def affected(self, inputs: Interval, size: int) -> Interval:
        inputs = inputs.clip(size)
        return Interval(inputs.start // self.factor, -(-inputs.stop // self.factor))

    def period(self, size: int) -> Period:  # noqa: ARG002
        return Period(self.factor, (range(self.factor),))

    def is_contiguous(self, size: int) -> bool:  # noqa: ARG002
        return True
