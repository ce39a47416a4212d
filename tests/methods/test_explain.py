"""The arithmetic of one value: against plain loops written from the definition, and the network's own value."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import featmap as fm
from featmap.errors import AddressSyntaxError, InputError, NoSuchStage, UnitOutOfRange
from featmap.geometry import Box, Status
from featmap.methods.explain import Explanation
from support.tiny_modules import conv, written
from support.zoo_networks import seeded, zoo_network

SHAPE = (4, 8, 7)

CASES: dict[str, nn.Module] = {
    "plain": nn.Conv2d(4, 6, 3),
    "padded": nn.Conv2d(4, 6, (3, 5), padding=(1, 2)),
    "strided": nn.Conv2d(4, 6, (4, 2), stride=(2, 3), padding=1),
    "dilated": nn.Conv2d(4, 6, 3, dilation=(2, 1), padding=(2, 0)),
    "grouped": nn.Conv2d(4, 6, 3, groups=2, padding=1),
    "depthwise": nn.Conv2d(4, 8, (3, 1), groups=4),
    "no bias": nn.Conv2d(4, 6, 3, bias=False),
    "same and even": nn.Conv2d(4, 6, (4, 2), padding="same", dilation=(1, 3)),
    "one pixel": nn.Conv2d(4, 6, 1),
    "larger padding than kernel": nn.Conv2d(4, 6, 2, padding=2),
    "transposed": nn.ConvTranspose2d(4, 6, 3),
    "transposed, strided": nn.ConvTranspose2d(4, 6, (3, 2), stride=(2, 3), padding=(1, 0), output_padding=(1, 2)),
    "transposed, grouped, dilated": nn.ConvTranspose2d(4, 6, 3, stride=2, padding=2, dilation=2, groups=2),
    "transposed with holes": nn.ConvTranspose2d(4, 6, 1, stride=3, output_padding=1),
}


def setting(value: Any, axis: int) -> int:
    return value[axis] if isinstance(value, tuple) else value


def padding_before(module: Any, axis: int) -> int:
    if module.padding == "same":
        return (setting(module.kernel_size, axis) - 1) * setting(module.dilation, axis) // 2
    return setting(module.padding, axis)


def meetings(module: Any, axis: int, output: int) -> list[tuple[int, int]]:
    """Input and kernel indices that meet in an output along an axis, by the definition of the operator."""
    kernel, stride = setting(module.kernel_size, axis), setting(module.stride, axis)
    dilation, before = setting(module.dilation, axis), padding_before(module, axis)
    if isinstance(module, nn.ConvTranspose2d):
        size = SHAPE[1 + axis]
        return [(i, k) for i in range(size) for k in range(kernel) if i * stride - before + k * dilation == output]
    return [(output * stride - before + k * dilation, k) for k in range(kernel)]


def loops(module: Any, image: Tensor, channel: int, row: int, column: int) -> dict[int, float]:
    """What each input channel contributes to one value, product by product."""
    transposed = isinstance(module, nn.ConvTranspose2d)
    per_group_in, per_group_out = module.in_channels // module.groups, module.out_channels // module.groups
    group = channel // per_group_out
    weights = module.weight.detach()
    found: dict[int, float] = {}
    for at in range(per_group_in):
        source, total = group * per_group_in + at, 0.0
        for (y, ky), (x, kx) in itertools.product(meetings(module, 0, row), meetings(module, 1, column)):
            if 0 <= y < SHAPE[1] and 0 <= x < SHAPE[2]:
                weight = weights[source, channel % per_group_out] if transposed else weights[channel, at]
                total += float(weight[ky, kx]) * float(image[0, source, y, x])
        found[source] = total
    return found


def units(height: int, width: int) -> list[tuple[int, int]]:
    return sorted({(0, 0), (height - 1, width - 1), (height // 2, width // 2), (0, width - 1)})


def random_image() -> Tensor:
    return torch.randn((1, *SHAPE), generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def near(value: float, scale: float) -> Any:
    """Equal to 1e-12 of the largest number that was summed."""
    return pytest.approx(value, rel=1e-12, abs=1e-12 * scale)


@pytest.mark.parametrize("case", CASES)
def test_the_terms_are_those_of_plain_loops_and_sum_to_the_networks_own_value(case: str) -> None:
    convolution = seeded(CASES[case]).double()
    module = nn.Sequential(convolution, nn.BatchNorm2d(convolution.out_channels), nn.SiLU())
    seeded(module).double().eval()
    net, image = fm.trace(module, SHAPE), random_image()
    with torch.no_grad():
        own = [convolution(image), module[:2](image), module(image)]
    for row, column in units(*own[0].shape[2:]):
        for channel in (0, convolution.out_channels - 1):
            found = net.explain(image, f"0:a/{channel}@{row},{column}")
            expected = loops(convolution, image, channel, row, column)
            scale = max(1.0, *(abs(total) for total in expected.values()))
            assert {term.channel: term.sum for term in found.terms} == {
                source: near(total, scale) for source, total in expected.items()
            }
            values = [float(value[0, channel, row, column]) for value in own]
            assert [found.conv, found.z, found.a] == [near(value, scale) for value in values]
            check_arithmetic(found, scale)


def check_arithmetic(found: Explanation, scale: float) -> None:
    """The numbers of an explanation make up its values."""
    for term in found.terms:
        assert term.window.shape == term.kernel.shape
        assert float(np.sum(term.window * term.kernel)) == near(term.sum, scale)
    assert sum(term.sum for term in found.terms) + (found.bias or 0.0) == near(found.conv, scale)
    (norm,) = found.normalizations
    assert norm.scale is not None
    assert norm.shift is not None
    assert found.conv * norm.scale + norm.shift == near(found.z, scale * max(1.0, abs(norm.scale)))
    assert found.a is not None
    assert found.z / (1 + np.exp(-found.z)) == near(found.a, scale)


def test_explanation_as_data() -> None:
    module = nn.Sequential(seeded(nn.Conv2d(4, 2, (2, 1))), nn.ReLU()).double()
    image = random_image()
    found = fm.trace(module, SHAPE).explain(image, "0:z/1@2,3")
    data = found.to_dict()
    assert list(data) == [
        "address", "input", "terms", "bias", "conv", "normalization", "z", "nonlinearity", "a", "value", "window",
        "box", "status", "weights",
    ]  # fmt: skip
    assert data["address"] == "0:z/1@2,3"
    assert data["value"] == found.value == found.z == data["z"] == data["conv"]
    assert data["normalization"] == []
    assert data["nonlinearity"] == "relu"
    assert data["a"] == max(found.z, 0.0)
    assert data["window"] == data["box"] == [2, 3, 4, 4]
    assert data["status"] == "exact"
    assert [term["channel"] for term in data["terms"]] == [0, 1, 2, 3]
    assert data["terms"][2]["window"] == image[0, 2, 2:4, 3:4].tolist()
    assert data["terms"][2]["kernel"] == module[0].weight[1, 2].tolist()
    assert repr(found) == f"Explanation(0:z/1@2,3 = {found.z:.6g}, 4 input channels)"
    sizes = [abs(term.sum) for term in found.largest]
    assert sizes == sorted(sizes, reverse=True)


@pytest.mark.parametrize(("stage", "value"), [("conv", "conv"), ("z", "z"), ("a", "a")])
def test_the_value_is_that_of_the_stage_asked_about(stage: str, value: str) -> None:
    module = seeded(nn.Sequential(nn.Conv2d(4, 2, 3), nn.BatchNorm2d(2), nn.ReLU())).eval()
    found = fm.trace(module, SHAPE).explain(random_image(), f"0:{stage}/1@2,3")
    assert found.value == getattr(found, value)
    assert len({found.conv, found.z}) == 2


def test_the_window_lies_on_the_layers_own_input_and_the_box_on_the_image() -> None:
    module = seeded(nn.Sequential(conv(4, 4), nn.MaxPool2d(2), conv(4, 4, padding=1)))
    found = fm.trace(module, SHAPE).explain(random_image(), "2:z/1@0,1")
    assert found.source == "1"
    assert found.window == Box(-1, 0, 2, 3)
    assert found.field.box == Box(0, 0, 5, 7)
    assert found.field.status is Status.EXACT
    assert found.terms[0].window[0].tolist() == [0, 0, 0]


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "inception_v3", "alexnet"])
def test_units_of_real_networks(name: str) -> None:
    zoo = zoo_network(name, double=True)
    image = zoo.images(1, torch.float64)
    layers = [layer for layer in zoo.net.layers if "conv" in layer.stages]
    stages = [f"{layer.address}:{stage}" for layer in layers for stage in layer.stages]
    maps = zoo.net.maps(image, stages, progress=False)
    for layer in (layers[0], layers[3], layers[-1]):
        rows, columns = layer.output_shape[1:] or (1, 1)
        unit = f"{layer.output_shape[0] // 2}@{rows // 2},{columns // 2}"
        found = zoo.net.explain(image, f"{layer.address}:z/{unit}")
        scale = max(abs(term.sum) for term in found.terms)
        assert sum(term.sum for term in found.terms) + (found.bias or 0.0) == near(found.conv, scale)
        for stage in layer.stages:
            value = maps[f"{layer.address}:{stage}"].values[0, layer.output_shape[0] // 2, rows // 2, columns // 2]
            assert getattr(found, stage) == pytest.approx(float(value), rel=1e-9, abs=1e-9 * scale)


def test_linear_layers_on_vectors_and_on_channels_last_maps() -> None:
    flat = seeded(nn.Sequential(nn.Flatten(), nn.Linear(4 * 8 * 7, 3))).double()
    image = random_image()
    found = fm.trace(flat, SHAPE).explain(image, "1:z/2@0,0")
    assert len(found.terms) == 4 * 8 * 7
    assert found.conv == near(float(flat(image)[0, 2].detach()), 10)
    assert found.field.status is Status.WHOLE
    last = seeded(written(lambda self, x: self.fc(x.permute(0, 2, 3, 1)), fc=nn.Linear(4, 3))).double()
    found = fm.trace(last, SHAPE).explain(image, "fc:z/2@5,1")
    assert [term.window.tolist() for term in found.terms] == [[[float(value)]] for value in image[0, :, 5, 1]]
    assert found.conv == near(float(last(image)[0, 5, 1, 2].detach()), 10)


def test_an_image_of_another_size_is_explained_at_that_size() -> None:
    def forward(self: nn.Module, x: Tensor) -> Tensor:
        # Another graph at another size: nothing is padded where nothing is missing.
        missing = -x.shape[2] % 4
        x = functional.pad(x, (0, 0, 0, missing)) if missing else x
        return functional.relu(self.c(x))

    module = seeded(written(forward, c=nn.Conv2d(4, 2, 3))).double()
    net = fm.trace(module, (4, 8, 7))
    image = torch.randn(1, 4, 9, 6, dtype=torch.float64)
    found = net.explain(image, "c:conv/1@9,3")
    with torch.no_grad():
        assert found.conv == near(float(module.c(functional.pad(image, (0, 0, 0, 3)))[0, 1, 9, 3]), 10)
    assert found.source == "pad"


@pytest.mark.filterwarnings("ignore::featmap.network.differing.BatchStatistics")
def test_norms_without_a_scale_of_their_own_are_named() -> None:
    module = seeded(nn.Sequential(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4, track_running_stats=False))).double().eval()
    found = fm.trace(module, SHAPE).explain(random_image(), "0:z/1@2,3")
    assert [(norm.operator, norm.scale, norm.shift) for norm in found.normalizations] == [("batch_norm", None, None)]
    with torch.no_grad():
        assert found.z == near(float(module(random_image())[0, 1, 2, 3]), 10)


@pytest.mark.parametrize(
    ("module", "address", "text"),
    [
        (
            nn.Sequential(conv(4), nn.ReLU()),
            "0:z/1",
            "'0:z/1' names no single value.\n\nName a unit: LAYER:STAGE/CHANNEL@ROW,COLUMN.",
        ),
        (
            nn.Sequential(conv(4), nn.MaxPool2d(2), nn.ReLU()),
            "2/1@0,0",
            "'2:a/1@0,0' is not a sum but a value of relu.\n\n"
            "Ask about a convolution, a linear layer, a sum, a concatenation, a pool or a normalisation.",
        ),
        (
            written(lambda self, x: functional.conv2d(x, self.c.weight * x.mean()), c=conv(4)),
            "conv2d:z/1@0,0",
            "'conv2d': its kernels are computed from the image; there are no weights to show.\n\n"
            "Ask for its values: maps of conv2d:conv.",
        ),
        (
            nn.Sequential(nn.Flatten(2), nn.Conv1d(4, 4, 3)),
            "1:z/1@0,0",
            "'1' (conv1d) reads values of shape 4 x 56, not maps of known rows and columns; it cannot be taken apart."
            "\n\nAsk for its values: maps of 1:conv.",
        ),
    ],
)
def test_what_cannot_be_taken_apart(module: nn.Module, address: str, text: str) -> None:
    with pytest.raises((AddressSyntaxError, NoSuchStage)) as caught:
        fm.trace(module, SHAPE).explain(random_image(), address)
    assert str(caught.value) == text


def test_one_value_belongs_to_one_image() -> None:
    net = fm.trace(nn.Sequential(conv(4), nn.ReLU()), SHAPE)
    with pytest.raises(InputError) as caught:
        net.explain(torch.zeros(2, *SHAPE), "0:a/1@0,0")
    assert str(caught.value) == "2 images were given; one value belongs to one.\n\nGive one image."


def test_a_unit_outside_the_map_of_this_image() -> None:
    net = fm.trace(nn.Sequential(conv(4), nn.ReLU()), SHAPE)
    assert net.explain(torch.zeros(1, 4, 20, 7), "0:a/1@7,0").address == "0:a/1@7,0"
    with pytest.raises(UnitOutOfRange):
        net.explain(torch.zeros(1, 4, 5, 7), "0:a/1@7,0")
