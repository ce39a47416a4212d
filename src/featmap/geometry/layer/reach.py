"""The output sizes that are possible at all.

With paddings from 0 to K - 1 on both sides, each stride reaches a contiguous range of sizes. A wanted size outside all
ranges is refused, and the error names the nearest ranges.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from featmap.errors import NoSolution
from featmap.geometry.axis.window import Window
from featmap.geometry.interval import Interval
from featmap.geometry.setting import EITHER, AxisWords, Problems


@dataclass(frozen=True, slots=True)
class SizeQuestion:
    """One axis whose padding is to be found; `stride` None leaves the stride open too."""

    size: int
    kernel: int
    stride: int | None = None
    dilation: int = 1
    transpose: bool = False
    axis: AxisWords = EITHER
    pool: bool = False
    ceil_mode: bool = False

    def __post_init__(self) -> None:
        problems = Problems()
        for name in ("size", "kernel", "dilation"):
            problems.lowest(name, getattr(self, name), 1)
        problems.lowest("stride", 1 if self.stride is None else self.stride, 1)
        if self.transpose and self.pool:
            problems.add("a pool is not a transposed convolution.", "Ask for one of them.")
        if self.ceil_mode and not self.pool:
            problems.add("ceil mode belongs to pools, this is a convolution.", "Leave it out, or ask for a pool.")
        problems.settle()

    @property
    def kind(self) -> str:
        """The words for the kernel, by the kind of its layer."""
        if self.pool:
            return "ceil-mode pool kernel" if self.ceil_mode else "pool kernel"
        return "transposed kernel" if self.transpose else "kernel"

    @property
    def span(self) -> int:
        """K, the number of cells from the first to the last of the kernel."""
        return (self.kernel - 1) * self.dilation + 1

    def at_one_stride(self) -> SizeQuestion:
        """The question that "same" asks: at stride 1 unless another is given."""
        return replace(self, stride=self.stride or 1)

    @property
    def same(self) -> int:
        """The size that "same" wants: size / stride, rounded up; transposed size * stride."""
        stride = self.stride or 1
        return self.size * stride if self.transpose else -(-self.size // stride)

    def reach(self, stride: int) -> Interval:
        """The sizes that one stride can give."""
        if self.transpose:
            full = (self.size - 1) * stride + self.span
            return Interval(max(full - 2 * (self.span - 1), 1), full + max(stride, self.dilation))
        last = [
            Window(self.kernel, stride, padding, padding, self.dilation, self.ceil_mode).last_output(self.size)
            for padding in (0, self.span - 1)
        ]
        return Interval(max(last[0], 0) + 1, last[1] + 2)

    def strides(self) -> Iterator[int]:
        """The strides to try, from 1 on."""
        yield from (self.stride,) if self.stride else range(1, self.size + self.span)


def unreachable(question: SizeQuestion, output: int) -> NoSolution:
    """The error for a size that no setting gives, with the nearest possible ones."""
    ranges = near(question, output)
    reached = ", ".join(f"stride {stride} gives {in_words(sizes)}" for stride, sizes in ranges)
    below = [sizes.stop - 1 for _, sizes in ranges if sizes.stop <= output]
    above = [sizes.start for _, sizes in ranges if sizes.start > output]
    nearest = [str(size) for size in ([max(below)] if below else []) + ([min(above)] if above else [])]
    dilated = f" with dilation {question.dilation}" if question.dilation > 1 else ""
    return NoSolution(
        f"{question.size} {question.axis.cells} cannot become {output} with {question.kind} {question.kernel}{dilated} "
        f"and paddings of at most {question.span - 1}: {reached}.",
        f"Ask for {' or '.join(nearest)} {question.axis.cells}, or change the kernel.",
    )


def near(question: SizeQuestion, output: int) -> list[tuple[int, Interval]]:
    """The ranges on both sides of a size: with strides in order, the last one before it and the first one after it."""
    before: tuple[int, Interval] | None = None
    for stride in question.strides():
        sizes = question.reach(stride)
        is_behind = sizes.start > output if question.transpose else sizes.stop <= output
        if is_behind:
            return [found for found in (before, (stride, sizes)) if found]
        before = (stride, sizes)
    return [before] if before else []


def in_words(sizes: Interval) -> str:
    """A range of sizes in words.

    >>> in_words(Interval(4, 5)), in_words(Interval(4, 6)), in_words(Interval(4, 9))
    ('4', '4 or 5', '4 to 8')
    """
    if sizes.size <= 2:
        return " or ".join(str(size) for size in range(sizes.start, sizes.stop))
    return f"{sizes.start} to {sizes.stop - 1}"
