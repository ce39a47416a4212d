"""Networks in another process: the same maps and fingerprint, and an error for what cannot be sent."""

from __future__ import annotations

import multiprocessing
import pickle
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from copy import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import featmap as fm
from featmap.errors import ModelError
from featmap.graph.schema import operator_named
from featmap.index.schema.fingerprint import network_fingerprint
from featmap.network.network import CapturedNetwork
from featmap.network.shipped import shipped
from featmap.network.tensors import RandomWeights
from featmap.run.program.program import Program
from featmap.testing.modules import Branches, Residual
from support.closeness import assert_close
from support.tiny_modules import conv, written
from support.zoo_networks import zoo_network

SHAPE = (3, 14, 11)


def maps_of(network: CapturedNetwork) -> dict[str, Tensor]:
    """Every layer's maps on a random image, by address."""
    images = torch.randn(1, *network.input_shape, generator=torch.Generator().manual_seed(1))
    places = network.layer_places()
    program = Program(network.captured, network.tensors, [place.node for place in places])
    values = program.run(images, network.other_inputs)
    return {place.key: values[place.node].float() for place in places}


def answered(data: bytes) -> tuple[str, dict[str, Any]]:
    """What a network says that arrived as these bytes: its fingerprint and its maps."""
    network = pickle.loads(data).network()
    # As arrays: tensors would be handed over in files of shared memory.
    return network_fingerprint(network), {key: maps.numpy() for key, maps in maps_of(network).items()}


def tied() -> nn.Module:
    first = conv(3, 3)
    second = conv(3, 3)
    second.weight = first.weight
    return written(lambda self, x: self.b(torch.relu(self.a(x))), a=first, b=second)


def half_precision() -> nn.Module:
    return written(lambda self, x: self.c(x.to(torch.bfloat16)).float(), c=conv().to(torch.bfloat16))


def networks() -> dict[str, CapturedNetwork]:
    torch.manual_seed(0)
    in_place = nn.Sequential(conv(3, 4), nn.BatchNorm2d(4), nn.ReLU(inplace=True), conv(4, 2))
    branches = nn.Sequential(Branches([conv(3, 2), conv(3, 5, 1)]), nn.ReLU(), Residual(conv(7, 7)))
    parts = written(lambda self, x: torch.cat([self.c(part) for part in x.split(1, dim=1)], 1), c=conv(1, 2))
    random = fm.load("timm:lcnet_035", input_shape=(3, 32, 40))._captured
    with pytest.warns(RandomWeights):
        assert random.tensors["conv_stem.weight"].ndim == 4
    return {
        "in-place relu after batch norm": traced(in_place),
        "concatenation and sum": traced(branches),
        "parts of a value": traced(parts),
        "tied weights": traced(tied()),
        "bfloat16": traced(half_precision()),
        "float64": traced(nn.Sequential(conv(), nn.ReLU()).double()),
        "another input": with_another_input(),
        "another size than the captured": traced(in_place).at((3, 20, 9)),
        "squeezenet": zoo_network("squeezenet1_1").net._captured,
        "resnet": zoo_network("resnet18").net._captured,
        "random weights": random,
    }


def traced(module: nn.Module) -> CapturedNetwork:
    return fm.trace(module.eval(), SHAPE)._captured


def with_another_input() -> CapturedNetwork:
    module = written(lambda self, x, y: self.c(x) * y, c=conv())
    return fm.trace(module, inputs=(torch.randn(1, *SHAPE), torch.full((1, 4, 1, 1), 2.0)))._captured


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[ProcessPoolExecutor]:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool


def test_a_shipped_network_is_the_same_in_another_process(elsewhere: ProcessPoolExecutor) -> None:
    for name, network in networks().items():
        fingerprint, maps = elsewhere.submit(answered, pickle.dumps(shipped(network), protocol=5)).result()
        assert fingerprint == network_fingerprint(network), name
        here = maps_of(network)
        assert list(maps) == list(here), name
        for address, values in here.items():
            assert_close(torch.from_numpy(maps[address]), values, f"{name}: {address}")


def test_other_weights_give_another_fingerprint() -> None:
    network = traced(nn.Sequential(conv()))
    arrived = shipped(network).network()
    moved = {name: tensor + 1 for name, tensor in arrived.tensors.items()}
    assert network_fingerprint(replace(arrived, tensors=moved)) != network_fingerprint(network)


def test_what_is_said_of_a_network_arrives_too() -> None:
    network = replace(traced(nn.Sequential(conv())), weights_source="a file")
    arrived = pickle.loads(pickle.dumps(shipped(network))).network()
    assert (arrived.name, arrived.weights_source) == (network.name, "a file")
    assert arrived.preprocessing == network.preprocessing
    assert arrived.graph == network.graph
    assert arrived.recapture is None


def test_memory_that_several_names_share_travels_once() -> None:
    network = shipped(traced(tied()))
    assert network.tensors["a.weight"].data is network.tensors["b.weight"].data
    assert network.tensors["a.bias"].data is not network.tensors["b.bias"].data
    assert len(pickle.dumps(network)) > network.tensors["a.weight"].data.nbytes


def test_tensors_lie_in_memory_that_arrives_read_only() -> None:
    buffers: list[pickle.PickleBuffer] = []
    network = traced(nn.Sequential(conv()))
    data = pickle.dumps(shipped(network), protocol=5, buffer_callback=buffers.append)
    arrived = pickle.loads(data, buffers=[bytes(buffer.raw()) for buffer in buffers]).network()
    assert len(buffers) == len(network.tensors)
    assert network_fingerprint(arrived) == network_fingerprint(network)


def test_an_operator_that_cannot_travel_is_named() -> None:
    network = traced(nn.Sequential(conv()))
    strange = tuple(replace(node, target=lambda x: x) if node.target else node for node in network.graph)
    captured = copy(network.captured)
    captured.graph = replace(network.graph, nodes=strange)
    with pytest.raises(ModelError, match=r"The operator aten\.conv2d\.default cannot be sent to another process: "):
        shipped(replace(network, captured=captured))


def test_an_operator_that_is_not_known_here_is_named() -> None:
    with pytest.raises(ModelError) as caught:
        operator_named("aten.no_such_thing.default")
    assert str(caught.value) == (
        "This process does not know torch's operator aten.no_such_thing.default.\n\n"
        "Import the package that registers it first."
    )
    assert operator_named("aten.add.Tensor") is torch.ops.aten.add.Tensor


def test_several_outputs_arrive_as_a_list() -> None:
    network = traced(written(lambda self, x: {"maps": self.c(x), "sum": x.sum()}, c=conv()))
    assert shipped(network).network().graph.unflatten([1, 2]) == [1, 2]
    assert shipped(traced(nn.Sequential(conv()))).network().graph.unflatten([1]) == 1
