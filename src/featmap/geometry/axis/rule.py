"""Axis rules: what an operator does along one spatial axis.

Rows and columns are independent for every operator that featmap knows by name, so two of these rules are its whole
geometry. A rule says how many outputs there are, what an output reads, and which outputs an input can change. What
`sources` and `needed` return is unclipped: indices below 0 or beyond the map lie on the padding.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_left
from dataclasses import dataclass
from fractions import Fraction

from featmap.geometry.axis.period import Period
from featmap.geometry.index_set import IndexSet
from featmap.geometry.interval import EMPTY, Interval


class AxisRule(ABC):
    """Base of all rules; `size` is always the number of input rows (or columns)."""

    __slots__ = ()

    @abstractmethod
    def output_size(self, size: int) -> int:
        """The number of outputs. Raises: SettingError, KernelTooLarge: PyTorch would refuse this size."""

    @abstractmethod
    def sources(self, output: int, size: int) -> range:
        """The inputs that one output reads, unclipped and in ascending order."""

    @abstractmethod
    def needed(self, outputs: Interval, size: int) -> Interval:
        """The hull of what these outputs read, unclipped."""

    @abstractmethod
    def affected(self, inputs: Interval, size: int) -> Interval:
        """The outputs that these inputs can change, clipped to the map.

        Where windows have holes the result is a hull: it may hold outputs that cannot change, but never misses one.
        """

    @abstractmethod
    def period(self, size: int) -> Period | None:
        """What the rule does far from the borders; None where that never repeats, or not soon enough."""

    @property
    def moves(self) -> bool:
        """Whether any output reads anything but the input of its own index."""
        return True

    def ratio(self, size: int) -> Fraction:
        """Input steps per output step, on average."""
        return Fraction(size, self.output_size(size))

    def reads_whole(self, size: int) -> bool:  # noqa: ARG002
        """Whether every output reads the whole map by definition of the operator, not because the map is small."""
        return False

    def is_exact(self, size: int) -> bool:  # noqa: ARG002
        """Whether `sources` holds nothing but what is certainly read."""
        return True

    def is_contiguous(self, size: int) -> bool:  # noqa: ARG002
        """Whether neighbouring outputs always read one contiguous interval."""
        return False

    def needed_set(self, outputs: IndexSet, size: int) -> IndexSet:
        """Exactly the inputs that these outputs read, clipped to the map."""
        if self.is_contiguous(size):
            parts = (IndexSet.of(self.needed(run, size).clip(size)) for run in outputs.runs())
        else:
            parts = (IndexSet.of(cut(self.sources(output, size), size)) for output in outputs)
        mask = 0
        for part in parts:
            mask |= part.mask
        return IndexSet(mask)


class MonotoneRule(AxisRule):
    """A rule whose windows never move backwards: the first and the last output determine every hull."""

    __slots__ = ()

    def needed(self, outputs: Interval, size: int) -> Interval:
        if outputs.is_empty:
            return EMPTY
        return Interval(self.sources(outputs.start, size).start, self.sources(outputs.stop - 1, size).stop)

    def affected(self, inputs: Interval, size: int) -> Interval:
        inputs, outputs = inputs.clip(size), range(self.output_size(size))
        if inputs.is_empty:
            return EMPTY
        first = bisect_left(outputs, inputs.start + 1, key=lambda output: self.sources(output, size).stop)
        return Interval(first, bisect_left(outputs, inputs.stop, key=lambda output: self.sources(output, size).start))


@dataclass(frozen=True, slots=True)
class Pointwise(AxisRule):
    """Each output reads the input of its own index: activations, normalisation in eval mode, 1x1 convolutions."""

    def output_size(self, size: int) -> int:
        return size

    def sources(self, output: int, size: int) -> range:  # noqa: ARG002
        return range(output, output + 1)

    def needed(self, outputs: Interval, size: int) -> Interval:  # noqa: ARG002
        return outputs

    def affected(self, inputs: Interval, size: int) -> Interval:
        return inputs.clip(size)

    def needed_set(self, outputs: IndexSet, size: int) -> IndexSet:
        return outputs.clip(size)

    def period(self, size: int) -> Period:  # noqa: ARG002
        return Period(1, (range(1),))

    @property
    def moves(self) -> bool:
        return False


@dataclass(frozen=True, slots=True)
class Whole(AxisRule):
    """Each output reads everything: linear on a flattened map, squeeze-and-excitation, attention, instance norm.

    With `outputs` None the size stays. Also the rule of every unknown operator: always right, never fast.
    """

    outputs: int | None = None

    def output_size(self, size: int) -> int:
        return size if self.outputs is None else self.outputs

    def sources(self, output: int, size: int) -> range:  # noqa: ARG002
        return range(size)

    def needed(self, outputs: Interval, size: int) -> Interval:
        return EMPTY if outputs.is_empty else Interval(0, size)

    def affected(self, inputs: Interval, size: int) -> Interval:
        return EMPTY if inputs.clip(size).is_empty else Interval(0, self.output_size(size))

    def period(self, size: int) -> Period | None:  # noqa: ARG002
        return None

    def reads_whole(self, size: int) -> bool:  # noqa: ARG002
        return True

    def is_contiguous(self, size: int) -> bool:  # noqa: ARG002
        return True


def cut(indices: range, size: int) -> range:
    """The part of an ascending range that lies in a map of `size`.

    >>> list(cut(range(-3, 9, 2), 6))
    [1, 3, 5]
    """
    start = indices.start if indices.start >= 0 else indices.start % indices.step
    return range(start, min(indices.stop, size), indices.step)
