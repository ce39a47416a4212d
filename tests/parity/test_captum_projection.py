"""Captum's Deconvolution and GuidedBackprop as oracle, where every ReLU is an `nn.ReLU` of its own.

Captum acts on modules: a functional ReLU it does not see, and it says nothing. Ours acts on operators, so all spellings
of one network have one projection.
"""

from __future__ import annotations

import copy
from typing import Any

import captum.attr as captum
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import featmap as fm
from support.occlusion_cases import case_of
from support.projection_cases import assert_close
from support.tiny_modules import conv
from support.zoo_networks import zoo_network

pytestmark = pytest.mark.filterwarnings("ignore")

METHODS = {"deconvnet": "NeuronDeconvolution", "guided": "NeuronGuidedBackprop"}
SHAPE = (3, 20, 18)


def captums(module: nn.Module, layer: nn.Module, image: Tensor, unit: tuple[int, ...], rule: str) -> Tensor:
    """Captum's projection of one unit, started from 1: (channel, row, column)."""
    method: Any = getattr(captum, METHODS[rule])(module, layer)
    return method.attribute(image.clone().requires_grad_(), unit)[0].detach()


def without_inplace(module: nn.Module) -> nn.Module:
    module = copy.deepcopy(module).double()
    for part in module.modules():
        if hasattr(part, "inplace"):
            part.inplace = False
    return module


class Residual(nn.Module):
    """A residual network in which every ReLU is a module of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.first, self.second, self.third = conv(3, 6), conv(6, 6), conv(6, 6), conv(6, 4)
        self.norm = nn.BatchNorm2d(6)
        self.relu0, self.relu1, self.relu2, self.relu3 = (nn.ReLU() for _ in range(4))
        self.pool = nn.MaxPool2d(3, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.relu0(self.norm(self.stem(x))))
        x = self.relu2(x + self.second(self.relu1(self.first(x))))
        return self.relu3(self.third(x))


class Functional(Residual):
    """The same with functional ReLUs."""

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(functional.relu(self.norm(self.stem(x))))
        x = torch.relu(x + self.second(functional.relu(self.first(x))))
        return self.third(x).clamp(min=0)


class Reused(Residual):
    """The same with one ReLU module called four times."""

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.relu0(self.norm(self.stem(x))))
        x = self.relu0(x + self.second(self.relu0(self.first(x))))
        return self.relu0(self.third(x))


class InPlace(Residual):
    """The same with ReLUs that write over what they read."""

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(functional.relu_(self.norm(self.stem(x))))
        y = self.second(self.first(x).relu_())
        y += x
        return self.third(y.relu_()).relu_()


def of_kind(kind: type[Residual]) -> tuple[nn.Module, fm.Network, Tensor]:
    """One network in one of its spellings: the same weights, the same image."""
    made = case_of(Residual(), SHAPE)
    module = kind().double().eval()
    module.load_state_dict(made.module.state_dict())
    return module, fm.trace(module, SHAPE), made.image


UNITS = [(0, 0, 0), (2, 3, 4), (3, 7, 6), (1, 5, 0)]


@pytest.mark.parametrize("rule", METHODS)
@pytest.mark.parametrize("unit", UNITS)
def test_residual_network(rule: str, unit: tuple[int, int, int]) -> None:
    module, net, image = of_kind(Residual)
    address = f"third:a/{unit[0]}@{unit[1]},{unit[2]}"
    found = net.project(image, address, rule, "one", dtype=torch.float64, progress=False)
    assert_close(found, captums(module, module.relu3, image, unit, rule), found.value)


@pytest.mark.parametrize("rule", ["deconvnet", "guided", "gradient"])
@pytest.mark.parametrize("kind", [Functional, Reused, InPlace])
@pytest.mark.parametrize("unit", UNITS)
def test_every_spelling_is_the_same_network(kind: type[Residual], rule: str, unit: tuple[int, int, int]) -> None:
    _, plain, image = of_kind(Residual)
    _, other, _ = of_kind(kind)
    address = f"third:a/{unit[0]}@{unit[1]},{unit[2]}"
    expected = plain.project(image, address, rule, dtype=torch.float64, progress=False)
    found = other.project(image, address, rule, dtype=torch.float64, progress=False)
    assert found.box == expected.box
    assert_close(found, expected.on_image().double(), expected.value, 1e-12)


def test_captum_does_not_see_functional_relus() -> None:
    """A claim about a peer, reproduced: its own answer for the same network changes with the spelling."""
    unit = (2, 3, 4)
    plain, _, image = of_kind(Residual)
    functionals, net, _ = of_kind(Functional)
    expected = captums(plain, plain.relu3, image, unit, "deconvnet")
    theirs = captums(functionals, functionals.third, image, unit, "deconvnet")
    largest = float(expected.abs().max())
    assert float((theirs - expected).abs().max()) > 0.05 * largest
    found = net.project(image, "third:a/2@3,4", "deconvnet", "one", dtype=torch.float64, progress=False)
    assert_close(found, expected, found.value)


@pytest.mark.parametrize("rule", METHODS)
@pytest.mark.parametrize(
    ("name", "relu", "address"), [("alexnet", "features.9", "features.8"), ("vgg16", "features.15", "features.14")]
)
def test_zoo(name: str, relu: str, address: str, rule: str) -> None:
    known = zoo_network(name)
    module, image = without_inplace(known.module), known.images(1).double()
    with torch.no_grad():
        part = nn.Sequential(*list(module.features)[: int(relu.rpartition(".")[2]) + 1])
        maps = part(image)[0]
    for channel in (0, 7, len(maps) - 1):
        row, column = divmod(int(maps[channel].argmax()), maps.shape[2])
        unit = (channel, row, column)
        found = known.net.project(
            image, f"{address}:a/{channel}@{row},{column}", rule, "one", dtype=torch.float64, progress=False
        )
        assert_close(found, captums(module, module.get_submodule(relu), image, unit, rule), found.value)
