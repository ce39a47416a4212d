"""Layers and stages of real architectures: found however the model's author wrote them."""

import pytest
import torch
from torch import nn
from torch.nn import functional

import featmap as fm
from support.closeness import assert_close
from support.tiny_modules import conv, written
from support.zoo_networks import ARCHITECTURES, values_of_modules, zoo_network

CONV, SUM = ("conv", "z", "a"), ("z", "a")


def stages(name: str) -> dict[str, tuple[str, ...]]:
    return {layer.address: layer.stages for layer in zoo_network(name).net.layers}


def test_alexnet() -> None:
    convolutions = dict.fromkeys([f"features.{n}" for n in (0, 3, 6, 8, 10)], CONV)
    head = {"classifier.1": CONV, "classifier.4": CONV, "classifier.6": ("conv", "z")}
    assert stages("alexnet") == {**convolutions, **head}


def test_vgg16_has_13_convolutions_and_3_linear_layers() -> None:
    found = stages("vgg16")
    numbers = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
    assert list(found) == [f"features.{n}" for n in numbers] + ["classifier.0", "classifier.3", "classifier.6"]
    assert {layer: stages for layer, stages in found.items() if stages != CONV} == {"classifier.6": ("conv", "z")}


def test_resnet18_has_sums_and_its_two_calls_of_one_relu_differ() -> None:
    found = stages("resnet18")
    assert len(found) == 20 + 8 + 1
    assert found["conv1"] == CONV
    assert found["layer1.0.conv1"] == CONV
    assert found["layer1.0.conv2"] == ("conv", "z")
    assert found["layer1.0"] == SUM
    assert found["layer2.0.downsample.0"] == ("conv", "z")
    place = zoo_network("resnet18").net._captured.place
    assert place("layer1.0.relu#1").node == place("layer1.0.conv1:a").node
    assert place("layer1.0.relu#2").node == place("layer1.0:a").node


def test_squeezenet_joins_activations() -> None:
    found = stages("squeezenet1_1")
    assert found["features.3.squeeze"] == found["features.3.expand1x1"] == found["features.3.expand3x3"] == CONV
    assert found["features.3"] == ("a",)
    assert sum(kinds == ("a",) for kinds in found.values()) == 8


def test_densenet_keeps_what_its_blocks_return_in_reach() -> None:
    found = stages("densenet121")
    assert found["features.conv0"] == CONV
    assert found["features.denseblock1.denselayer1.norm1"] == SUM
    assert found["features.denseblock1.denselayer1.conv1"] == CONV
    assert found["features.denseblock1.denselayer1.conv2"] == ("conv", "z")
    assert found["features.denseblock1.denselayer2.cat"] == ("z",)
    assert found["features.denseblock1"] == ("z",)
    assert found["features.transition1.norm"] == SUM
    # The last nonlinearity is a function called by the network itself.
    assert found["features.norm5"] == SUM


@pytest.mark.parametrize(("name", "block"), [("inception_v3", "Mixed_5b"), ("googlenet", "inception3a")])
def test_functional_relu_and_cat_are_listed(name: str, block: str) -> None:
    found = stages(name)
    assert found[f"{block}.branch1{'x1' if name == 'inception_v3' else ''}.conv"] == CONV
    assert found[block] == ("a",)
    graph = zoo_network(name).net._captured.graph
    convolutions = sum(node.base_name == "conv2d" for node in graph)
    assert sum(kinds == CONV for kinds in found.values()) == convolutions
    assert sum(kinds == ("a",) for kinds in found.values()) == sum(node.base_name == "cat" for node in graph)


def test_inceptions_functional_calls_have_the_path_of_the_module_that_calls_them() -> None:
    place = zoo_network("inception_v3").net._captured.place
    assert place("Mixed_5b.branch1x1.relu").node == place("Mixed_5b.branch1x1.conv:a").node
    assert place("Mixed_5b.cat").node == place("Mixed_5b:a").node
    assert place("Mixed_5b.avg_pool2d").layer is None


