"""z and a as a pair, on networks that overwrite, reuse and call functions; and on a network that was really trained."""

import json
import warnings
from pathlib import Path

import pytest
import torch
from torch import nn

import featmap as fm
from featmap.network.preprocess import Preprocessing
from featmap.network.tensors import RandomWeights
from featmap.sources.zoo import import_torchvision

TINY = Path(__file__).parents[2].parent / "shared" / "data" / "tiny_vgg"

CONVOLUTIONS = {
    "alexnet": "features.3",
    "vgg16": "features.2",
    "resnet18": "layer1.0.conv1",
    "squeezenet1_1": "features.3.expand3x3",
    "densenet121": "features.denseblock1.denselayer2.conv1",
    "inception_v3": "Mixed_5b.branch3x3dbl_2.conv",
}


def loaded(name: str) -> fm.Network:
    import_torchvision()
    return fm.load(f"torchvision:{name}", input_shape=(3, 96, 96))


@pytest.mark.parametrize(("name", "layer"), CONVOLUTIONS.items())
def test_z_has_negative_values_and_a_is_its_relu(name: str, layer: str) -> None:
    image = torch.randn(1, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RandomWeights)
        maps = loaded(name).maps(image, [f"{layer}:conv", f"{layer}:z", f"{layer}:a"], progress=False)
    z, a = maps[f"{layer}:z"].values, maps[f"{layer}:a"].values
    assert (z < 0).any()
    assert (z > 0).any()
    torch.testing.assert_close(a, torch.relu(z), rtol=0, atol=0)


def test_the_two_calls_of_a_reused_relu_differ() -> None:
    image = torch.randn(1, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    with pytest.warns(RandomWeights, match="has no trained weights"):
        maps = loaded("resnet18").maps(image, ["layer1.0.relu#1", "layer1.0.relu#2"], progress=False)
    assert list(maps) == ["layer1.0.relu#1:a", "layer1.0.relu#2:a"]
    first, second = (value.values for value in maps.values())
    assert first.shape == second.shape
    assert not torch.equal(first, second)


class TinyVGG(nn.Module):
    """The network of CNN Explainer, in PyTorch's layout."""

    def __init__(self) -> None:
        super().__init__()
        convolutions = [nn.Conv2d(3, 10, 3), *(nn.Conv2d(10, 10, 3) for _ in range(3))]
        parts: list[nn.Module] = []
        for number, convolution in enumerate(convolutions):
            parts += [convolution, nn.ReLU()]
            parts += [nn.MaxPool2d(2)] if number % 2 else []
        self.features = nn.Sequential(*parts)
        self.classifier = nn.Sequential(nn.Flatten(), nn.Linear(1690, 10))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.features(x))


NAMES = {
    "boat": "lifeboat",
    "bug": "ladybug",
    "bus": "school bus",
    "car": "sport car",
    "panda": "red panda",
    "pepper": "bell pepper",
}


@pytest.mark.skipif(not TINY.exists(), reason="the trained network lies in ../shared/data, which is not here")
class TestTinyVGG:
    """A network that was really trained, on photographs."""

    @pytest.fixture
    def net(self) -> fm.Network:
        plain = Preprocessing(64, (64, 64), source="values / 255")
        weights = TINY / "tiny_vgg.safetensors"
        return fm.load(f"{__name__}:TinyVGG", weights=weights, input_shape=(3, 64, 64), preprocessing=plain)

    def test_it_names_14_of_20_photographs_rightly(self, net: fm.Network) -> None:
        classes = json.loads((TINY / "classes.json").read_text())
        pictures = sorted((TINY / "images").glob("*.jpeg"))
        scores = net.maps(pictures, "classifier.1:z", progress=False)["classifier.1:z"].values[:, :, 0, 0]
        named = [classes[index] for index in scores.argmax(dim=1).tolist()]
        words = [picture.stem.partition("_")[0] for picture in pictures]
        right = [name == NAMES.get(word, word) for name, word in zip(named, words, strict=True)]
        assert sum(right) == 14

    def test_its_maps_are_those_of_the_running_module(self, net: fm.Network) -> None:
        from safetensors.torch import load_file

        module = TinyVGG()
        module.load_state_dict(load_file(TINY / "tiny_vgg.safetensors"))
        images = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(1))
        traced = fm.trace(module, (3, 64, 64))
        with torch.no_grad():
            z = module.features[:6](images)
        for network in (net, traced):
            maps = network.maps(images, ["features.5:z", "features.5"], progress=False)
            torch.testing.assert_close(maps["features.5:z"].values, z)
            torch.testing.assert_close(maps["features.5:a"].values, z.relu())
