"""What every input map contributes to a feature map: with the bias they are its weighted sum, each by its kernel."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

import featmap as fm
from featmap.errors import AddressSyntaxError, InputError, NoSuchStage
from support.closeness import assert_close
from support.tiny_modules import conv
from support.zoo_networks import seeded, zoo_network

SHAPE = (4, 8, 7)

CASES: dict[str, nn.Module] = {
    "plain": nn.Conv2d(4, 6, 3),
    "asymmetric": nn.Conv2d(4, 6, (4, 2), padding="same"),
    "strided and dilated": nn.Conv2d(4, 6, (3, 2), stride=(2, 1), dilation=(1, 2), padding=(1, 0), bias=False),
    "grouped": nn.Conv2d(4, 6, 3, groups=2),
    "depthwise": nn.Conv2d(4, 8, 3, groups=4, padding=1),
    "transposed": nn.ConvTranspose2d(4, 6, (3, 2), stride=(2, 3), padding=(1, 0), output_padding=(1, 2)),
    "transposed and grouped": nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, groups=2, dilation=2),
}


def alone(convolution: Any, image: torch.Tensor, source: int) -> torch.Tensor:
    """The convolution, without its bias, of an image whose other channels are 0."""
    only = torch.zeros_like(image)
    only[:, source] = image[:, source]
    with torch.no_grad():
        value = convolution(only)
    return value if convolution.bias is None else value - convolution.bias[:, None, None].detach()


@pytest.mark.parametrize("case", CASES)
def test_each_map_is_the_convolution_of_its_channel_alone_and_all_sum_to_conv(case: str) -> None:
    convolution = seeded(CASES[case]).double()
    image = torch.randn((1, *SHAPE), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    net = fm.trace(nn.Sequential(convolution, nn.ReLU()), SHAPE)
    with torch.no_grad():
        own = convolution(image)[0]
    for channel in (0, convolution.out_channels - 1):
        found = net.contributions(image, f"0/{channel}")
        assert found.address == f"0:conv/{channel}"
        assert found.values.dtype == torch.float64
        for at, source in enumerate(found.channels):
            assert_close(found.values[at], alone(convolution, image, source)[0, channel])
        assert len(found.channels) == 4 // convolution.groups
        assert_close(found.conv, own[channel])
        assert_close(found.values.sum(0) + (found.bias or 0), own[channel])
        assert (found.bias is None) == (convolution.bias is None)


def test_shares_are_of_the_sum_of_absolute_values() -> None:
    image = torch.randn((1, *SHAPE), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = fm.trace(nn.Sequential(seeded(conv(4)), nn.ReLU()), SHAPE).contributions(image, "0:a/2")
    sizes = [float(part.abs().sum()) for part in found.values]
    assert found.shares.tolist() == pytest.approx([size / sum(sizes) for size in sizes])
    dark = fm.trace(nn.Sequential(seeded(conv(4)), nn.ReLU()), SHAPE).contributions(image * 0, "0:a/2")
    assert dark.shares.tolist() == [0, 0, 0, 0]


def test_contributions_as_data() -> None:
    image = torch.randn((1, *SHAPE), generator=torch.Generator().manual_seed(0))
    found = fm.trace(nn.Sequential(seeded(conv(4)), nn.ReLU()), SHAPE).contributions(image, "0/2")
    data = found.to_dict()
    assert list(data) == ["address", "input", "bias", "contributions", "shape", "weights", "notes"]
    assert data["address"] == "0:conv/2"
    assert data["shape"] == [8, 7]
    assert data["bias"] == found.bias
    assert data["contributions"] == [
        {"channel": at, "share": float(found.shares[at]), "sum": float(found.values[at].sum())} for at in range(4)
    ]
    largest = found.shares.argsort(descending=True).tolist()
    assert repr(found).startswith(f"Contributions(0:conv/2 from 4 input maps; largest: {largest[0]} (")


@pytest.mark.parametrize("name", ["resnet18", "squeezenet1_1"])
def test_layers_of_real_networks(name: str) -> None:
    zoo = zoo_network(name, double=True)
    image = zoo.images(1, torch.float64)
    layer = [layer for layer in zoo.net.layers if "conv" in layer.stages][4]
    found = zoo.net.contributions(image, f"{layer.address}:conv/3")
    own = zoo.net.maps(image, f"{layer.address}:conv")[f"{layer.address}:conv"].values[0, 3]
    assert_close(found.values.sum(0) + (found.bias or 0), own)


def test_a_linear_layer() -> None:
    module = seeded(nn.Sequential(nn.Flatten(), nn.Linear(4 * 8 * 7, 3))).double()
    image = torch.randn(1, *SHAPE, dtype=torch.float64)
    found = fm.trace(module, SHAPE).contributions(image, "1:z/2")
    with torch.no_grad():
        assert_close(found.values.flatten(), (module[1].weight[2] * image.flatten()).detach())
        assert_close(found.values.sum() + found.bias, module(image)[0, 2])


def test_a_picture_of_another_size() -> None:
    module = seeded(nn.Sequential(conv(4), nn.ReLU())).double()
    image = torch.randn(1, 4, 11, 5, dtype=torch.float64)
    found = fm.trace(module, SHAPE).contributions(image, "0/1")
    with torch.no_grad():
        assert_close(found.conv, functional.conv2d(image, module[0].weight, module[0].bias, padding=1)[0, 1])


@pytest.mark.parametrize(
    ("address", "kind", "text"),
    [
        ("0", AddressSyntaxError, "'0:conv' names no single feature map.\n\nName one: LAYER/CHANNEL."),
        ("2:a/0", NoSuchStage, "'2:a/0' belongs to no layer with kernels.\n\nAsk about a convolution."),
        (
            "2/0",
            NoSuchStage,
            "'2:conv/0': '2' is a pool (max_pool2d); it has no weighted sum of its own.\n\nAsk for 2/0.",
        ),
    ],
)
def test_what_has_no_contributions(address: str, kind: type[Exception], text: str) -> None:
    net = fm.trace(nn.Sequential(conv(4), nn.ReLU(), nn.MaxPool2d(2)), SHAPE)
    with pytest.raises(kind) as caught:
        net.contributions(torch.zeros(1, *SHAPE), address)
    assert str(caught.value) == text


def test_contributions_belong_to_one_image() -> None:
    net = fm.trace(nn.Sequential(conv(4), nn.ReLU()), SHAPE)
    with pytest.raises(InputError) as caught:
        net.contributions(torch.zeros(3, *SHAPE), "0/1")
    assert str(caught.value) == "3 images were given; contributions belong to one.\n\nGive one image."
