"""Ranges of strides that give a wanted number of outputs.

For one padding, larger strides give fewer outputs: the strides that give a size are a contiguous range. With a single
output (or, transposed, a single input) the stride has no effect, so the range has no end.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Strides:
    """The strides from `first` to `last`, both included; with `last` None the range has no end."""

    first: int
    last: int | None

    @property
    def is_empty(self) -> bool:
        """Whether there is no stride."""
        return self.last is not None and self.last < self.first

    def only(self, stride: int | None) -> Strides:
        """The part of the range that is `stride`; the whole range for None.

        >>> Strides(7, None).only(9), Strides(1, 3).only(9).is_empty
        (Strides(first=9, last=9), True)
        """
        if stride is None:
            return self
        within = stride >= self.first and (self.last is None or stride <= self.last)
        return Strides(stride, stride) if within else NONE

    def parts(self, turns: Iterable[int]) -> tuple[Strides, ...]:
        """One part for each stride or, where there is no end, the ranges between those of `turns` that lie in it.

        >>> Strides(6, 7).parts([]), Strides(6, None).parts([2, 9])
        ((Strides(first=6, last=6), Strides(first=7, last=7)), (Strides(first=6, last=8), Strides(first=9, last=None)))
        """
        if self.last is not None:
            return tuple(Strides(stride, stride) for stride in range(self.first, self.last + 1))
        starts = sorted({self.first, *(turn for turn in turns if turn > self.first)})
        ends = [start - 1 for start in starts[1:]]
        return tuple(Strides(*part) for part in zip(starts, [*ends, None], strict=True))


NONE = Strides(1, 0)


def window_strides(slack: int, steps: int, cells: int | None = None) -> Strides:
    """The strides with which a window makes exactly `steps` steps.

    `slack` is the padded input minus the kernel's span, below 0 where the kernel does not fit. In ceil mode a window
    has to start before `cells` cells; None rounds down.

    >>> window_strides(11, 1), window_strides(11, 0), window_strides(-1, 0)
    (Strides(first=6, last=11), Strides(first=12, last=None), Strides(first=1, last=0))
    """
    if slack < 0 and cells is None:
        return NONE
    first = largest_stride(slack, steps + 1, cells) + 1
    if steps:
        return Strides(first, largest_stride(slack, steps, cells))
    # In ceil mode a window may be larger than its input, by less than one stride.
    return Strides(max(first, 1 - slack), None)


def largest_stride(slack: int, steps: int, cells: int | None) -> int:
    """The largest stride with which a window still makes `steps` steps, at least 1; 0 where there is none."""
    if cells is None:
        return max(slack // steps, 0)
    if slack < 1:
        return 0
    starts = (cells - 1) // steps
    return starts if steps == 1 else min(starts, (slack - 1) // (steps - 1))


def transposed_strides(size: int, reach: int, dilation: int) -> Strides:
    """The strides that place the last of `size` windows at `reach`, or earlier by a permitted output padding.

    >>> transposed_strides(14, 26, 1), transposed_strides(1, 3, 1)
    (Strides(first=2, last=2), Strides(first=4, last=None))
    """
    steps = size - 1
    if reach < 0:
        return NONE
    if steps == 0:
        return Strides(1 if reach < dilation else reach + 1, None)
    return Strides(min(reach // size + 1, max((reach - dilation) // steps + 1, 1)), reach // steps)
