"""One network of each family of torchvision, and a really trained one: occlusion equals full runs of the module."""

from __future__ import annotations

import copy
import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import featmap as fm
from featmap.methods.shared.occlusion import OcclusionMap
from featmap.sources.zoo import import_torchvision
from support.occlusion_cases import CLOSE, full_runs
from support.zoo_networks import ARCHITECTURES, SHAPES, seeded, zoo_network

MORE = {
    "mnasnet0_5": (3, 48, 64),
    "mobilenet_v3_small": (3, 64, 48),
    "shufflenet_v2_x0_5": (3, 64, 56),
    "efficientnet_b0": (3, 48, 40),
    "regnet_x_400mf": (3, 64, 40),
    "regnet_y_400mf": (3, 40, 64),
    "resnext50_32x4d": (3, 56, 40),
    "convnext_tiny": (3, 64, 40),
}
"""Families that `zoo_networks` does not hold."""

TARGETS = {
    "alexnet": "features.8/3@1,2",
    "vgg16": "features.14/7@5,4",
    "resnet18": "layer2.1/5@3,3",
    "squeezenet1_1": "features.6/5@6,5",
    "densenet121": "features.denseblock2.denselayer3.conv1/4@2,1",
    "inception_v3": "Mixed_5b/3@4,3",
    "googlenet": "inception3b/9@2,1",
    "mobilenet_v2": "features.4/2@4,5",
    "mnasnet0_5": "layers.8/2@2,3",
    "mobilenet_v3_small": "features.2/2@5,3",
    "shufflenet_v2_x0_5": "stage2.1/3@4,3",
    "efficientnet_b0": "features.2.0/3@5,5",
    "regnet_x_400mf": "trunk_output.block1/3@8,5",
    "regnet_y_400mf": "stem/3@8,5",
    "resnext50_32x4d": "layer1.2/3@8,5",
    "convnext_tiny": "features.1.2:z/3@8,5",
}


@cache
def network(name: str) -> tuple[nn.Module, fm.Network, Tensor]:
    """A network of small seeded weights, what was captured of it, and an image."""
    if name in ARCHITECTURES:
        known = zoo_network(name)
        return known.module, known.net, known.images(1)
    module = seeded(import_torchvision().models.get_model(name, num_classes=10)).eval()
    image = torch.randn((1, *MORE[name]), generator=torch.Generator().manual_seed(1))
    return module, fm.trace(module, MORE[name]), image


@pytest.mark.parametrize("name", [*SHAPES, *MORE])
def test_a_class_of_every_family(name: str) -> None:
    module, net, image = network(name)
    plain = copy.deepcopy(module).double()
    with torch.no_grad():
        target = int(plain(image.double()).argmax())
    settings = {"window": (12, 10), "stride": (20, 22), "dtype": torch.float64, "progress": False}
    found = net.occlude(image, target, verify=2, **settings)
    assert found.verification is not None
    assert found.verification.relative <= CLOSE
    assert np.abs(found.drop).max() > 1e-3 * abs(found.score)
    assert_equals_at_random_places(found, plain, image.double(), target)


def assert_equals_at_random_places(found: OcclusionMap, module: nn.Module, image: Tensor, target: int) -> None:
    """Three of the scores are those of the module itself, in float64."""
    generator = np.random.default_rng(len(found.target))
    largest = max(np.abs(found.grid).max(), abs(found.score))
    for at in generator.permutation(found.windows.count)[:3]:
        row, column = divmod(int(at), len(found.windows.columns))
        top, left, bottom, right = found.positions[row][column]
        changed = image.clone()
        changed[0, :, top:bottom, left:right] = 0
        with torch.no_grad():
            score = module(changed)[0, target].item()
        assert abs(found.grid[row, column] - score) <= CLOSE * largest
    with torch.no_grad():
        assert abs(found.score - module(image)[0, target].item()) <= CLOSE * largest


@pytest.mark.parametrize("name", [*SHAPES, *MORE])
def test_a_unit_of_every_family(name: str) -> None:
    """The unit itself is read from the maps of full runs, which other tests compare with the running modules."""
    _, net, image = network(name)
    target = TARGETS[name] if name != "regnet_x_400mf" else f"{net.layers[12].address}/3@3,2"
    found = net.occlude(image, target, (9, 7), (13, 11), dtype=torch.float64, progress=False)
    address, _, unit = target.partition("@")
    layer, _, channel = address.partition("/")
    row, column = map(int, unit.split(","))
    runs = images_with_windows(found, image)
    values = net.maps(runs, layer, dtype=torch.float64, progress=False)[layer].values[:, int(channel), row, column]
    largest = max(float(values.abs().max()), abs(found.score))
    assert np.abs(found.grid.reshape(-1) - values.numpy()).max() <= CLOSE * largest
    assert found.recomputed_share <= 1


def images_with_windows(found: OcclusionMap, image: Tensor) -> Tensor:
    """The occluded images, row position by row position."""
    boxes = [box for line in found.positions for box in line]
    images = image.double().repeat(len(boxes), 1, 1, 1)
    for number, (top, left, bottom, right) in enumerate(boxes):
        images[number, :, top:bottom, left:right] = 0
    return images


DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "tiny_vgg"


class TinyVgg(nn.Module):
    """The trained network of the shared data, as its description says."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 10, 3), nn.ReLU(inplace=True), nn.Conv2d(10, 10, 3), nn.ReLU(inplace=True), nn.MaxPool2d(2),
            nn.Conv2d(10, 10, 3), nn.ReLU(inplace=True), nn.Conv2d(10, 10, 3), nn.ReLU(inplace=True), nn.MaxPool2d(2),
        )  # fmt: skip
        self.classifier = nn.Sequential(nn.Flatten(), nn.Linear(1690, 10))

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x))


@pytest.mark.skipif(not DATA.is_dir(), reason="the trained network of the shared data is not here")
def test_a_trained_network_on_a_photograph() -> None:
    from safetensors.torch import load_file

    module = TinyVgg()
    module.load_state_dict(load_file(DATA / "tiny_vgg.safetensors"))
    net = fm.trace(module.eval(), (3, 64, 64))
    photograph = DATA / "images" / "pizza_1.jpeg"
    names = json.loads((DATA / "classes.json").read_text())
    found = net.occlude(photograph, None, 12, 8, "mean", verify=3, progress=False)
    assert found.target == f"logit of class {names.index('pizza')}"
    assert found.verification is not None
    assert found.verification.relative < 1e-5
    values = torch.from_numpy(np.asarray(Image.open(photograph).convert("RGB")) / 255).permute(2, 0, 1)[None]
    image, plain = values.double(), copy.deepcopy(module).double()
    mean = image[0].mean((1, 2))[:, None, None]
    exact = net.occlude(image, None, 12, 8, "mean", dtype=torch.float64, progress=False)
    scores = full_runs(plain, image, exact, lambda y: y[0, 2], lambda window: mean.expand_as(window))
    assert np.abs(exact.grid - scores).max() <= CLOSE * np.abs(scores).max()
    # The picture's own largest drop lies on the pizza, not on the cloth at its corners.
    row, column = np.unravel_index(exact.drop.argmax(), exact.drop.shape)
    assert (row, column) not in {(0, 0), (0, 6), (6, 0), (6, 6)}
