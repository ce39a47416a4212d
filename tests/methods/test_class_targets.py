"""Classes as targets by their names: exact whatever the case, one meaning only, and named in every title."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import featmap as fm
from featmap.errors import AddressError, AmbiguousAddress, NoSuchLayer, NoSuchTarget

IMAGE = torch.rand(1, 3, 6, 6, generator=torch.Generator().manual_seed(1))
PLAN = "`featmap plan` lists all layers."


class Scored(nn.Module):
    """Five scores of maps of a layer that has the name of a class."""

    def __init__(self) -> None:
        super().__init__()
        self.relu = nn.Conv2d(3, 2, 3)
        self.head = nn.Linear(2, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.relu(x).relu().mean((2, 3)))


def traced(classes: Any) -> fm.Network:
    torch.manual_seed(0)
    return fm.trace(Scored().eval(), (3, 6, 6), classes=classes)


NET = traced(["Tabby", "tiger cat", "Cardigan", "cardigan", "relu"])


@pytest.mark.parametrize("target", ["Tabby", "tabby", " TABBY ", 0, "0"])
def test_a_class_by_its_name(target: Any) -> None:
    wanted = traced(None).occlude(IMAGE, 0, 3, 3)
    found = NET.occlude(IMAGE, target, 3, 3)
    assert found.target == "logit of class 0 (Tabby)"
    assert (found.grid == wanted.grid).all()
    projected = NET.project(IMAGE, target, "gradient")
    assert projected.target == "logit of class 0 (Tabby)"
    assert torch.equal(projected.values, traced(None).project(IMAGE, 0, "gradient").values)
    assert NET.occlusion_cost(target, 3, 3).layers == NET.occlusion_cost(0, 3, 3).layers


def test_a_name_with_spaces_and_another_scale() -> None:
    found = NET.occlude(IMAGE, "Tiger Cat", 3, 3, scale="probability")
    assert found.target == "probability of class 1 (tiger cat)"
    assert found.show().info["Title"].startswith("occlusion of probability of class 1 (tiger cat)")


def test_the_predicted_class_has_its_name() -> None:
    found = NET.occlude(IMAGE, None, 3, 3)
    number = int(found.target.split()[3])
    assert NET.classes is not None
    assert found.target == f"logit of class {number} ({NET.classes[number]})"
    assert NET.project(IMAGE, None, "gradient").target == found.target


def test_an_address_is_an_address() -> None:
    assert NET.occlude(IMAGE, "relu:a/1", 3, 3).target == "maximum of relu:a/1"
    assert NET.project(IMAGE, "relu:a/1@0,0").target == "relu:a/1@0,0"


def refusal(kind: type[AddressError], target: Any, net: fm.Network = NET) -> str:
    texts: set[str] = set()
    for ask in (
        lambda: net.occlude(IMAGE, target, 3, 3),
        lambda: net.project(IMAGE, target),
        lambda: net.occlusion_cost(target, 3, 3),
    ):
        with pytest.raises(kind) as caught:
            ask()
        assert type(caught.value) is kind
        texts.add(str(caught.value))
    (text,) = texts
    return text


def test_a_name_of_several_classes() -> None:
    assert refusal(AmbiguousAddress, "cardigan") == (
        "'cardigan' names 2 classes of Scored: class 2 (Cardigan) and class 3 (cardigan).\n\n"
        "Say which by its number: 2 or 3."
    )


def test_a_name_of_a_class_and_of_a_layer() -> None:
    assert refusal(AmbiguousAddress, "relu") == (
        "'relu' names class 4 (relu) and a layer of Scored.\n\nWrite 4 for the class, or an address such as relu:a/0."
    )
    assert NET.occlude(IMAGE, "ReLU", 3, 3).target == "logit of class 4 (relu)"


def test_a_name_of_nothing() -> None:
    assert refusal(NoSuchTarget, "tabbi") == (
        f"'tabbi' is neither a class nor a layer of Scored.\n\nThe nearest classes are Tabby. {PLAN}"
    )
    assert refusal(NoSuchTarget, "rel") == (
        "'rel' is neither a class nor a layer of Scored.\n\n"
        f"The nearest classes are relu. The nearest layers are relu, relu_. {PLAN}"
    )
    assert refusal(NoSuchTarget, "tabby", traced(None)) == (
        "'tabby' is not a layer of Scored, and its classes have no names.\n\n"
        f"{PLAN} Names of classes are given with it: classes=FILE (--classes FILE)."
    )


def test_what_can_only_be_an_address_has_the_errors_of_one() -> None:
    for target in ("nothing:a/0", "nothing/0", "nothing#2/1"):
        assert "the network has no layer 'nothing'" in refusal(NoSuchLayer, target)
