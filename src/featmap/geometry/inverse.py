"""Which settings give a wanted output size?

For a convolution of span K = (kernel - 1) * dilation + 1, floor((n + before + after - K) / stride) + 1 = outputs is
solved for every padding of at most K - 1 a side (beyond that a window would lie on padding alone) and every stride of
at most n. For a transposed one, (n - 1) * stride + K - before - after + output_padding = outputs is solved likewise.
Where one input or one output makes the stride meaningless, the smallest stands for all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import Literal

from featmap.errors import NoSolution
from featmap.geometry.padding import TENSORFLOW, names, tensorflow_same_transposed
from featmap.geometry.reach import Question, unreachable
from featmap.geometry.setting import BOTH, COLUMNS, ROWS, at_least
from featmap.geometry.window import TransposedWindow, Window

Pair = tuple[int, int]


@dataclass(frozen=True, slots=True)
class AxisSolution:
    """Settings of one axis that give the wanted size; `conventions` names those among them that have a name."""

    before: int
    after: int
    stride: int
    output_padding: int = 0
    conventions: tuple[str, ...] = ()

    @property
    def is_symmetric(self) -> bool:
        """Whether the padding is the same on both sides, as PyTorch's convolutions want it."""
        return self.before == self.after

    def rule(self, kernel: int, dilation: int = 1, *, transpose: bool = False) -> Window | TransposedWindow:
        """The operator with these settings."""
        numbers = kernel, self.stride, self.before, self.after, dilation
        return TransposedWindow(*numbers, self.output_padding) if transpose else Window(*numbers)

    @property
    def order(self) -> tuple[bool, int, int, int, int]:
        """Symmetric ones first, then the smallest paddings."""
        total, difference = self.before + self.after, self.before - self.after
        return not self.is_symmetric, total, self.output_padding, abs(difference), self.stride


@dataclass(frozen=True, slots=True)
class SizeSolution:
    """The solutions along rows and along columns: each of one goes with each of the other."""

    rows: tuple[AxisSolution, ...]
    columns: tuple[AxisSolution, ...]

    @property
    def common(self) -> tuple[AxisSolution, ...]:
        """The settings that serve rows and columns alike; named only where the name holds for both."""
        columns = {replace(way, conventions=()): way.conventions for way in self.columns}
        found = [(way, columns.get(replace(way, conventions=()))) for way in self.rows]
        return tuple(
            replace(way, conventions=tuple(name for name in way.conventions if name in also))
            for way, also in found
            if also is not None
        )


def solve(
    size: int,
    output: int | Literal["same"],
    kernel: int,
    *,
    stride: int | None = None,
    dilation: int = 1,
    transpose: bool = False,
) -> tuple[AxisSolution, ...]:
    """All settings of one axis that make `output` of `size`: symmetric paddings first, then the smallest.

    `stride` None leaves the stride open. "same" wants size / stride, rounded up (transposed: size * stride), at
    stride 1 unless another is given.

    Raises: SettingError: a number below 1. NoSolution: with the sizes that can be had.

    >>> [(way.before, way.after, way.stride) for way in solve(32, 28, 5)]
    [(0, 0, 1)]
    >>> solve(224, "same", 7, stride=2)[0]
    AxisSolution(before=3, after=3, stride=2, output_padding=0, conventions=('PyTorch symmetric',))
    """
    return answers(Question(size, kernel, stride, dilation, transpose), output)


def solve_size(
    size: Pair,
    output: Pair | Literal["same"],
    kernel: Pair,
    *,
    stride: Pair | None = None,
    dilation: Pair = (1, 1),
    transpose: bool = False,
) -> SizeSolution:
    """The same for rows and columns.

    Raises: SettingError, NoSolution: as `solve`, for both axes at once.

    >>> solve_size((224, 320), (112, 160), (7, 7)).common[0]
    AxisSolution(before=3, after=3, stride=2, output_padding=0, conventions=('PyTorch symmetric',))
    """
    wanted: Pair | tuple[Literal["same"], Literal["same"]] = ("same", "same") if output == "same" else output
    axes = list(zip(size, kernel, stride or (None, None), dilation, strict=True))
    words = (BOTH, BOTH) if axes[0] == axes[1] and wanted[0] == wanted[1] else (ROWS, COLUMNS)
    found: list[tuple[AxisSolution, ...]] = []
    refusals: dict[str, str] = {}
    for axis in (0, 1):
        try:
            found.append(answers(Question(*axes[axis], transpose, words[axis]), wanted[axis]))
        except NoSolution as refusal:
            refusals[refusal.problem] = refusal.remedy
    if refusals:
        raise NoSolution("\n".join(refusals), "\n".join(refusals.values()))
    return SizeSolution(found[0], found[1])


def answers(question: Question, output: int | Literal["same"]) -> tuple[AxisSolution, ...]:
    """All solutions of one axis, in order."""
    if output == "same":
        question = question.at_one_stride()
    wanted = question.same if output == "same" else output
    at_least("output", wanted, 1)
    ways = transposed_ways(question, wanted) if question.transpose else ways_of(question, wanted)
    found = tuple(sorted(ways, key=lambda way: way.order))
    if not found:
        raise unreachable(question, wanted)
    return found


def ways_of(question: Question, output: int) -> Iterator[AxisSolution]:
    """The settings of a convolution."""
    size, kernel, dilation = question.size, question.kernel, question.dilation
    for before, after in product(range(question.span), repeat=2):
        slack = size + before + after - question.span
        for stride in strides(question, slack, output - 1):
            named = names(size, kernel, stride, dilation, (before, after))
            yield AxisSolution(before, after, stride, conventions=named)


def strides(question: Question, slack: int, steps: int) -> Iterator[int]:
    """The strides by which `slack` cells make exactly `steps` steps."""
    if slack < 0:
        return
    first = slack // (steps + 1) + 1
    last = slack // steps if steps else max(first, question.stride or 0)
    if question.stride is None:
        yield from range(first, min(last, question.size if steps else first) + 1)
    elif first <= question.stride <= last:
        yield question.stride


def transposed_ways(question: Question, output: int) -> Iterator[AxisSolution]:
    """The settings of a transposed convolution."""
    for before, after in product(range(question.span), repeat=2):
        reach = output - question.span + before + after
        for stride in transposed_strides(question, reach):
            extra = reach - (question.size - 1) * stride
            if 0 <= extra < max(stride, question.dilation):
                same = tensorflow_same_transposed(question.kernel, stride, question.dilation)
                named = (TENSORFLOW,) if same == (before, after, extra) else ()
                yield AxisSolution(before, after, stride, extra, named)


def transposed_strides(question: Question, reach: int) -> Iterator[int]:
    """The strides that can bring the last window to `reach`, give or take an output padding."""
    steps = question.size - 1
    if question.stride:
        yield question.stride
    elif steps == 0:
        yield 1 if reach < question.dilation else reach + 1
    else:
        last = reach // steps
        first = min(reach // question.size + 1, max((reach - question.dilation) // steps + 1, 1))
        yield from range(first, last + 1)
