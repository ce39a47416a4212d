"""The contract of operators itself: a registered operator passes it as it is, and not with any one wrong claim."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

import featmap as fm
from featmap.geometry import Window
from featmap.graph.operators.base.operator import Operator, Weightless, lined_up, same_channels
from featmap.graph.operators.base.regions import WindowKernel
from featmap.graph.operators.nonlinearity import Nonlinearity, Rectifier
from featmap.graph.operators.table import TABLE
from support.operators.contract import hold_contract


@torch.library.custom_op("featmap_contract::smooth", mutates_args=())
def smooth(maps: Tensor) -> Tensor:
    """The mean over 3 x 3 pixels of every channel, zeros around, as a convolution."""
    return functional.conv2d(maps, _mean(maps), None, 1, 1, 1, maps.shape[1])


def _mean(maps: Tensor) -> Tensor:
    return torch.full((maps.shape[1], 1, 3, 3), 1 / 9, dtype=maps.dtype)


smooth.register_fake(torch.empty_like)
smooth.register_autograd(lambda _, signal: functional.conv2d(signal, _mean(signal), None, 1, 1, 1, signal.shape[1]))


@torch.library.custom_op("featmap_contract::gate", mutates_args=())
def gate(x: Tensor) -> Tensor:
    """A rectifier that stops at 2."""
    return x.clamp(0, 2)


gate.register_fake(torch.empty_like)


def _remember(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
    ctx.passes = (inputs[0] > 0) & (output < 2)


gate.register_autograd(lambda context, signal: signal * context.passes, setup_context=_remember)


@dataclass(frozen=True)
class Smooth(Weightless):
    """What is right of `smooth`, and what may be said instead."""

    before: int = 1
    after: int = 1
    products: int = 9
    kernel_before: int = 0
    is_linear = True

    def axes(self, call: Any) -> Any:
        return call.map_axes(2)

    def rules(self, call: Any, operand: Any) -> Any:
        rule = Window(self.before + self.after + 1, 1, self.before, self.after)
        return lined_up(call, operand, [rule, rule])

    def channels(self, call: Any, position: int, wanted: Any) -> Any:
        return same_channels(call, position, wanted)

    def passes_axis(self, call: Any, operand: Any, axis: int) -> bool:
        del call
        return axis < operand.rank - 2

    def macs(self, call: Any) -> int:
        return torch.Size(call.out_shape).numel() * self.products

    def windows(self, call: Any, operand: Any) -> WindowKernel:
        del call, operand
        rule = Window(3, 1, 1, 1)
        return WindowKernel(rule, rule, lambda _weights: self.smoothed)

    def smoothed(self, gathered: Tensor, _rows: Any, _columns: Any) -> Tensor:
        maps = gathered.permute(0, 3, 1, 2)
        weight = torch.full((maps.shape[1], 1, 3, 3), 1 / (9 + self.kernel_before), dtype=maps.dtype)
        return functional.conv2d(maps, weight, None, 1, 0, 1, maps.shape[1])


class Copying(Rectifier):
    """What is said to write over its input, and does not."""

    def in_place(self, graph: Any, node: Any) -> Any:
        del graph, node
        return lambda x: x.clamp(0, 2)


@pytest.fixture(autouse=True)
def _registered_for_a_test() -> Iterator[None]:
    before = dict(TABLE)
    yield
    TABLE.clear()
    TABLE.update(before)


def held(name: str, operator: Operator) -> int:
    fm.register_operator(f"featmap_contract.{name}", operator)
    return sum(hold_contract(f"featmap_contract.{name}", count=3).values())


def test_a_new_entry_is_covered_by_being_there() -> None:
    assert held("smooth", Smooth()) == 3
    assert held("gate", Rectifier(high=2.0, has_in_place_form=False)) == 3


def test_an_entry_that_says_nothing_is_right() -> None:
    assert held("smooth", Operator()) == 3


@pytest.mark.parametrize(
    ("name", "operator", "check"),
    [
        ("smooth", Smooth(before=0), "check_box"),
        ("smooth", Smooth(after=2), "check_box"),
        ("smooth", Smooth(products=8), "check_cost"),
        ("smooth", Weightless(), "check_cost"),
        ("smooth", Smooth(kernel_before=1), "check_region"),
        ("smooth", Rectifier(), "check_box"),
        ("gate", Rectifier(high=1.0, has_in_place_form=False), "check_(signal|bounds)"),
        ("gate", Nonlinearity(low=0.0, high=2.0), "check_signal"),
        ("gate", Rectifier(high=2.0, zero_below=False, has_in_place_form=False), "check_bounds"),
        ("gate", Rectifier(high=2.0, low=-1.0, has_in_place_form=False), "check_bounds"),
        ("gate", Copying(high=2.0), "check_memory"),
    ],
    ids=str,
)
def test_a_wrong_claim_is_found(name: str, operator: Operator, check: str) -> None:
    with pytest.raises(AssertionError, match=f"^{check} of featmap_contract.{name}.default"):
        held(name, operator)
