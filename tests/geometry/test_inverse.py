"""Wanted sizes: all answers against a search through every setting, and the refusals."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from featmap.errors import NoSolution, SettingError
from featmap.geometry import (
    AxisSolution,
    TransposedWindow,
    Window,
    solve,
    solve_size,
    symmetric_same,
    tensorflow_same,
)

Numbers = tuple[int, int, int, int]


def searched(size: int, output: int, kernel: int, dilation: int, stride: int | None) -> set[Numbers]:
    """Every setting that gives the size, by trying them all."""
    span = (kernel - 1) * dilation + 1
    found: set[Numbers] = set()
    for before, after in product(range(span), repeat=2):
        if size + before + after < span:
            continue
        for step in (stride,) if stride else range(1, size + span):
            if Window(kernel, step, before, after, dilation).output_size(size) == output:
                found.add((before, after, step, 0))
                if output == 1:
                    break
    return {way for way in found if way[2] <= size or output == 1 or stride}


def searched_transposed(size: int, output: int, kernel: int, dilation: int, stride: int | None) -> set[Numbers]:
    span = (kernel - 1) * dilation + 1
    found: set[Numbers] = set()
    for before, after in product(range(span), repeat=2):
        for step in (stride,) if stride else range(1, output + 2 * span):
            made = (size - 1) * step + span - before - after
            extra = output - made
            if 0 <= extra < max(step, dilation):
                found.add((before, after, step, extra))
                if size == 1:
                    break
    return found


def numbers(ways: tuple[AxisSolution, ...]) -> set[Numbers]:
    return {(way.before, way.after, way.stride, way.output_padding) for way in ways}


sizes = st.integers(1, 14)
few = st.integers(1, 4)
maybe_stride = st.none() | few


@settings(max_examples=300, deadline=None)
@given(sizes, sizes, few, st.integers(1, 2), maybe_stride, st.booleans())
def test_all_answers_and_no_other(
    size: int, output: int, kernel: int, dilation: int, stride: int | None, transpose: bool
) -> None:
    truth = (searched_transposed if transpose else searched)(size, output, kernel, dilation, stride)
    if not truth:
        with pytest.raises(NoSolution):
            solve(size, output, kernel, stride=stride, dilation=dilation, transpose=transpose)
        return
    ways = solve(size, output, kernel, stride=stride, dilation=dilation, transpose=transpose)
    assert numbers(ways) == truth
    assert len(ways) == len(truth)
    assert list(ways) == sorted(ways, key=lambda way: way.order)
    for way in ways:
        rule = (
            TransposedWindow(kernel, way.stride, way.before, way.after, dilation, way.output_padding)
            if transpose
            else Window(kernel, way.stride, way.before, way.after, dilation)
        )
        assert rule.output_size(size) == output


@settings(max_examples=100, deadline=None)
@given(sizes, sizes, few, maybe_stride, st.booleans())
def test_the_nearest_sizes_can_be_had(size: int, output: int, kernel: int, stride: int | None, transpose: bool) -> None:
    try:
        solve(size, output, kernel, stride=stride, transpose=transpose)
    except NoSolution as refusal:
        offered = [int(word) for word in refusal.remedy.split(" cells")[0].split() if word.isdigit()]
        assert offered
        for other in offered:
            assert solve(size, other, kernel, stride=stride, transpose=transpose)
        gap = range(min(offered) + 1, max(offered)) if len(offered) == 2 else ()
        for other in gap:
            with pytest.raises(NoSolution):
                solve(size, other, kernel, stride=stride, transpose=transpose)


def test_symmetric_first_then_the_smallest() -> None:
    ways = [(way.before, way.after, way.stride) for way in solve(224, 112, 7)]
    assert ways[:4] == [(3, 3, 2), (2, 3, 2), (3, 2, 2), (1, 4, 2)]
    assert solve(224, 112, 7)[0].is_symmetric


@pytest.mark.parametrize("kernel", [3, 5, 7])
@pytest.mark.parametrize("stride", [2, 3])
def test_same_with_a_stride_has_two_conventions(kernel: int, stride: int) -> None:
    for size in (15, 16, 17):
        named = {name: way for way in solve(size, "same", kernel, stride=stride) for name in way.conventions}
        assert (named["PyTorch symmetric"].before, named["PyTorch symmetric"].after) == symmetric_same(kernel)
        way = named["TensorFlow SAME"]
        assert (way.before, way.after) == tensorflow_same(size, kernel, stride)


@pytest.mark.parametrize(("kernel", "dilation"), [(1, 1), (3, 1), (4, 1), (2, 3), (3, 2)])
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
def test_same_at_stride_1_is_what_pytorch_does(kernel: int, dilation: int) -> None:
    ways = solve(9, "same", kernel, dilation=dilation)
    (named,) = [way for way in ways if "PyTorch padding='same'" in way.conventions]
    x, weight = torch.rand(1, 1, 9, dtype=torch.float64), torch.rand(1, 1, kernel, dtype=torch.float64)
    padded = functional.pad(x, (named.before, named.after))
    truth = functional.conv1d(x, weight, padding="same", dilation=dilation)
    assert torch.allclose(functional.conv1d(padded, weight, dilation=dilation), truth, atol=1e-12)


def test_same_transposed_multiplies_the_size() -> None:
    (named,) = [way for way in solve(7, "same", 3, stride=2, transpose=True) if way.conventions]
    assert named == AxisSolution(0, 1, 2, 0, ("TensorFlow SAME",))
    assert solve(7, "same", 3, stride=2, transpose=True)[0] == AxisSolution(1, 1, 2, 1)


def test_rows_and_columns() -> None:
    found = solve_size((224, 320), (112, 160), (7, 5))
    assert {way.stride for way in found.rows} == {way.stride for way in found.columns} == {2}
    assert {(way.before, way.after) for way in found.common} <= {(way.before, way.after) for way in found.rows}
    same = solve_size((9, 8), "same", (3, 3), stride=(2, 2))
    assert [way.conventions for way in same.common if way.is_symmetric] == [("PyTorch symmetric",)]


@pytest.mark.parametrize(
    ("question", "text"),
    [
        (
            {"output": (28, 16), "stride": (2, 2)},
            "32 rows cannot become 28 with kernel 3 and paddings of at most 2: stride 2 gives 15 to 17.\n\n"
            "Ask for 17 rows, or change the kernel.",
        ),
        (
            {"output": (14, 14), "stride": (2, 2)},
            "32 rows and columns cannot become 14 with kernel 3 and paddings of at most 2: stride 2 gives 15 to 17.\n\n"
            "Ask for 15 rows and columns, or change the kernel.",
        ),
        (
            {"output": (25, 40)},
            "32 rows cannot become 25 with kernel 3 and paddings of at most 2: stride 1 gives 30 to 34, "
            "stride 2 gives 15 to 17.\n"
            "32 columns cannot become 40 with kernel 3 and paddings of at most 2: stride 1 gives 30 to 34.\n\n"
            "Ask for 17 or 30 rows, or change the kernel.\nAsk for 34 columns, or change the kernel.",
        ),
        (
            {"output": (70, 60), "stride": (2, 2), "transpose": True, "dilation": (2, 1)},
            "32 rows cannot become 70 with transposed kernel 3 with dilation 2 and paddings of at most 4: "
            "stride 2 gives 59 to 68.\n"
            "32 columns cannot become 60 with transposed kernel 3 and paddings of at most 2: "
            "stride 2 gives 61 to 66.\n\n"
            "Ask for 68 rows, or change the kernel.\nAsk for 61 columns, or change the kernel.",
        ),
    ],
)
def test_no_solution(question: dict[str, object], text: str) -> None:
    with pytest.raises(NoSolution) as caught:
        solve_size((32, 32), kernel=(3, 3), **question)
    assert str(caught.value) == text
    assert caught.value.exit_code == 2


def test_impossible_questions() -> None:
    with pytest.raises(SettingError) as caught:
        solve(0, 4, 3, stride=0)
    assert str(caught.value) == (
        "size is 0, the lowest possible is 1.\nstride is 0, the lowest possible is 1.\n\n"
        "For size use 1 or more.\nFor stride use 1 or more."
    )
    with pytest.raises(SettingError, match="output is 0, the lowest possible is 1"):
        solve(4, 0, 3)