def test_mobilenet_v2_has_linear_bottlenecks() -> None:
    found = stages("mobilenet_v2")
    assert found["features.2.conv.0.0"] == found["features.2.conv.1.0"] == CONV
    assert found["features.2.conv.2"] == ("conv", "z")
    assert found["features.3"] == ("z",)
    assert sum(kinds == ("z",) for kinds in found.values()) == 10


@pytest.mark.parametrize("name", ["alexnet", "vgg16", "resnet18", "squeezenet1_1", "densenet121", "inception_v3"])
def test_z_is_from_before_the_in_place_relu_and_a_is_its_relu(name: str) -> None:
    zoo = zoo_network(name)
    layers = [layer.address for layer in zoo.net.layers if layer.stages == CONV]
    wanted = [f"{layer}:{stage}" for layer in layers for stage in ("z", "a")]
    maps = zoo.net.maps(zoo.images(1), wanted, progress=False)
    for layer in layers:
        z, a = maps[f"{layer}:z"].values, maps[f"{layer}:a"].values
        assert (z < 0).any(), layer
        assert torch.equal(a, z.relu()), layer


def test_the_two_calls_of_resnets_relu_hold_different_values() -> None:
    zoo = zoo_network("resnet18")
    maps = zoo.net.maps(zoo.images(1), ["layer1.0.relu#1", "layer1.0.relu#2"])
    seen = values_of_modules(zoo.module, zoo.images(1))
    for number in (1, 2):
        assert_close(maps[f"layer1.0.relu#{number}"].values, seen["layer1.0.relu", number])
    assert not torch.equal(maps["layer1.0.relu#1"].values, maps["layer1.0.relu#2"].values)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_layer_prints_its_shape_and_every_stage_has_it(name: str) -> None:
    net = zoo_network(name).net
    resolver, sized = net._captured.resolver, net._captured.sized
    for layer, inner in zip(net.layers, net._captured.layers, strict=True):
        assert repr(layer) == (
            f"Layer({layer.address}: {' x '.join(map(str, layer.output_shape))}, stages {', '.join(layer.stages)})"
        )
        for node in inner.stages.values():
            assert (resolver.channels(node), *sized.size(node))[: len(layer.output_shape)] == layer.output_shape


@pytest.mark.parametrize(
    ("nonlinearity", "name"),
    [(functional.silu, "silu"), (functional.gelu, "gelu"), (functional.hardswish, "hardswish"), (torch.tanh, "tanh")],
)
def test_nonlinearities_of_every_kind_end_a_layer(nonlinearity, name: str) -> None:
    module = written(lambda self, x: nonlinearity(self.bn(self.c(x))), c=conv(), bn=nn.BatchNorm2d(4))
    captured = fm.trace(module, (3, 6, 5))._captured
    (layer,) = captured.layers
    assert layer.name == "c"
    assert [captured.graph[index].base_name for index in layer.nodes] == ["conv2d", "batch_norm", name]


def test_a_value_with_two_readers_ends_its_layer() -> None:
    module = written(lambda self, x: (lambda z: functional.relu(z) + z)(self.c(x)), c=conv())
    assert [(layer.address, layer.stages) for layer in fm.trace(module, (3, 6, 5)).layers] == [
        ("c", ("conv", "z")),
        ("add", ("z",)),
    ]


def test_a_value_that_is_returned_ends_its_layer() -> None:
    module = written(lambda self, x: (lambda z: (z, functional.relu(z)))(self.c(x)), c=conv())
    assert [(layer.address, layer.stages) for layer in fm.trace(module, (3, 6, 5)).layers] == [("c", ("conv", "z"))]


def test_the_sum_of_an_image_and_a_number_is_no_layer() -> None:
    module = written(lambda self, x: functional.relu(self.c(x) + 1) + self.c.bias[:, None, None], c=conv())
    assert [layer.address for layer in fm.trace(module, (3, 6, 5)).layers] == ["c"]


def test_a_linear_layer_on_channels_last_maps_makes_maps() -> None:
    module = written(lambda self, x: self.act(self.fc(x.permute(0, 2, 3, 1))), fc=nn.Linear(3, 5), act=nn.GELU())
    (layer,) = fm.trace(module, (3, 6, 4)).layers
    assert (layer.address, layer.stages, layer.output_shape) == ("fc", CONV, (5, 6, 4))
