"""The periodic pattern of a rule far from the borders.

There, every rule of this package repeats itself: `outputs` outputs further on, the same pattern of inputs is read,
`inputs` inputs further on. A convolution has the period (1, stride), a transposed one (stride, 1), a resize from n to o
(o, n) in lowest terms. Receptive fields of whole networks are compositions of such periods.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

LONGEST = 256
"""The most outputs that a period may have; patterns longer than this are described by their bounds alone."""


@dataclass(frozen=True, slots=True)
class Period:
    """Output `outputs * k + i` reads the inputs `sources[i] + inputs * k`.

    `is_exact` is False where `sources` holds more than is certainly read.
    """

    inputs: int
    sources: tuple[range, ...]
    is_exact: bool = True

    @property
    def outputs(self) -> int:
        """The number of outputs in one period."""
        return len(self.sources)

    def at(self, output: int) -> range:
        """What an output reads, as if the map had no borders.

        >>> Period(1, (range(0, 1), range(0, 2))).at(5)
        range(2, 4)
        """
        turns, phase = divmod(output, self.outputs)
        return shifted(self.sources[phase], turns * self.inputs)


@dataclass(frozen=True, slots=True)
class Bounds:
    """Output v reads only inputs from `low + v * stride` to `high + v * stride`, both included."""

    stride: Fraction
    low: Fraction
    high: Fraction


def shifted(indices: range, distance: int) -> range:
    """The same indices, each moved by `distance`."""
    return range(indices.start + distance, indices.stop + distance, indices.step)
