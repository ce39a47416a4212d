"""Programs against the running module: every stage, whatever was folded, overwritten, freed or laid out on the way."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

import featmap as fm
from featmap.network.names import CallName
from featmap.run.program.program import Program
from featmap.testing.oracles import node_values
from featmap.testing.strategies import RandomNetwork, networks
from support.closeness import assert_close
from support.tiny_modules import conv, written
from support.zoo_networks import ARCHITECTURES, ZooNetwork, seeded, values_of_modules, zoo_network

SHAPE = (3, 9, 8)


def program(net: fm.Network, wanted: list[int], *, fold: bool = True, dtype: torch.dtype | None = None) -> Program:
    captured = net._captured
    return Program(captured.captured, captured.tensors, wanted, fold=fold, dtype=dtype)


def own_output(zoo: ZooNetwork, images: Tensor) -> Tensor:
    with torch.no_grad():
        return zoo.module(images)


@pytest.mark.parametrize("double", [False, True], ids=["float32", "float64"])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_output_is_the_modules_own(name: str, double: bool) -> None:
    zoo = zoo_network(name, double=double)
    (output,) = zoo.net._captured.graph.outputs
    for fold in (True, False):
        run = program(zoo.net, [output], fold=fold)
        for count in (1, 3):
            images = zoo.images(count, torch.float64 if double else torch.float32)
            assert_close(run.run(images)[output], own_output(zoo, images), f"fold={fold}, {count} images")


@pytest.mark.parametrize("double", [False, True], ids=["float32", "float64"])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_modules_value_is_that_of_a_hook_on_a_copy_without_in_place_operators(name: str, double: bool) -> None:
    zoo = zoo_network(name, double=double)
    images = zoo.images(3, torch.float64 if double else torch.float32)
    seen = values_of_modules(zoo.module, images)
    values = zoo.net._captured.names.values
    nodes = {call: values[CallName(*call)][0] for call in seen if CallName(*call) in values}
    # What is left out are modules without an operator of their own, such as the identity.
    assert len(nodes) >= 0.95 * len(seen)
    found = program(zoo.net, list(nodes.values())).run(images)
    for call, node in nodes.items():
        assert_close(found[node], seen[call], f"{call}")


@pytest.mark.parametrize("name", ["resnet18", "googlenet", "mobilenet_v2", "densenet121"])
def test_folding_never_changes_a_wanted_stage(name: str) -> None:
    zoo = zoo_network(name, double=True)
    images = zoo.images(1, torch.float64)
    layers = zoo.net._captured.layers
    plain = program(zoo.net, [node for layer in layers for node in layer.nodes], fold=False).run(images)
    for layer in (layers[0], layers[1], layers[len(layers) // 2]):
        for node in layer.stages.values():
            assert_close(program(zoo.net, [node]).run(images)[node], plain[node], f"{layer} alone")
    everything = program(zoo.net, list(plain)).run(images)
    for node, value in plain.items():
        assert_close(everything[node], value, f"{node} with all others")


@settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(networks(), st.data())
def test_wanted_values_of_random_networks_are_those_of_a_run_node_by_node(
    drawn: RandomNetwork, data: st.DataObject
) -> None:
    seeded(drawn.module, data.draw(st.integers(0, 99)))
    net = fm.trace(drawn.module, inputs=torch.zeros(1, *drawn.input_shape, dtype=torch.float64))
    graph = net._captured.graph
    images = torch.randn((2, *drawn.input_shape), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    before = images.clone()
    oracle = [node_values(graph, net._captured.tensors, image[None]) for image in images]
    made = [node.index for node in graph if node.depends_on_input and not node.is_input]
    wanted = data.draw(st.lists(st.sampled_from(made), min_size=1, max_size=4, unique=True))
    for nodes in (wanted, made):
        found = program(net, nodes).run(images)
        assert set(found) == set(nodes)
        for node in nodes:
            expected = torch.cat([values[node] for values in oracle])
            assert_close(found[node].contiguous(), expected, graph[node].operator)
    assert torch.equal(images, before)


def view_of_a_value_that_a_relu_may_overwrite(self: nn.Module, x: Tensor) -> tuple[Tensor, ...]:
    z = self.c(x)
    return z[:, :2] * 1, functional.relu(z)


def wanted_view(self: nn.Module, x: Tensor) -> tuple[Tensor, ...]:
    z = self.c(x)
    return z[:, :2], functional.relu(z)


def part_read_after_the_whole(self: nn.Module, x: Tensor) -> tuple[Tensor, ...]:
    z = self.c(x)
    first, second = z.chunk(2, 1)
    return first * 1, functional.relu(z), second * 2


def view_of_a_view(self: nn.Module, x: Tensor) -> tuple[Tensor, ...]:
    z = self.c(x)
    turned = z.flatten(2).transpose(1, 2)
    a = functional.silu(z)
    return a, turned.sum(1)


def sum_of_a_value_and_its_own_view(self: nn.Module, x: Tensor) -> tuple[Tensor, ...]:
    z = self.c(x)
    return (z + z.expand(len(z), 4, 9, 8),)


def einsum_that_only_turns(self: nn.Module, x: Tensor) -> tuple[Tensor, ...]:
    z = self.c(x)
    turned = torch.einsum("nchw->nhwc", z)
    return functional.relu(z), turned + 1


def sum_with_itself(self: nn.Module, x: Tensor) -> tuple[Tensor, ...]:
    z = self.c(x)
    return z + z, functional.relu(z + z)


@pytest.mark.parametrize(
    "forward",
    [
        view_of_a_value_that_a_relu_may_overwrite,
        wanted_view,
        part_read_after_the_whole,
        view_of_a_view,
        sum_of_a_value_and_its_own_view,
        einsum_that_only_turns,
        sum_with_itself,
    ],
    ids=lambda forward: forward.__name__,
)
def test_overwriting_never_changes_what_a_view_still_shows(forward) -> None:
    torch.manual_seed(0)
    module = written(forward, c=conv())
    net = fm.trace(module, SHAPE)
    images = torch.randn(1, *SHAPE)
    with torch.no_grad():
        expected = module(images)
    outputs = list(net._captured.graph.outputs)
    found = program(net, outputs).run(images)
    for output, value in zip(outputs, expected, strict=True):
        assert_close(found[output].contiguous(), value.contiguous())


class DynamicFilters(nn.Module):
    """A convolution whose weights are made from the image, with a batch norm behind it."""

    def __init__(self) -> None:
        super().__init__()
        self.c, self.norm = conv(), nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(functional.conv2d(x, self.c.weight * x.mean(), padding=1))


def folding_cases() -> dict[str, nn.Module]:
    return {
        "bias": nn.Sequential(conv(), nn.BatchNorm2d(4), nn.ReLU(inplace=True)),
        "no bias": nn.Sequential(conv(bias=False), nn.BatchNorm2d(4)),
        "no scale": nn.Sequential(conv(), nn.BatchNorm2d(4, affine=False)),
        "grouped": nn.Sequential(nn.Conv2d(3, 6, 3, groups=3), nn.BatchNorm2d(6)),
        "transposed": nn.Sequential(nn.ConvTranspose2d(3, 4, 3, 2), nn.BatchNorm2d(4)),
        "two norms": nn.Sequential(conv(), nn.BatchNorm2d(4), nn.BatchNorm2d(4)),
        "same padding": nn.Sequential(nn.Conv2d(3, 4, (4, 3), padding="same"), nn.BatchNorm2d(4)),
        "reflected padding": nn.Sequential(nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect"), nn.BatchNorm2d(4)),
        "one dimension": nn.Sequential(nn.Flatten(2), nn.Conv1d(3, 4, 3), nn.BatchNorm1d(4)),
        "three dimensions": nn.Sequential(nn.Unflatten(1, (1, 3)), nn.Conv3d(1, 4, 3), nn.BatchNorm3d(4)),
        "statistics of the batch": nn.Sequential(conv(), nn.BatchNorm2d(4, track_running_stats=False)),
        "filters from the image": DynamicFilters(),
        "linear": nn.Sequential(nn.Flatten(), nn.Linear(216, 5), nn.BatchNorm1d(5)),
        "weight norm": nn.Sequential(torch.nn.utils.parametrizations.weight_norm(conv()), nn.BatchNorm2d(4)),
    }


@pytest.mark.parametrize("case", folding_cases())
def test_every_kind_of_convolution_and_norm(case: str) -> None:
    module = seeded(folding_cases()[case]).double().eval()
    net = fm.trace(module, SHAPE)
    images = torch.randn(1, *SHAPE, dtype=torch.float64)
    with torch.no_grad():
        expected = module(images)
    (output,) = net._captured.graph.outputs
    for fold in (True, False):
        assert_close(program(net, [output], fold=fold).run(images)[output], expected)


def test_only_what_leads_to_the_wanted_value_is_run_and_folded_norms_cost_nothing() -> None:
    captured = zoo_network("resnet18").net._captured
    place = captured.place("layer1.0.conv1:a")
    names = [step.node.base_name for step in program(zoo_network("resnet18").net, [place.node]).steps]
    assert names == ["conv2d", "relu", "max_pool2d", "conv2d", "relu"]
    names = [step.node.base_name for step in program(zoo_network("resnet18").net, [place.node], fold=False).steps]
    assert names == ["conv2d", "batch_norm", "relu", "max_pool2d", "conv2d", "batch_norm", "relu"]


def test_a_relu_writes_over_what_nobody_reads_and_nothing_else() -> None:
    net = fm.trace(nn.Sequential(conv(), nn.ReLU(), nn.Sigmoid()), SHAPE)
    z, relu, sigmoid = (net._captured.place(name).node for name in ("0:z", "0:a", "2"))
    # An activation's own value is not overwritten: whoever holds it may show it.
    assert [step.overwrites for step in program(net, [sigmoid]).steps] == [False, True, False]
    assert [step.overwrites for step in program(net, [z, sigmoid]).steps] == [False, False, False]
    assert [step.overwrites for step in program(net, [relu, sigmoid]).steps] == [False, True, False]


def test_values_are_plain_tensors_that_the_user_may_use_as_any_other() -> None:
    zoo = zoo_network("resnet18")
    maps = zoo.net.maps(zoo.images(1), ["conv1:z", "fc:z"])
    for result in maps.values():
        assert not result.values.is_inference()
        assert not result.values.requires_grad
        result.values.clone().requires_grad_().sum().backward()
        result.values.add_(1)


def test_running_twice_gives_the_same_and_reads_the_weights_of_then() -> None:
    module = nn.Sequential(conv(), nn.ReLU())
    net = fm.trace(module, SHAPE)
    (output,) = net._captured.graph.outputs
    images = torch.randn(2, *SHAPE)
    run = program(net, [output])
    assert torch.equal(run.run(images)[output], run.run(images)[output])
    with torch.no_grad():
        module[0].weight.zero_()
    assert float(net.maps(images)["0"].values.std(dim=(0, 2, 3)).max()) == 0


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_another_precision_is_that_of_the_converted_module(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    module = nn.Sequential(conv(), nn.BatchNorm2d(4), nn.ReLU(), conv(4)).eval()
    net = fm.trace(module, SHAPE)
    images = torch.randn(1, *SHAPE)
    (output,) = net._captured.graph.outputs
    found = program(net, [output], fold=False, dtype=dtype).run(images)[output]
    with torch.no_grad():
        expected = copy.deepcopy(module).to(dtype)(images.to(dtype))
    assert found.dtype == dtype
    assert_close(found, expected) if dtype != torch.bfloat16 else torch.testing.assert_close(found, expected)
    assert next(module.parameters()).dtype == torch.float32


@pytest.mark.parametrize("double", [False, True])
def test_images_are_taken_in_the_networks_own_precision(double: bool) -> None:
    module = nn.Sequential(conv())
    module = module.double() if double else module
    net = fm.trace(module, SHAPE)
    for dtype in (torch.float16, torch.float32, torch.float64):
        values = net.maps(torch.zeros(1, *SHAPE, dtype=dtype), "0:z")["0:z"].values
        assert values.dtype == (torch.float64 if double else torch.float32)
    assert net.maps(torch.zeros(1, *SHAPE), "0:z", dtype=torch.float64)["0:z"].values.dtype == torch.float64


def test_the_comparison_fails_where_it_should() -> None:
    value = torch.ones(2, 3)
    for other in (value + 0.001, value.double(), torch.ones(3, 2), value * torch.nan):
        with pytest.raises(AssertionError):
            assert_close(value, other)
        with pytest.raises(AssertionError):
            assert_close(other, value)
    assert_close(value + 0.00001, value)


@pytest.mark.parametrize("other", [{}, {"bias": False}, {"groups": 2}, {"stride": 2}, {"padding": 1}])
def test_convolutions_of_single_places(other: dict[str, int]) -> None:
    """One thread and few images take another function than torch would; the values are the same."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(4, 6, 1, **other), nn.ReLU(), nn.Conv2d(6, 2, 1)).eval()
    net = fm.trace(module, (4, 7, 5))
    made = program(net, [net._captured.place("2:conv").node])
    assert len(made.pointwise) == (1 if other.keys() & {"stride", "padding"} else 2)
    images = torch.randn(3, 4, 7, 5)
    with torch.no_grad():
        expected = module.double()(images.double())
    torch.testing.assert_close(next(iter(made.run(images).values())).double(), expected, rtol=1e-5, atol=1e-5)


class _Unbatched(nn.Module):
    """A convolution of single places of a value without an axis of images."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 5, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.second(self.first(images).squeeze(0)).unsqueeze(0)


def test_a_convolution_of_single_places_without_images() -> None:
    torch.manual_seed(0)
    module = _Unbatched().eval()
    net = fm.trace(module, (3, 8, 8))
    image = torch.randn(1, 3, 8, 8)
    found = net.maps(image, "second:z")["second:z"].values
    torch.testing.assert_close(found.flatten(), module(image).detach().flatten())


def test_onednn_is_left_out_where_a_user_wants_it_so() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 1)).eval()
    net = fm.trace(module, (3, 8, 8))
    wanted = [net._captured.place("0:conv").node]
    assert program(net, wanted).pointwise
    torch._C._set_mkldnn_enabled(False)
    try:
        assert not program(net, wanted).pointwise
    finally:
        torch._C._set_mkldnn_enabled(True)
