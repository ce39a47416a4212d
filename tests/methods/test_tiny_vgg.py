"""A network that was really trained, on photographs: every map of every stage, and a value with its arithmetic."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

import featmap as fm
from featmap.images.pictures import read_picture
from support.closeness import assert_close

DATA = Path(__file__).parents[2].parent / "shared" / "data" / "tiny_vgg"
PLAIN = fm.Preprocessing(crop=(64, 64), source="values / 255")

pytestmark = pytest.mark.skipif(not DATA.exists(), reason="the trained network lies in ../shared/data, which is absent")


class Network(nn.Module):
    """Four 3x3 convolutions of 10 channels, each with a ReLU, a pool behind every second."""

    input_shape = (3, 64, 64)
    preprocessing = PLAIN

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 10, 3), nn.ReLU(), nn.Conv2d(10, 10, 3), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(10, 10, 3), nn.ReLU(), nn.Conv2d(10, 10, 3), nn.ReLU(), nn.MaxPool2d(2),
        )  # fmt: skip
        self.classifier = nn.Sequential(nn.Flatten(), nn.Linear(1690, 10))

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x))


@pytest.fixture(scope="module")
def module() -> Network:
    module = Network()
    module.load_state_dict(load_file(DATA / "tiny_vgg.safetensors"))
    return module.eval()


@pytest.fixture(params=["load", "trace"])
def net(request: pytest.FixtureRequest, module: Network) -> fm.Network:
    if request.param == "trace":
        return fm.trace(module, (3, 64, 64), preprocessing=PLAIN)
    return fm.load(f"{__name__}:Network", weights=DATA / "tiny_vgg.safetensors")


@pytest.fixture(scope="module")
def photographs() -> list[Path]:
    found = sorted((DATA / "images").glob("*.jpeg"))
    assert len(found) == 20
    return found


def test_every_stage_on_every_photograph(net: fm.Network, module: Network, photographs: list[Path]) -> None:
    stages = [f"{layer.address}:{stage}" for layer in net.layers for stage in layer.stages]
    maps = net.maps(photographs, [*stages, "features.4", "features.9"], progress=False)
    value = torch.stack([PLAIN(read_picture(path)) for path in photographs])
    with torch.no_grad():
        for number, part in enumerate(module.features):
            value = part(value)
            name = f"features.{number}"
            found = maps[f"{name}:conv" if isinstance(part, nn.Conv2d) else name].values
            assert_close(found, value, name)
        assert_close(maps["classifier.1:z"].values.flatten(1), module.classifier(value))
    assert maps["features.0:a"].images == tuple(map(str, photographs))


def test_one_value_of_a_photograph(net: fm.Network, module: Network, photographs: list[Path]) -> None:
    found = net.explain(photographs[0], "features.7:a/6@3,9")
    assert len(found.terms) == 10
    assert sum(term.sum for term in found.terms) + found.bias == pytest.approx(found.conv, rel=1e-12, abs=1e-12)
    maps = net.maps(photographs[0], "features.7:z", dtype=torch.float64)["features.7:z"]
    assert found.z == pytest.approx(float(maps.values[0, 6, 3, 9]), rel=1e-12)
    assert found.terms[4].kernel.tolist() == module.features[7].weight[6, 4].tolist()
    # 1 + 2 + 2 pixels for two convolutions, 1 for the pool, 4 + 4 for two convolutions at stride 2.
    assert found.field.box.as_list() == [2 * 3, 2 * 9, 2 * 3 + 14, 2 * 9 + 14]


def test_the_filters_make_negative_and_positive_values(net: fm.Network, photographs: list[Path]) -> None:
    maps = net.maps(photographs, ["features.0:z", "features.7:z"])
    for value in maps.values():
        assert (value.values.amin((0, 2, 3)) < 0).any()
        assert (value.values.amax((0, 2, 3)) > 0).any()
