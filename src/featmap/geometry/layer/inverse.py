"""The solver for output sizes: all settings that give a wanted size.

For a window of span K = (kernel - 1) * dilation + 1, floor((n + before + after - K) / stride) + 1 = outputs (a pool in
ceil mode rounds up) is solved for every padding of at most K - 1 a side, beyond which a window would lie on padding
alone, and for every stride. For a transposed convolution, (n - 1) * stride + K - before - after + output_padding =
outputs is solved likewise, with an output padding below stride or dilation, as PyTorch requires.

An endless range of strides with the same result is one answer, split where a convention starts or ceases to hold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from typing import Literal

from featmap.errors import NoSolution
from featmap.geometry.layer.padding import PYTORCH, TENSORFLOW, names, tensorflow_same_transposed
from featmap.geometry.layer.pytorch import refusal
from featmap.geometry.layer.reach import SizeQuestion, unreachable
from featmap.geometry.layer.solution import AxisSolution, SizeSolution
from featmap.geometry.layer.strides import Strides, transposed_strides, window_strides
from featmap.geometry.setting import BOTH, COLUMNS, ROWS, at_least

Pair = tuple[int, int]


def solve(
    size: int,
    output: int | Literal["same"],
    kernel: int,
    *,
    stride: int | None = None,
    dilation: int = 1,
    transpose: bool = False,
    pool: bool = False,
    ceil_mode: bool = False,
) -> tuple[AxisSolution, ...]:
    """All settings of one axis that turn `size` into `output`: symmetric paddings first, then the smallest.

    `stride` None leaves the stride open. "same" wants size / stride, rounded up (transposed: size * stride), at
    stride 1 unless another is given. `pool` is for maximum and average pools; only these have a `ceil_mode`.

    Raises: SettingError: a number below 1, settings of different layers. NoSolution: with the sizes that are possible.

    >>> [(way.before, way.after, way.stride) for way in solve(32, 28, 5)]
    [(0, 0, 1)]
    >>> solve(224, "same", 7, stride=2)[0]
    AxisSolution(before=3, after=3, stride=2, output_padding=0, conventions=('PyTorch symmetric',), larger=0, ...)
    >>> [(way.before, way.stride, way.last_stride) for way in solve(7, 1, 7) if way.is_symmetric][-1]
    (6, 13, None)
    """
    return answers(SizeQuestion(size, kernel, stride, dilation, transpose, pool=pool, ceil_mode=ceil_mode), output)


def solve_size(
    size: Pair,
    output: Pair | Literal["same"],
    kernel: Pair,
    *,
    stride: Pair | None = None,
    dilation: Pair = (1, 1),
    transpose: bool = False,
    pool: bool = False,
    ceil_mode: bool = False,
) -> SizeSolution:
    """All settings for rows and for columns.

    Raises: SettingError, NoSolution: as `solve`, for both axes at once.

    >>> solve_size((224, 320), (112, 160), (7, 7)).common[0]
    AxisSolution(before=3, after=3, stride=2, output_padding=0, conventions=('PyTorch symmetric',), larger=0, ...)
    """
    wanted: Pair | tuple[Literal["same"], Literal["same"]] = ("same", "same") if output == "same" else output
    axes = list(zip(size, kernel, stride or (None, None), dilation, strict=True))
    words = (BOTH, BOTH) if axes[0] == axes[1] and wanted[0] == wanted[1] else (ROWS, COLUMNS)
    found: list[tuple[AxisSolution, ...]] = []
    refusals: dict[str, str] = {}
    for axis in (0, 1):
        try:
            question = SizeQuestion(*axes[axis], transpose, words[axis], pool=pool, ceil_mode=ceil_mode)
            found.append(answers(question, wanted[axis]))
        except NoSolution as refusal:
            refusals[refusal.problem] = refusal.remedy
    if refusals:
        raise NoSolution("\n".join(refusals), "\n".join(refusals.values()))
    return SizeSolution(found[0], found[1])


def answers(question: SizeQuestion, output: int | Literal["same"]) -> tuple[AxisSolution, ...]:
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


def ways_of(question: SizeQuestion, output: int) -> Iterator[AxisSolution]:
    """The settings of a convolution or a pool."""
    for before, after in product(range(question.span), repeat=2):
        slack, cells = question.size + before + after - question.span, question.size + before
        fitting = window_strides(slack, output - 1, cells if question.ceil_mode else None)
        # PyTorch's "same" exists below stride 2 only; from stride `size` on, TensorFlow's has a single window.
        name = partial(named, question, (before, after))
        for strides in parts(question, fitting, (2, question.size), name):
            yield answer(question, before, after, strides, name(strides.first))


def transposed_ways(question: SizeQuestion, output: int) -> Iterator[AxisSolution]:
    """The settings of a transposed convolution."""
    for before, after in product(range(question.span), repeat=2):
        reach = output - question.span + before + after
        # These crops and this output padding can be those of "same" at a single stride only.
        turn = question.span - before - after + max(reach, 0)
        fitting = transposed_strides(question.size, reach, question.dilation)
        name = partial(named_transposed, question, (before, after), reach)
        for strides in parts(question, fitting, (turn, turn + 1), name):
            extra = reach - (question.size - 1) * strides.first
            yield answer(question, before, after, strides, name(strides.first), extra)


def parts(
    question: SizeQuestion, fitting: Strides, turns: tuple[int, ...], name: Callable[[int], tuple[str, ...]]
) -> tuple[Strides, ...]:
    """The strides that were asked for, one by one or in ranges of the same name, which may change at `turns`."""
    asked = fitting.only(question.stride)
    return () if asked.is_empty else asked.parts(turn for turn in turns if turn > 1 and name(turn - 1) != name(turn))


def named(question: SizeQuestion, padding: Pair, stride: int) -> tuple[str, ...]:
    """The conventions that settings follow: none in ceil mode; PyTorch's pools have no padding='same'."""
    if question.ceil_mode:
        return ()
    found = names(question.size, question.kernel, stride, question.dilation, padding)
    return tuple(name for name in found if not (question.pool and name == PYTORCH))


def named_transposed(question: SizeQuestion, crop: Pair, reach: int, stride: int) -> tuple[str, ...]:
    """The conventions that settings of a transposed convolution follow."""
    same = tensorflow_same_transposed(question.kernel, stride, question.dilation)
    return (TENSORFLOW,) if same == (*crop, reach - (question.size - 1) * stride) else ()


def answer(
    question: SizeQuestion, before: int, after: int, strides: Strides, name: tuple[str, ...], extra: int = 0
) -> AxisSolution:
    """One solution, and why PyTorch's own layer does not take it, if so."""
    larger = None if strides.last is None else strides.last - strides.first
    reason = "" if PYTORCH in name else refusal(question, before, after)
    return AxisSolution(before, after, strides.first, extra, name, larger, reason)
