"""The solver for output sizes, compared with a search through all settings, and its errors."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from itertools import product
from math import ceil, floor, inf
from typing import Any

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from featmap.errors import NoSolution, SettingError
from featmap.geometry import (
    AxisSolution,
    size_formula,
    solve,
    solve_size,
    symmetric_same,
    tensorflow_same,
)

Numbers = tuple[int, int, int, int]
STEPS = 60
"""Strides that are searched: more than any padded input here has cells."""


def made(size: int, kernel: int, dilation: int, stride: int, padding: tuple[int, int], *, ceil_mode: bool) -> int:
    """Outputs of a convolution or pool, as PyTorch's documentation defines them."""
    slack = size + sum(padding) - dilation * (kernel - 1) - 1
    if not ceil_mode:
        return floor(slack / stride) + 1
    outputs = ceil(slack / stride) + 1
    return outputs - 1 if (outputs - 1) * stride >= size + padding[0] else outputs


def made_transposed(size: int, kernel: int, dilation: int, stride: int, padding: tuple[int, int], extra: int) -> int:
    return (size - 1) * stride - sum(padding) + dilation * (kernel - 1) + extra + 1


def searched(
    size: int, output: int, kernel: int, dilation: int, stride: int | None, *, ceil_mode: bool = False
) -> set[Numbers]:
    """Every setting that gives the size, by trying them all."""
    span = (kernel - 1) * dilation + 1
    settings = product(range(span), range(span), (stride,) if stride else range(1, STEPS))
    return {
        (before, after, step, 0)
        for before, after, step in settings
        if made(size, kernel, dilation, step, (before, after), ceil_mode=ceil_mode) == output
    }


def searched_transposed(size: int, output: int, kernel: int, dilation: int, stride: int | None) -> set[Numbers]:
    span = (kernel - 1) * dilation + 1
    settings = product(range(span), range(span), (stride,) if stride else range(1, STEPS))
    return {
        (before, after, step, extra)
        for before, after, step in settings
        for extra in range(max(step, dilation))
        if made_transposed(size, kernel, dilation, step, (before, after), extra) == output
    }


def numbers(ways: tuple[AxisSolution, ...]) -> set[Numbers]:
    """Each setting by itself, those without end up to the last that is searched."""
    return {
        (way.before, way.after, stride, way.output_padding)
        for way in ways
        for stride in range(way.stride, STEPS if way.last_stride is None else way.last_stride + 1)
    }


def evaluated(formula: str) -> int:
    """What the left side of a printed sum gives, its brackets read as what they mean."""
    plain = formula.split(" = ")[0].replace("×", "*")
    for opening, closing, name in ("⌊⌋f", "⌈⌉c"):
        plain = plain.replace(opening, f"{name}(").replace(closing, ")")
    found = eval(plain, {"f": floor, "c": ceil})
    assert found == int(found)
    return int(found)


sizes = st.integers(1, 14)
few = st.integers(1, 4)
maybe_stride = st.none() | few | st.integers(1, 30)
KINDS: dict[str, dict[str, Any]] = {
    "convolution": {},
    "transposed": {"transpose": True},
    "pool": {"pool": True},
    "ceil": {"pool": True, "ceil_mode": True},
}
kinds = st.sampled_from(list(KINDS))


@settings(max_examples=400)
@given(sizes, sizes, few, st.integers(1, 3), maybe_stride, kinds)
@example(10, 2, 3, 1, None, "convolution")
@example(7, 1, 7, 1, None, "convolution")
@example(1, 1, 4, 1, None, "ceil")
@example(1, 5, 3, 2, None, "transposed")
def test_all_answers_and_no_other(
    size: int, output: int, kernel: int, dilation: int, stride: int | None, kind: str
) -> None:
    if kind == "transposed":
        truth = searched_transposed(size, output, kernel, dilation, stride)
    else:
        truth = searched(size, output, kernel, dilation, stride, ceil_mode=kind == "ceil")
    if not truth:
        with pytest.raises(NoSolution):
            solve(size, output, kernel, stride=stride, dilation=dilation, **KINDS[kind])
        return
    ways = solve(size, output, kernel, stride=stride, dilation=dilation, **KINDS[kind])
    assert numbers(ways) == truth
    assert sum(len(numbers((way,))) for way in ways) == len(truth)
    assert list(ways) == sorted(ways, key=lambda way: way.order)
    for way in ways:
        rule = way.rule(kernel, dilation, transpose=kind == "transposed", ceil_mode=kind == "ceil")
        assert rule.output_size(size) == output
        assert evaluated(size_formula(rule, size)) == output
        assert way.last_stride is None or way.last_stride < STEPS // 2 or way.stride == stride


