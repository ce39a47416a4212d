"""Axis rules of operators that only move rows or columns.

Each output is one input, or padding. `Pad` adds or crops, `Slice` keeps every `step`-th, `Flip` reverses the order.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from featmap.errors import SettingError
from featmap.geometry.axis.period import Period
from featmap.geometry.axis.rule import AxisRule
from featmap.geometry.index_set import IndexSet, shift, spread
from featmap.geometry.interval import EMPTY, Interval
from featmap.geometry.setting import at_least


class PadMode(StrEnum):
    """The values on the padding: a constant, or inputs mirrored, repeated or from the other end."""

    CONSTANT = "constant"
    REFLECT = "reflect"
    REPLICATE = "replicate"
    CIRCULAR = "circular"


@dataclass(frozen=True, slots=True)
class Pad(AxisRule):
    """Padding before and after; negative numbers crop.

    >>> [Pad(2, 1, "reflect").sources(i, 4).start for i in range(7)]
    [2, 1, 0, 1, 2, 3, 2]
    >>> [Pad(2, 1).sources(i, 4).start for i in range(7)]
    [-2, -1, 0, 1, 2, 3, 4]
    """

    before: int = 0
    after: int = 0
    mode: str = PadMode.CONSTANT

    def __post_init__(self) -> None:
        if self.mode not in list(PadMode):
            raise SettingError(f"there is no padding mode {self.mode!r}.", f"Use one of {', '.join(PadMode)}.")

    @property
    def moves(self) -> bool:
        return (self.before, self.after) != (0, 0)

    def output_size(self, size: int) -> int:
        limit = {PadMode.REFLECT: size - 1, PadMode.CIRCULAR: self.kept(size)}.get(PadMode(self.mode))
        widest, outputs = max(self.before, self.after), size + self.before + self.after
        # Constant padding repeats no input: the whole output may be padding.
        if outputs < 1 or self.kept(size) < (self.mode != PadMode.CONSTANT):
            what = f"padding {self.before} before and {self.after} after leaves nothing of {size}."
            raise SettingError(what, "Crop less, or use a larger input.")
        if limit is not None and widest > limit:
            what = f"{self.mode} padding of {widest} on an input of {size}, the most is {limit}."
            raise SettingError(what, f"Pad by at most {limit}, or use a larger input.")
        return outputs

    def kept(self, size: int) -> int:
        """The number of inputs that remain after cropping."""
        return size + min(self.before, 0) + min(self.after, 0)

    def sources(self, output: int, size: int) -> range:
        index = self.filled(output - self.before, size)
        return range(index, index + 1)

    def filled(self, index: int, size: int) -> int:
        """The input that is copied to an index; constant padding keeps its own index, outside the map."""
        if self.mode == PadMode.REFLECT:
            return size - 1 - abs(size - 1 - abs(index))
        if self.mode == PadMode.REPLICATE:
            return min(max(index, 0), size - 1)
        if self.mode == PadMode.CIRCULAR:
            first = max(-self.before, 0)
            return first + (index - first) % (size - first - max(-self.after, 0))
        return index

    def needed(self, outputs: Interval, size: int) -> Interval:
        indices, hull = outputs.shift(-self.before), EMPTY
        if self.mode == PadMode.CONSTANT:
            return indices
        for part in (Interval(-self.before, 0), Interval(0, size), Interval(size, size + self.after)):
            inside = indices.intersection(part)
            if not inside.is_empty:
                ends = self.filled(inside.start, size), self.filled(inside.stop - 1, size)
                hull = hull.hull(Interval(min(ends), max(ends) + 1))
        return hull

    def affected(self, inputs: Interval, size: int) -> Interval:
        kept = inputs.intersection(Interval(max(-self.before, 0), size - max(-self.after, 0)))
        # Reflection can show inputs that the other side crops away; circular padding wraps around what is kept.
        below, above = self.copies(kept if self.mode == PadMode.CIRCULAR else inputs.clip(size), size)
        below = below.intersection(Interval(-self.before, 0))
        above = above.intersection(Interval(size, size + self.after))
        return kept.hull(below).hull(above).shift(self.before)

    def copies(self, inputs: Interval, size: int) -> tuple[Interval, Interval]:
        """The indices below and above the map to which these inputs are copied."""
        if inputs.is_empty or self.mode == PadMode.CONSTANT:
            return EMPTY, EMPTY
        if self.mode == PadMode.REFLECT:
            below = Interval(1 - inputs.stop, 1 - inputs.start)
            return below, below.shift(2 * (size - 1))
        if self.mode == PadMode.CIRCULAR:
            return inputs.shift(-self.kept(size)), inputs.shift(self.kept(size))
        below = Interval(-self.before, 0) if inputs.start == 0 else EMPTY
        return below, Interval(size, size + self.after) if inputs.stop == size else EMPTY

    def is_contiguous(self, size: int) -> bool:  # noqa: ARG002
        return self.mode in (PadMode.REFLECT, PadMode.REPLICATE)

    def needed_set(self, outputs: IndexSet, size: int) -> IndexSet:
        if self.mode == PadMode.CONSTANT:
            return IndexSet(shift(outputs.mask, -self.before)).clip(size)
        return AxisRule.needed_set(self, outputs, size)

    def period(self, size: int) -> Period:  # noqa: ARG002
        return Period(1, (range(-self.before, 1 - self.before),))


@dataclass(frozen=True, slots=True)
class Slice(AxisRule):
    """Every `step`-th input from `start` to `stop`, as in a Python slice.

    >>> Slice(1, None, 2).output_size(6), Slice(-3, -1).sources(0, 8)
    (3, range(5, 6))
    """

    start: int | None = None
    stop: int | None = None
    step: int = 1

    def __post_init__(self) -> None:
        at_least("the step of a slice", self.step, 1)

    def kept(self, size: int) -> range:
        """The inputs that remain."""
        return range(*slice(self.start, self.stop, self.step).indices(size))

    def output_size(self, size: int) -> int:
        return len(self.kept(size))

    def sources(self, output: int, size: int) -> range:
        index = self.kept(size).start + output * self.step
        return range(index, index + 1)

    def needed(self, outputs: Interval, size: int) -> Interval:
        first = self.kept(size).start
        if outputs.is_empty:
            return EMPTY
        return Interval(first + outputs.start * self.step, first + (outputs.stop - 1) * self.step + 1)

    def affected(self, inputs: Interval, size: int) -> Interval:
        inputs, kept = inputs.clip(size), self.kept(size)
        ends = (-((kept.start - end) // self.step) for end in (inputs.start, inputs.stop))
        return Interval(*ends).clip(len(kept))

    def needed_set(self, outputs: IndexSet, size: int) -> IndexSet:
        return IndexSet(shift(spread(outputs.mask, self.step), self.kept(size).start)).clip(size)

    def period(self, size: int) -> Period:
        return Period(self.step, (self.sources(0, size),))


@dataclass(frozen=True, slots=True)
class Flip(AxisRule):
    """The inputs in reverse order."""

    def output_size(self, size: int) -> int:
        return size

    def sources(self, output: int, size: int) -> range:
        return range(size - 1 - output, size - output)

    def needed(self, outputs: Interval, size: int) -> Interval:
        return EMPTY if outputs.is_empty else Interval(size - outputs.stop, size - outputs.start)

    def affected(self, inputs: Interval, size: int) -> Interval:
        return self.needed(inputs.clip(size), size)

    def needed_set(self, outputs: IndexSet, size: int) -> IndexSet:
        return IndexSet(int(f"{outputs.clip(size).mask:0{size}b}"[::-1], 2))

    def period(self, size: int) -> Period:
        return Period(-1, (self.sources(0, size),))
