"""TorchLens sees the same values in every layer of a network, with the same shapes, costs and receptive fields.

TorchLens runs the model once and keeps what every operator returned; ours captures a graph and computes it again. Both
keep apart what an in-place operator read and what it wrote. Operators are compared by kind, in the order of the run.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import featmap as fm
from featmap.geometry import Status
from featmap.network.names import CallName
from featmap.run.program.program import Program
from parity.torchlens_process import KINDS, Kept, kept
from support.closeness import assert_close
from support.occlusion_cases import ConvNeXtBlock, Reused, SqueezeExcite, case_of
from support.tiny_modules import conv
from support.zoo_networks import zoo_network

ZOO = ("resnet18", "squeezenet1_1")
SMALL = {
    "squeeze and excite": nn.Sequential(
        conv(3, 4), nn.BatchNorm2d(4), nn.ReLU(inplace=True), SqueezeExcite(4), conv(4, 2)
    ),
    "ConvNeXt": nn.Sequential(conv(3, 4), ConvNeXtBlock(4), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(80, 3)),
    "called twice": Reused(),
}
SHAPE = (3, 10, 8)


class Seen:
    """One network on one image: ours, and what TorchLens kept."""

    def __init__(self, net: fm.Network, image: Tensor) -> None:
        self.net = net
        self.captured = net._captured
        self.image = image
        self.theirs: list[Kept] = []

    def values(self, nodes: list[int]) -> dict[int, Any]:
        return Program(self.captured.captured, self.captured.tensors, nodes, fold=False).run(self.image)

    def of_kind(self, kind: str) -> list[Kept]:
        return [op for op in self.theirs if op.kind == kind]


@pytest.fixture(scope="module")
def every(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Seen]:
    asked: dict[str, tuple[nn.Module, Tensor]] = {}
    found: dict[str, Seen] = {}
    for name in ZOO:
        zoo = zoo_network(name)
        found[name], asked[name] = Seen(zoo.net, zoo.images(1)), (zoo.module, zoo.images(1))
    for name, module in SMALL.items():
        case = case_of(module, SHAPE)
        found[name], asked[name] = Seen(case.net, case.image), (case.module, case.image)
    for name, theirs in kept(asked, tmp_path_factory.mktemp("torchlens")).items():
        found[name].theirs = theirs
    return found


@pytest.mark.parametrize("name", [*ZOO, *SMALL])
def test_every_operator_makes_the_same_value(every: dict[str, Seen], name: str) -> None:
    seen = every[name]
    ours: defaultdict[str, list[int]] = defaultdict(list)
    for node in seen.captured.graph:
        kind = KINDS.get(node.base_name)
        if node.depends_on_input and kind is not None:
            ours[kind].append(node.index)
    assert {kind: len(nodes) for kind, nodes in ours.items()} == {
        kind: len(seen.of_kind(kind)) for kind in {op.kind for op in seen.theirs} if kind is not None
    }
    wanted = [node for nodes in ours.values() for node in nodes]
    values = seen.values(wanted)
    for kind, nodes in ours.items():
        for node, op in zip(nodes, seen.of_kind(kind), strict=True):
            assert seen.captured.sized.shape(node) == tuple(op.value.shape)
            assert_close(values[node], op.value, op.label)
    assert len(wanted) >= (0.9 * len(seen.theirs) if name in ZOO else 4)


@pytest.mark.parametrize("name", ZOO)
def test_maps_of_every_layer_are_what_its_module_returned(every: dict[str, Seen], name: str) -> None:
    """By the names that users write: `layer1.0.conv1:conv` is the value of the module `layer1.0.conv1`."""
    seen = every[name]
    layers = [layer for layer in seen.captured.layers if layer.kind == "convolution"]
    assert len(layers) > 15
    returned = {call: op.value for op in seen.theirs for call in op.modules}
    for address, found in seen.net.maps(seen.image, [f"{layer.name}:conv" for layer in layers]).items():
        assert_close(found.values, returned[f"{address.partition(':')[0]}:1"], address)


@pytest.mark.parametrize("name", ZOO)
def test_what_modules_returned_stands_under_the_same_names(every: dict[str, Seen], name: str) -> None:
    seen = every[name]
    nodes: dict[int, Kept] = {}
    calls = [(call, op) for op in seen.theirs for call in op.modules]
    for call, op in calls:
        path, _, number = call.rpartition(":")
        found = seen.captured.names.values.get(CallName(path, int(number)))
        if found is not None:
            nodes[found[0]] = op
    # Without modules that hand on what another one made: sequences, blocks, the network itself.
    assert len(nodes) >= 0.6 * len(calls)
    values = seen.values(list(nodes))
    for node, op in nodes.items():
        assert_close(values[node], op.value, op.label)


@pytest.mark.parametrize("name", ZOO)
def test_multiply_adds_of_convolutions(every: dict[str, Seen], name: str) -> None:
    """TorchLens too counts one per weight and output value; its older versions half of one per bias as well."""
    rows = {row.address: row for row in every[name].net.plan()}
    for op in every[name].of_kind("conv2d"):
        address = op.module.rpartition(":")[0]
        ours, biases = rows[address].macs, op.value.numel() // 2
        assert ours is not None
        assert op.macs in (ours, ours + biases), address


@pytest.mark.parametrize("name", ZOO)
def test_receptive_fields_of_convolutions(every: dict[str, Seen], name: str) -> None:
    """Size and stride along rows and columns, for all but those behind a mean over the whole map."""
    rows = {row.address: row.receptive_field for row in every[name].net.plan()}
    compared = 0
    for op in every[name].of_kind("conv2d"):
        found = rows[op.module.rpartition(":")[0]]
        assert found is not None
        if found.status != Status.WHOLE:
            compared += 1
            assert (found.size, found.stride) == (op.field, op.stride), op.label
    assert compared > 15


def test_a_module_that_is_called_twice_has_a_value_for_every_call(every: dict[str, Seen]) -> None:
    seen = every["called twice"]
    maps = seen.net.maps(seen.image, ["conv#1:conv", "conv#2:conv"])
    calls = seen.of_kind("conv2d")
    assert [op.modules for op in calls] == [("conv:1",), ("conv:2",)]
    for found, op in zip(maps.values(), calls, strict=True):
        assert_close(found.values, op.value)
    assert not torch.equal(calls[0].value, calls[1].value)
