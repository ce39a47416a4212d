"""Maps of images: any spelling of an address finds them, nothing else is kept, and their shape is always the same."""

from __future__ import annotations

import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

import featmap as fm
from featmap.errors import AddressSyntaxError, NoSuchLayer, TooLittleMemory, UnitOutOfRange
from featmap.geometry import Box, Status
from featmap.methods import maps as maps_module
from featmap.network.address import Address
from support.closeness import assert_close
from support.tiny_modules import conv, written
from support.zoo_networks import seeded, zoo_network

SHAPE = (3, 9, 8)


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(conv(), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), conv(4, 2)).eval()


def images(count: int = 2) -> Tensor:
    return torch.randn((count, *SHAPE), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("spelling", ["0", "0:a", "2", "2:a", " 0:a ", "0:a/3", "0/1@2,2"])
def test_any_spelling_of_an_address_finds_its_maps(spelling: str) -> None:
    maps = fm.trace(network(), SHAPE).maps(images(), ["0:a", "0:z", "4:z"])
    assert maps[spelling] is maps["0:a"]
    assert spelling in maps
    assert maps["1"] is maps["0:z"]
    assert maps["4:conv"] is maps["4:z"]


def test_only_what_was_asked_for_is_kept() -> None:
    maps = fm.trace(network(), SHAPE).maps(images(), ["0:conv", "3"])
    assert list(maps) == ["0:conv", "3:a"]
    assert len(maps) == 2
    assert "0:z" not in maps
    assert "no.such.layer" not in maps
    assert maps.get("0:z") is None
    with pytest.raises(KeyError) as caught:
        maps["0:z"]
    assert caught.value.args == ("0:z was not asked for; these are: 0:conv, 3:a",)
    with pytest.raises(NoSuchLayer):
        maps["no.such.layer"]


@pytest.mark.parametrize("layers", ["0:z", ["0:z"], Address("0", stage="z"), [Address("0", stage="z"), "0:z/3@1,1"]])
def test_addresses_may_be_texts_or_addresses_one_or_many(layers) -> None:
    maps = fm.trace(network(), SHAPE).maps(images(), layers)
    assert list(maps) == ["0:z"]
    assert maps["0:z"].values.shape == (2, 4, 9, 8)


def test_without_layers_every_activation_comes_or_the_last_stage_of_a_layer_without_one() -> None:
    maps = fm.trace(network(), SHAPE).maps(images())
    assert list(maps) == ["0:a", "4:z"]
    zoo = zoo_network("resnet18")
    expected = [f"{layer.address}:{layer.stages[-1]}" for layer in zoo.net.layers]
    assert list(zoo.net.maps(zoo.images(1))) == expected


def test_values_of_every_stage_are_the_modules_own() -> None:
    module = network()
    maps = fm.trace(module, SHAPE).maps(images(), ["0:conv", "0:z", "0:a", "3", "4:z"])
    value = images()
    with torch.no_grad():
        for part, address in zip(module, ["0:conv", "0:z", "0:a", "3", "4:z"], strict=True):
            value = part(value)
            assert_close(maps[address].values, value, address)


def test_a_wrong_address_is_refused_before_anything_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    net = fm.trace(network(), SHAPE)
    monkeypatch.setattr(maps_module, "run_batches", lambda *_, **__: pytest.fail("it ran"))
    with pytest.raises(NoSuchLayer):
        net.maps(images(), ["0:a", "nonsense"])
    with pytest.raises(AddressSyntaxError):
        net.maps(images(), ["0:a", "0:b"])


def test_images_of_another_size_give_maps_of_another_size() -> None:
    module = network()
    other = torch.randn(3, 3, 14, 11)
    with torch.no_grad():
        expected = module[:4](other)
    assert_close(fm.trace(module, SHAPE).maps(other, "3")["3"].values, expected)


def test_maps_know_where_they_are() -> None:
    net = fm.trace(network(), SHAPE)
    maps = net.maps(images(), "3")["3"]
    assert torch.equal(maps.at(1, 2), maps.values[:, :, 1, 2])
    answer = maps.receptive_field(0, 1)
    assert (answer.box, answer.status) == (Box(0, 1, 3, 5), Status.EXACT)
    assert answer.box == net.receptive_field("3:a/0@0,1").box
    for row, column in ((4, 0), (0, 4), (-1, 0)):
        for ask in (maps.at, maps.receptive_field):
            with pytest.raises(UnitOutOfRange) as caught:
                ask(row, column)
            assert str(caught.value) == (
                f"'3:a': there is no unit at row {row}, column {column}; the feature map has 4 rows and 4 columns.\n\n"
                "Ask for a row from 0 to 3 and a column from 0 to 3."
            )


def test_maps_say_what_they_hold() -> None:
    module = nn.Sequential(nn.Conv2d(1, 1, 1, bias=False), nn.ReLU())
    nn.init.ones_(module[0].weight)
    values = torch.tensor([[-1.0, 0.0], [2.0, 3.0]])[None, None]
    maps = fm.trace(module, (1, 2, 2)).maps(values, ["0:z", "0:a"])
    assert maps["0:z"].to_dict() == {
        "address": "0:z",
        "shape": [1, 1, 2, 2],
        "images": ["image 0"],
        "weights": "the module's own",
        "minimum": -1.0,
        "maximum": 3.0,
        "mean": 1.0,
        "fraction_positive": 0.5,
    }
    assert maps.to_dict() == {"maps": [maps["0:z"].to_dict(), maps["0:a"].to_dict()]}
    assert repr(maps["0:z"]) == (
        "FeatureMaps(0:z: 1 image x 1 maps of 2 x 2, values -1 to 3, mean 1, 50.0% positive; weights: the module's own)"
    )
    assert (maps["0:z"].stage, maps["0:z"].is_signed) == ("z", True)
    assert (maps["0:a"].stage, maps["0:a"].is_signed) == ("a", False)


@pytest.mark.parametrize(
    ("forward", "name", "shape"),
    [
        (lambda self, x: self.c(x).mean((2, 3)), "mean", (2, 4, 1, 1)),
        (lambda self, x: self.c(x).mean(), "mean", (2, 1, 1, 1)),
        (lambda self, x: self.c(x).mean(2), "mean", (2, 4, 1, 8)),
        (lambda self, x: self.c(x).sum(1), "sum", (2, 1, 9, 8)),
        (lambda self, x: self.c(x).permute(0, 2, 3, 1) * 1, "mul", (2, 4, 9, 8)),
        (lambda self, x: self.c(x).transpose(2, 3) * 1, "mul", (2, 4, 9, 8)),
        (lambda self, x: self.c(x).view(len(x), 2, 2, 9, 8) * 1, "mul", (2, 4, 9, 8)),
        (lambda self, x: self.c(x).flatten(2) * 1, "mul", (2, 288, 1, 1)),
        (lambda self, x: self.c(x).flatten(1).unsqueeze(0) * 1, "mul", (2, 288, 1, 1)),
        (lambda self, x: torch.stack([self.c(x), x.mean() + self.c(x)], 1) * 1, "mul", (2, 8, 9, 8)),
    ],
)
def test_every_value_comes_as_image_channel_row_column(forward, name: str, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    module = written(forward, c=conv())
    net = fm.trace(module, SHAPE)
    maps = net.maps(images(), name)[name]
    assert maps.values.shape == shape
    with torch.no_grad():
        each = [module(image[None]) for image in images()]
    for found, expected in zip(maps.values, each, strict=True):
        assert_close(found.flatten().sort().values, expected.flatten().sort().values)
    last = shape[1] - 1, shape[2] - 1, shape[3] - 1
    assert net.receptive_field(f"{name}/{last[0]}@{last[1]},{last[2]}").box is not None


def test_maps_that_would_not_fit_into_memory_are_refused_before_they_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maps_module, "available_bytes", lambda: 10_000)
    net = fm.trace(network(), SHAPE)
    with pytest.raises(TooLittleMemory) as caught:
        net.maps(images(10), ["0:a", "4:z"])
    assert str(caught.value) == (
        "The maps of 10 images and 2 layers take 0.0 GiB; 0.0 GiB are available.\n\n"
        "Ask for fewer layers or fewer images at a time."
    )
    assert caught.value.exit_code == 1
    assert net.maps(images(1), ["4:z"])["4:z"].values.shape == (1, 2, 4, 4)


def test_pictures_go_through_the_networks_own_preprocessing() -> None:
    zoo = zoo_network("squeezenet1_1")
    record = fm.Preprocessing(70, (64, 56), (0.5, 0.4, 0.3), (0.2, 0.3, 0.4))
    net = fm.trace(zoo.module, zoo.shape, preprocessing=record)
    picture = Image.effect_mandelbrot((90, 100), (-2, -1.5, 1, 1.5), 40).convert("RGB")
    maps = net.maps([picture, picture.rotate(90)], "features.0")
    with torch.no_grad():
        expected = functional.relu(zoo.module.features[0](torch.stack([record(picture), record(picture.rotate(90))])))
    assert_close(maps["features.0"].values, expected)
    assert maps["features.0"].images == ("image 0", "image 1")


def test_a_network_of_several_inputs_runs_with_the_examples_of_the_others() -> None:
    class Masked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.c = conv()

        def forward(self, image: Tensor, mask: Tensor, *, scale: float = 1.0) -> dict[str, Tensor]:
            return {"maps": functional.relu(self.c(image) * mask * scale)}

    module, mask = seeded(Masked()), torch.rand(1, 1, 9, 8)
    net = fm.trace(module, inputs=(torch.zeros(1, *SHAPE), mask), kwargs={"scale": 2.0})
    with torch.no_grad():
        expected = module(images(3), mask, scale=2.0)["maps"]
    assert_close(net.maps(images(3), "relu")["relu"].values, expected)
