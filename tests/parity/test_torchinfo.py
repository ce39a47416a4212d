"""torchinfo counts the same parameters, shapes and multiply-adds, but for its own convention, which is written down.

torchinfo multiplies every parameter of a convolution, its bias too, with the places of the output; and every parameter
of any other layer with the number of images alone, so that normalisations and linear layers on tokens count once. Ours
counts one multiply-add per weight and output value (per input value where the filters are laid over the output).
"""

from __future__ import annotations

from functools import cache
from math import prod
from typing import Any

import pytest
import torch
import torchinfo
from torch import Tensor, nn
from torch.nn import functional

import featmap as fm
from featmap.methods.plan import PlanRow
from support.tiny_modules import conv, written
from support.zoo_networks import zoo_network

NAMES = ("alexnet", "resnet18", "squeezenet1_1", "mobilenet_v2")
Layers = dict[str, Any]


def summary(module: nn.Module, shape: tuple[int, ...]) -> Any:
    return torchinfo.summary(module, input_size=(1, *shape), verbose=0, depth=20)


def path_of(info: Any) -> str:
    """The path of a module in the network, which torchinfo keeps as a chain of parents."""
    names: list[str] = []
    while info.parent_info is not None:
        names.append(info.var_name)
        info = info.parent_info
    return ".".join(reversed(names))


def weighted(found: Any) -> Layers:
    """torchinfo's convolutions and linear layers by their path."""
    kinds = ("Conv1d", "Conv2d", "Conv3d", "ConvTranspose2d", "Linear")
    return {path_of(info): info for info in found.summary_list if info.class_name in kinds}


def bias_macs(module: nn.Module, info: Any) -> int:
    """What torchinfo counts for a layer's bias: one per place of the output."""
    layer: Any = module.get_submodule(path_of(info))
    places = prod(info.output_size[2:]) if "Conv" in info.class_name else 1
    return 0 if layer.bias is None else layer.bias.numel() * places


@cache
def both(name: str) -> tuple[nn.Module, Any, dict[str, PlanRow]]:
    """A network, torchinfo's summary of it, and the rows of our plan by address."""
    zoo = zoo_network(name)
    return zoo.module, summary(zoo.module, zoo.shape), {row.address: row for row in zoo.net.plan()}


@pytest.mark.parametrize("name", NAMES)
def test_parameters(name: str) -> None:
    module, theirs, rows = both(name)
    totals = zoo_network(name).net.plan().totals
    assert totals.parameters == theirs.total_params == sum(part.numel() for part in module.parameters())
    assert totals.unused_parameters == 0
    # A layer of ours holds its normalisation, which is a module of its own there.
    assert sum(row.parameters for row in rows.values()) == theirs.total_params


@pytest.mark.parametrize("name", NAMES)
def test_every_weighted_layer_has_a_row_with_the_same_shapes(name: str) -> None:
    _, theirs, rows = both(name)
    layers = weighted(theirs)
    assert len(layers) == sum(row.operator in ("conv2d", "linear") for row in rows.values()) > 5
    for path, info in layers.items():
        assert rows[path].input_shape == tuple(info.input_size[1:]), path
        assert rows[path].output_shape == tuple(info.output_size[1:]), path


@pytest.mark.parametrize("name", NAMES)
def test_multiply_adds_of_every_layer_are_theirs_without_the_biases(name: str) -> None:
    module, theirs, rows = both(name)
    for path, info in weighted(theirs).items():
        assert rows[path].macs == info.macs - bias_macs(module, info), path


@pytest.mark.parametrize("name", NAMES)
def test_the_sum_is_theirs_without_biases_and_normalisations(name: str) -> None:
    module, theirs, _ = both(name)
    norms = sum(info.macs for info in theirs.summary_list if info.class_name == "BatchNorm2d")
    biases = sum(bias_macs(module, info) for info in weighted(theirs).values())
    assert zoo_network(name).net.plan().totals.macs == theirs.total_mult_adds - norms - biases
    has_norms = any(isinstance(part, nn.BatchNorm2d) for part in module.modules())
    assert (norms > 0) == has_norms


@pytest.mark.parametrize("name", NAMES)
def test_every_module_has_the_shape_of_the_value_under_its_name(name: str) -> None:
    """Not layers alone: whatever torchinfo lists, and for which a value of ours has an address."""
    captured = zoo_network(name).net._captured
    shapes = {call: captured.sized.shape(nodes[0]) for call, nodes in captured.names.values.items()}
    listed = [info for info in both(name)[1].summary_list if info.is_leaf_layer]
    compared = 0
    for info in listed:
        call = next((known for known in shapes if known.path == path_of(info)), None)
        if call is not None:
            compared += 1
            assert tuple(shapes[call]) == tuple(info.output_size), path_of(info)
    assert compared >= 0.9 * len(listed)


@pytest.mark.parametrize("groups", [1, 2])
def test_difference_transposed_convolutions_count_output_places_there_and_input_places_here(groups: int) -> None:
    layer = nn.ConvTranspose2d(4, 6, 3, stride=2, groups=groups, bias=False)
    module = nn.Sequential(layer).eval()
    (row,) = fm.trace(module, (4, 5, 7)).plan()
    info = weighted(summary(module, (4, 5, 7)))["0"]
    assert row.output_shape == tuple(info.output_size[1:]) == (6, 11, 15)
    assert row.macs == layer.weight.numel() * 5 * 7
    assert info.macs == layer.weight.numel() * 11 * 15


def test_difference_a_linear_layer_on_tokens_counts_once_there_and_for_every_token_here() -> None:
    module = nn.Sequential(conv(3, 4), nn.Flatten(2), nn.Linear(30, 7, bias=False)).eval()
    row = fm.trace(module, (3, 5, 6)).plan().layers[-1]
    info = weighted(summary(module, (3, 5, 6)))["2"]
    assert row.macs == 4 * 30 * 7
    assert info.macs == 30 * 7


def test_difference_functional_convolutions_are_not_seen_there() -> None:
    weight = nn.Parameter(torch.ones(4, 3, 3, 3))

    class Functional(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = weight

        def forward(self, x: Tensor) -> Tensor:
            return functional.conv2d(x, self.weight, padding=1)

    module = Functional().eval()
    plan = fm.trace(module, (3, 5, 6)).plan()
    assert plan.totals.macs == weight.numel() * 30
    assert not weighted(summary(module, (3, 5, 6)))
    assert plan.totals.parameters == weight.numel()


def test_a_module_that_is_called_twice_costs_twice_and_has_its_parameters_once() -> None:
    module = written(lambda self, x: self.c(self.c(x).relu()), c=conv(3, 3, bias=False))
    plan, theirs = fm.trace(module, (3, 5, 6)).plan(), summary(module, (3, 5, 6))
    assert [row.macs for row in plan if row.operator == "conv2d"] == [81 * 30] * 2
    assert plan.totals.macs == theirs.total_mult_adds == 2 * 81 * 30
    assert plan.totals.parameters == theirs.total_params == 81
