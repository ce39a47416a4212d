"""Axis rules of sliding windows: convolution, pooling and transposed convolution.

`Window` is the axis of a convolution or a pooling: output i reads `kernel` inputs, `dilation` apart, from
`i * stride - before` on. Whether an average counts the padding (count_include_pad) changes values, never this geometry.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd

from featmap.errors import KernelTooLarge, SettingError
from featmap.geometry.axis.period import Period
from featmap.geometry.axis.rule import AxisRule
from featmap.geometry.index_set import IndexSet, every, repeat, shift, spread
from featmap.geometry.interval import EMPTY, Interval
from featmap.geometry.setting import AxisWords, at_least, kernel_too_large, misfit


@dataclass(frozen=True, slots=True)
class Window(AxisRule):
    """The axis of a convolution or pooling; negative padding crops.

    >>> rows = Window(kernel=3, stride=2, before=1, after=1)
    >>> rows.output_size(8), list(rows.sources(0, 8)), rows.affected(Interval(3, 4), 8)
    (4, [-1, 0, 1], Interval(start=1, stop=3))
    """

    kernel: int
    stride: int = 1
    before: int = 0
    after: int = 0
    dilation: int = 1
    ceil_mode: bool = False

    def __post_init__(self) -> None:
        for name in ("kernel", "stride", "dilation"):
            at_least(name, getattr(self, name), 1)

    @property
    def span(self) -> int:
        """The number of inputs from the first to the last that a window reads, holes of dilation included."""
        return (self.kernel - 1) * self.dilation + 1

    @property
    def moves(self) -> bool:
        return (self.kernel, self.stride, self.before, self.after) != (1, 1, 0, 0)

    def last_output(self, size: int) -> int:
        """The index of the last output, below 0 where there is none; with ceil_mode a window may exceed the input."""
        slack = size + self.before + self.after - self.span
        steps = -(-slack // self.stride) if self.ceil_mode else slack // self.stride
        if self.ceil_mode and steps * self.stride >= size + self.before:
            steps -= 1  # a last window that would start on the trailing padding does not count
        return steps

    def output_size(self, size: int) -> int:
        last = self.last_output(size)
        if last < 0:
            raise kernel_too_large(self.kernel, self.dilation, size, (self.before, self.after))
        return last + 1

    def sources(self, output: int, size: int) -> range:  # noqa: ARG002
        start = output * self.stride - self.before
        return range(start, start + self.span, self.dilation)

    def needed(self, outputs: Interval, size: int) -> Interval:  # noqa: ARG002
        if outputs.is_empty:
            return EMPTY
        first = outputs.start * self.stride - self.before
        return Interval(first, (outputs.stop - 1) * self.stride - self.before + self.span)

    def affected(self, inputs: Interval, size: int) -> Interval:
        inputs = inputs.clip(size)
        if inputs.is_empty:
            return EMPTY
        first = -(-(inputs.start + self.before - self.span + 1) // self.stride)
        last = (inputs.stop - 1 + self.before) // self.stride
        return Interval(first, last + 1).clip(self.output_size(size))

    def needed_set(self, outputs: IndexSet, size: int) -> IndexSet:
        starts = spread(outputs.mask, self.stride)
        return IndexSet(shift(repeat(starts, self.kernel, self.dilation), -self.before)).clip(size)

    def period(self, size: int) -> Period:
        return Period(self.stride, (self.sources(0, size),))


@dataclass(frozen=True, slots=True)
class TransposedWindow(AxisRule):
    """The axis of a transposed convolution: input i adds to outputs `i * stride - before + k * dilation`.

    Output o reads every input that adds to it. Where the stride exceeds the kernel, some outputs read none.

    >>> rows = TransposedWindow(kernel=3, stride=2, before=1, after=1, output_padding=1)
    >>> rows.output_size(4), list(rows.sources(2, 4)), list(rows.sources(3, 4))
    (8, [1], [1, 2])
    """

    kernel: int
    stride: int = 1
    before: int = 0
    after: int = 0
    dilation: int = 1
    output_padding: int = 0

    def __post_init__(self) -> None:
        for name in ("kernel", "stride", "dilation"):
            at_least(name, getattr(self, name), 1)
        at_least("output_padding", self.output_padding, 0)
        if self.output_padding >= max(self.stride, self.dilation):
            raise SettingError(
                f"output_padding {self.output_padding} is smaller than neither stride {self.stride} nor dilation "
                f"{self.dilation}.",
                f"Use an output_padding of at most {max(self.stride, self.dilation) - 1}, or a larger stride.",
            )

    @property
    def span(self) -> int:
        """The number of outputs from the first to the last that one input adds to."""
        return (self.kernel - 1) * self.dilation + 1

    @property
    def moves(self) -> bool:
        return (self.kernel, self.stride, self.before, self.after, self.output_padding) != (1, 1, 0, 0, 0)

    def output_size(self, size: int) -> int:
        outputs = (size - 1) * self.stride + self.span - self.before - self.after + self.output_padding
        if outputs < 1:
            raise SettingError(
                f"padding {self.before} + {self.after} crops all of the {outputs + self.before + self.after} outputs "
                f"that {size} inputs make.",
                "Use less padding or a larger input: a transposed convolution crops what its padding says.",
            )
        return outputs

    def sources(self, output: int, size: int) -> range:  # noqa: ARG002
        common = gcd(self.stride, self.dilation)
        place, rest = divmod(output + self.before, common)
        turn, step = self.stride // common, self.dilation // common
        first = place * pow(step, -1, turn) % turn  # the first kernel index that meets an input on the grid
        if rest or first >= self.kernel:
            return range(0)
        last = self.kernel - 1 - (self.kernel - 1 - first) % turn
        return range((place - last * step) // turn, (place - first * step) // turn + 1, step)

    def needed(self, outputs: Interval, size: int) -> Interval:
        if outputs.is_empty:
            return EMPTY
        if self.dilation == 1:
            first = -(-(outputs.start + self.before - self.kernel + 1) // self.stride)
            return Interval(first, (outputs.stop - 1 + self.before) // self.stride + 1)
        # The same pattern recurs one stride further on, so the outermost stride of outputs holds both ends.
        near = range(outputs.start, min(outputs.start + self.stride, outputs.stop))
        far = range(max(outputs.stop - self.stride, outputs.start), outputs.stop)
        read = [indices for output in (*near, *far) if (indices := self.sources(output, size))]
        return Interval(min(i.start for i in read), max(i[-1] for i in read) + 1) if read else EMPTY

    def affected(self, inputs: Interval, size: int) -> Interval:
        inputs = inputs.clip(size)
        if inputs.is_empty:
            return EMPTY
        first = inputs.start * self.stride - self.before
        last = (inputs.stop - 1) * self.stride - self.before + self.span
        return Interval(first, last).clip(self.output_size(size))

    def needed_set(self, outputs: IndexSet, size: int) -> IndexSet:
        reach = repeat(shift(outputs.mask, self.before), self.kernel, self.dilation)
        return IndexSet(every(shift(reach, 1 - self.span), self.stride)).clip(size)

    def period(self, size: int) -> Period:
        return Period(1, tuple(self.sources(phase, size) for phase in range(self.stride)))


def check_fits(rule: AxisRule, size: int, axis: AxisWords) -> None:
    """Checks that the rule gives an output for this many inputs.

    Raises: SettingError, KernelTooLarge: it gives none; a window's error names the axis.

    >>> from featmap.geometry.setting import ROWS
    >>> check_fits(Window(3, before=1), 1, ROWS)
    Traceback (most recent call last):
    featmap.errors.KernelTooLarge: kernel 3 spans 3 rows, the padded input has 2 (1 row + 1 above + 0 below).
    ...
    """
    if isinstance(rule, Window) and rule.last_output(size) < 0:
        for problem, remedy in misfit(rule.kernel, rule.dilation, size, (rule.before, rule.after), axis):
            raise KernelTooLarge(problem, remedy)
    rule.output_size(size)