LAYERS = {
    "convolution": lambda kernel, way, dilation: nn.Conv2d(1, 1, kernel, way.stride, way.before, dilation),
    "transposed": lambda kernel, way, dilation: nn.ConvTranspose2d(
        1, 1, kernel, way.stride, way.before, way.output_padding, dilation=dilation
    ),
    "pool": lambda kernel, way, dilation: nn.MaxPool2d(kernel, way.stride, way.before, dilation),
    "ceil": lambda kernel, way, dilation: nn.MaxPool2d(kernel, way.stride, way.before, dilation, ceil_mode=True),
}


@settings(max_examples=100)
@given(sizes, sizes, few, st.integers(1, 3), maybe_stride, kinds)
@example(8, 8, 3, 1, 1, "pool")
def test_pytorch_takes_what_is_not_marked_and_refuses_what_is(
    size: int, output: int, kernel: int, dilation: int, stride: int | None, kind: str
) -> None:
    with suppress(NoSolution):
        for way in solve(size, output, kernel, stride=stride, dilation=dilation, **KINDS[kind]):
            if not way.is_symmetric:
                assert way.not_in_pytorch or "PyTorch padding='same'" in way.conventions
                continue
            layer = LAYERS[kind](kernel, way, dilation).eval()
            if way.not_in_pytorch:
                with pytest.raises(RuntimeError, match=r"half of (effective )?kernel size"):
                    layer(torch.zeros(1, 1, size, size))
            else:
                assert layer(torch.zeros(1, 1, size, size)).shape[-1] == output


@settings(max_examples=200)
@given(sizes, sizes, few, st.integers(1, 3), kinds)
@example(7, 1, 7, 1, "convolution")
@example(1, 1, 3, 1, "convolution")
@example(1, 4, 2, 1, "transposed")
def test_a_range_has_the_names_of_each_of_its_strides(
    size: int, output: int, kernel: int, dilation: int, kind: str
) -> None:
    with suppress(NoSolution):
        for way in solve(size, output, kernel, dilation=dilation, **KINDS[kind]):
            for stride in range(way.stride, STEPS if way.last_stride is None else way.last_stride + 1):
                alone = solve(size, output, kernel, stride=stride, dilation=dilation, **KINDS[kind])
                (same,) = [
                    other
                    for other in alone
                    if (other.before, other.after, other.output_padding) == (way.before, way.after, way.output_padding)
                ]
                assert same == replace(way, stride=stride, larger=0)


@pytest.mark.parametrize(
    ("kind", "sides", "text"),
    [
        ("convolution", (0, 1), "Conv2d pads both sides alike: call functional.pad before it"),
        ("transposed", (0, 1), "ConvTranspose2d crops both sides alike: slice the rest off its result"),
        ("pool", (0, 1), "PyTorch pads a pool alike on both sides: call functional.pad before it"),
        ("pool", (2, 2), "PyTorch pads a pool by at most half of its kernel: call functional.pad before it"),
        ("ceil", (1, 0), "PyTorch pads a pool alike on both sides"),
        ("ceil", (0, 2), "PyTorch pads a pool by at most half of its kernel"),
        ("convolution", (1, 1), ""),
    ],
)
def test_what_pytorch_does_not_take_is_said(kind: str, sides: tuple[int, int], text: str) -> None:
    size = 9
    for output in range(1, 20):
        with suppress(NoSolution):
            for way in solve(size, output, 3, stride=2, **KINDS[kind]):
                if (way.before, way.after) == sides:
                    assert way.not_in_pytorch == text
                    return
    pytest.fail("no such padding")


