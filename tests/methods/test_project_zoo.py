"""One network of each family of torchvision: the gradient equals autograd on the running module, in float64."""

from __future__ import annotations

import copy

import pytest
import torch

from methods.test_occlude_zoo import MORE, TARGETS, network
from support.projection_cases import assert_close, expected
from support.zoo_networks import SHAPES


@pytest.mark.parametrize("name", [*SHAPES, *MORE])
def test_the_gradient_of_a_class(name: str) -> None:
    module, net, image = network(name)
    plain = copy.deepcopy(module).double()
    for parameter in plain.parameters():
        parameter.requires_grad_(False)
    given = image.double().requires_grad_()
    score = plain(given)[0, 3]
    (gradient,) = torch.autograd.grad(score, given)
    found = net.project(image, 3, "gradient", "one", dtype=torch.float64, progress=False)
    assert_close(found, gradient[0], float(score.detach()))


@pytest.mark.parametrize("rule", ["gradient", "guided"])
@pytest.mark.parametrize("name", [*SHAPES, *MORE])
def test_units(name: str, rule: str) -> None:
    """In the middle and in a corner, together: the corner's field reaches over the image."""
    _, net, image = network(name)
    target = TARGETS[name] if name != "regnet_x_400mf" else f"{net.layers[12].address}/3@3,2"
    address, _, place = target.partition("/")
    channel, _, unit = place.partition("@")
    units = [(int(channel), *map(int, unit.split(","))), (0, 0, 0)]
    asked = [f"{address}/{c}@{row},{column}" for c, row, column in units]
    found = net.project(image, asked, rule, dtype=torch.float64, progress=False)
    for projection, each in zip(found, units, strict=True):
        value, whole = expected(net, image, address, each, rule)
        assert_close(projection, whole, value)
