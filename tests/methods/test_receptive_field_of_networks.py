"""Receptive fields of layers and units: numbers of the literature, status, data."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

import featmap as fm
from featmap.errors import AddressError
from featmap.geometry import Box, Status
from featmap.testing.modules import Branches
from support.tiny_modules import conv, written
from support.zoo_networks import zoo_network

SHAPE = (3, 12, 10)


@pytest.mark.parametrize(
    ("name", "address", "size", "stride"),
    [
        ("vgg16", "features.14", 40, 4),
        ("vgg16", "features.21", 92, 8),
        ("vgg16", "features.28", 196, 16),
        ("resnet18", "layer4", 435, 32),
        ("alexnet", "features.0", 11, 4),
        ("alexnet", "features.10", 163, 16),
    ],
)
def test_sizes_and_strides_of_the_literature(name: str, address: str, size: int, stride: int) -> None:
    answer = zoo_network(name).net.receptive_field(address)
    assert answer.field.size == (size, size)
    assert answer.field.stride == (stride, stride)
    assert answer.box is None


def test_a_layer_and_a_unit_as_data() -> None:
    net = fm.trace(nn.Sequential(conv(), nn.ReLU(), nn.MaxPool2d(2)), SHAPE)
    assert net.receptive_field("2").to_dict() == {
        "address": "2:a",
        "size": [4, 4],
        "stride": [2, 2],
        "offset": [-1, -1],
        "steps": [None, None],
        "status": "exact",
        "input_shape": [3, 12, 10],
    }
    answer = net.receptive_field("2:a/0@0,4")
    assert answer.to_dict()["box"] == [0, 7, 3, 10]
    assert (answer.box, answer.status) == (Box(0, 7, 3, 10), Status.EXACT)
    assert net.layers[0].receptive_field.field.size == (3, 3)
    assert net.layers[0].receptive_field.address == "0:a"


def test_stages_of_a_layer_may_see_differently_much() -> None:
    module = nn.Sequential(conv(), nn.GroupNorm(1, 4), nn.ReLU())
    net = fm.trace(module, SHAPE)
    assert net.receptive_field("0:conv").status is Status.EXACT
    assert net.receptive_field("0:z").status is Status.WHOLE
    assert net.receptive_field("0:z/0@0,0").box == Box(0, 0, 12, 10)


def test_branches_that_see_differently_much_are_a_hull() -> None:
    net = fm.trace(nn.Sequential(Branches([nn.Conv2d(3, 2, 1), nn.Conv2d(3, 2, 3, padding=1)])), SHAPE)
    answer = net.receptive_field("0:z")
    assert (answer.field.size, answer.status) == ((3, 3), Status.HULL)
    assert net.receptive_field("0:z/0@5,5").box == Box(5, 5, 6, 6)
    assert net.receptive_field("0:z/3@5,5").box == Box(4, 4, 7, 7)


def test_dilation_leaves_holes_so_the_box_is_a_hull() -> None:
    net = fm.trace(nn.Sequential(nn.Conv2d(3, 4, 3, dilation=2)), SHAPE)
    answer = net.receptive_field("0:z/0@1,1")
    assert (answer.box, answer.status) == (Box(1, 1, 6, 6), Status.HULL)


def test_a_flattened_head_sees_everything() -> None:
    net = fm.trace(nn.Sequential(conv(), nn.Flatten(), nn.Linear(480, 2)), SHAPE)
    answer = net.receptive_field("2:z/1@0,0")
    assert (answer.box, answer.status) == (Box(0, 0, 12, 10), Status.WHOLE)


def test_functional_and_reused_operators_are_on_the_way() -> None:
    def forward(self: nn.Module, x: torch.Tensor) -> torch.Tensor:
        for _ in range(3):
            x = functional.max_pool2d(functional.relu(self.c(x)), 3, 1, 1)
        return x

    net = fm.trace(written(forward, c=conv(3, 3)), SHAPE)
    sizes = [net.receptive_field(f"max_pool2d#{number}").field.size[0] for number in (1, 2, 3)]
    assert sizes == [5, 9, 13]


@pytest.mark.parametrize("address", ["nope", "0:conv/9", "0@1", "0:a/0@12,0", "0:q"])
def test_wrong_addresses_are_refused(address: str) -> None:
    net = fm.trace(nn.Sequential(conv(), nn.ReLU()), SHAPE)
    with pytest.raises(AddressError):
        net.receptive_field(address)
