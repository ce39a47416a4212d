"""Operators that users registered with torch: whole, right and named, also where torch has one of the same name."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import featmap as fm
from featmap.graph.operators.table import operator_of_target
from support.closeness import assert_close
from support.tiny_modules import conv, written


@torch.library.custom_op("featmap_test::roll_twice", mutates_args=())
def roll_twice(x: Tensor) -> Tensor:
    return torch.roll(x, 2, -1).clone()


@torch.library.custom_op("featmap_test::relu", mutates_args=())
def relu(x: Tensor) -> Tensor:
    return torch.roll(torch.relu(x), 1, -2).clone()


@torch.library.custom_op("featmap_test::clone", mutates_args=())
def clone(x: Tensor) -> Tensor:
    return 2 * x


@torch.library.custom_op("featmap_test::dropout", mutates_args=())
def dropout(x: Tensor, p: float, train: bool) -> Tensor:
    return x + p


for operator in (roll_twice, relu, clone):
    operator.register_fake(torch.empty_like)
dropout.register_fake(lambda x, _p, _train: torch.empty_like(x))


@pytest.mark.parametrize(
    ("name", "operator"),
    [
        ("roll_twice", roll_twice),
        ("relu", relu),
        ("clone", clone),
        ("dropout", lambda x: dropout(x, 0.5, False)),
    ],
)
def test_an_operator_of_the_users_own_is_whole_right_and_named(name: str, operator: object) -> None:
    torch.manual_seed(0)
    module: nn.Module = written(lambda self, x: self.d(operator(self.c(x))), c=conv(), d=conv(4))
    net = fm.trace(module, (3, 8, 7))
    plan = net.plan()
    address = f"featmap_test.{name}"
    assert [row.address for row in plan] == ["c", address, "d"]
    assert plan.unknown_operators == (f"{address}.default",)
    assert plan["c"].stages == ("conv", "z")
    assert plan[address].receptive_field.status == "whole"
    assert plan[address].macs is None
    image = torch.rand(1, 3, 8, 7)
    with torch.no_grad():
        assert_close(net.maps(image, "d:z", progress=False)["d:z"].values, module(image))
    assert net.receptive_field(f"{address}/1@2,3").box.as_list() == [0, 0, 8, 7]


def test_a_tagged_operator_of_somebody_else_is_unknown() -> None:
    @torch.library.custom_op("featmap_test::tagged", mutates_args=(), tags=(torch.Tag.pointwise,))
    def tagged(x: Tensor) -> Tensor:
        return torch.roll(x, 1, -1)

    assert not operator_of_target(torch.ops.featmap_test.tagged.default).is_known