@pytest.mark.parametrize("before", [0, 1, 2])
def test_padding_first_is_the_same_layer(before: int) -> None:
    x, layer = torch.rand(1, 1, 9), nn.MaxPool1d(3, 2)
    padded = functional.pad(x, (before, 2), value=-inf)
    (way,) = [
        way
        for way in solve(9, layer(padded).shape[-1], 3, stride=2, pool=True)
        if (way.before, way.after) == (before, 2)
    ]
    assert way.not_in_pytorch.endswith(": call functional.pad before it")


@settings(max_examples=60)
@given(st.tuples(sizes, sizes), st.tuples(sizes, sizes), st.tuples(few, few), kinds)
@example((7, 9), (1, 1), (7, 3), "convolution")
def test_what_serves_both_axes_is_what_serves_each(
    size: tuple[int, int], output: tuple[int, int], kernel: tuple[int, int], kind: str
) -> None:
    with suppress(NoSolution):
        found = solve_size(size, output, kernel, **KINDS[kind])
        assert numbers(found.common) == numbers(found.rows) & numbers(found.columns)
        assert list(found.common) == sorted(found.common, key=lambda way: way.order)


@settings(max_examples=100)
@given(sizes, sizes, few, maybe_stride, kinds)
def test_the_nearest_sizes_can_be_had(size: int, output: int, kernel: int, stride: int | None, kind: str) -> None:
    try:
        solve(size, output, kernel, stride=stride, **KINDS[kind])
    except NoSolution as refusal:
        offered = [int(word) for word in refusal.remedy.split(" cells")[0].split() if word.isdigit()]
        assert offered
        for other in offered:
            assert solve(size, other, kernel, stride=stride, **KINDS[kind])
        gap = range(min(offered) + 1, max(offered)) if len(offered) == 2 else ()
        for other in gap:
            with pytest.raises(NoSolution):
                solve(size, other, kernel, stride=stride, **KINDS[kind])


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
    assert (named.before, named.after, named.stride, named.output_padding) == (0, 1, 2, 0)
    assert named.conventions == ("TensorFlow SAME",)
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
def test_no_solution(question: dict[str, Any], text: str) -> None:
    with pytest.raises(NoSolution) as caught:
        solve_size((32, 32), kernel=(3, 3), **question)
    assert str(caught.value) == text
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ({"pool": True, "transpose": True}, "a pool is not a transposed convolution.\n\nAsk for one of them."),
        (
            {"ceil_mode": True},
            "ceil mode belongs to pools, this is a convolution.\n\nLeave it out, or ask for a pool.",
        ),
    ],
)
def test_settings_of_different_layers(kind: dict[str, bool], text: str) -> None:
    with pytest.raises(SettingError) as caught:
        solve(4, 2, 3, **KINDS["convolution"] | kind)
    assert str(caught.value) == text


def test_a_pool_that_no_setting_gives() -> None:
    with pytest.raises(NoSolution) as caught:
        solve(7, 30, 3, pool=True, ceil_mode=True)
    assert str(caught.value) == (
        "7 cells cannot become 30 with ceil-mode pool kernel 3 and paddings of at most 2: stride 1 gives 5 to 9.\n\n"
        "Ask for 9 cells, or change the kernel."
    )


def test_impossible_questions() -> None:
    with pytest.raises(SettingError) as caught:
        solve(0, 4, 3, stride=0)
    assert str(caught.value) == (
        "size is 0, the lowest possible is 1.\nstride is 0, the lowest possible is 1.\n\n"
        "For size use 1 or more.\nFor stride use 1 or more."
    )
    with pytest.raises(SettingError, match="output is 0, the lowest possible is 1"):
        solve(4, 0, 3)
