"""Whatever is given where an address belongs, every question either takes it or says what it got."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import featmap as fm
from featmap.errors import AddressSyntaxError, QuestionError
from featmap.network.address import Address

IMAGES = torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))
ONE = IMAGES[:1]

NETWORK: dict[str, Callable[[fm.Network, Any], Any]] = {
    "receptive_field": lambda net, address: net.receptive_field(address),
    "draw_field": lambda net, address: net.draw_field(ONE, address),
    "maps": lambda net, address: net.maps(ONE, address),
    "maps of a list": lambda net, address: net.maps(ONE, ["0:z", address]),
    "maps found": lambda net, address: net.maps(ONE, "0:z")[address],
    "explain": lambda net, address: net.explain(ONE, address),
    "contributions": lambda net, address: net.contributions(ONE, address),
    "occlude": lambda net, address: net.occlude(ONE, address, 4, 4),
    "project": lambda net, address: net.project(ONE, address),
    "project of a list": lambda net, address: net.project(ONE, ["0:z/0", address]),
    "sheet": lambda net, address: net.sheet(IMAGES, address),
    "occlusion_cost": lambda net, address: net.occlusion_cost(address, 4, 4),
}
INDEX: dict[str, Callable[[fm.Index, Any], Any]] = {
    "top": lambda index, address: index.top(address),
    "top_sheet": lambda index, address: index.top_sheet(address),
    "similar": lambda index, address: index.similar(0, address),
    "distribution": lambda index, address: index.distribution(address),
    "selectivity": lambda index, address: index.selectivity(address),
}
BUILD: dict[str, Callable[[fm.Network, Any, Path], Any]] = {
    "layers": lambda net, address, path: fm.Index.build(net, IMAGES, path, layers=address),
    "one of the layers": lambda net, address, path: fm.Index.build(net, IMAGES, path, layers=["0:z", address]),
    "full": lambda net, address, path: fm.Index.build(net, IMAGES, path, full=address),
    "one of full": lambda net, address, path: fm.Index.build(net, IMAGES, path, full=[address]),
}
TAKES_NONE = {"maps", "layers", "full"}
"""Where None means every layer, or none."""
WRONG = {
    "None": None,
    "7": 7,
    "3.5": 3.5,
    "bytes": b"0:a/0@1,1",
    "object": object(),
    "type": nn.Module,
    "a list of numbers": [3.5, None],
}


@pytest.fixture(scope="module")
def net() -> fm.Network:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 9))
    return fm.trace(module, (3, 8, 8))


@pytest.fixture(scope="module")
def index(net: fm.Network, tmp_path_factory: pytest.TempPathFactory) -> fm.Index:
    labelled = [(image, "ab"[at % 2]) for at, image in enumerate(IMAGES)]
    return fm.Index.build(net, labelled, tmp_path_factory.mktemp("index") / "x.fmi", layers=["0:z"])


def refused(asked: Callable[[], Any], wrong: str) -> None:
    with pytest.raises(QuestionError) as found:
        asked()
    assert found.value.remedy
    if wrong in ("7", "3.5", "None", "bytes"):
        assert repr(WRONG[wrong]) in found.value.problem


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("asked", NETWORK)
def test_networks(net: fm.Network, asked: str, wrong: str) -> None:
    if (asked in ("occlude", "project", "occlusion_cost") and wrong in ("None", "7")) or (
        asked in TAKES_NONE and wrong == "None"
    ):
        assert NETWORK[asked](net, WRONG[wrong]) is not None or asked == "occlusion_cost"
        return
    refused(lambda: NETWORK[asked](net, WRONG[wrong]), wrong)


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("asked", INDEX)
def test_indexes(index: fm.Index, asked: str, wrong: str) -> None:
    refused(lambda: INDEX[asked](index, WRONG[wrong]), wrong)


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("asked", BUILD)
def test_builds(net: fm.Network, asked: str, wrong: str, tmp_path: Path) -> None:
    if asked in TAKES_NONE and wrong == "None":
        assert BUILD[asked](net, None, tmp_path / "x.fmi").images == 3
        return
    refused(lambda: BUILD[asked](net, WRONG[wrong], tmp_path / "x.fmi"), wrong)


@pytest.mark.parametrize(("kind", "asked"), [(fm.Network, NETWORK), (fm.Index, {**INDEX, "build": None})])
def test_no_question_with_an_address_is_left_out(kind: type, asked: dict[str, Any]) -> None:
    questions = {name: value for name, value in inspect.getmembers(kind, callable) if not name.startswith("_")}
    takes = {name for name, value in questions.items() if {"Address", "Target"} & words_of(value)}
    assert takes <= set(asked)
    assert takes


def words_of(question: Any) -> set[str]:
    noted = " ".join(str(each.annotation) for each in inspect.signature(question).parameters.values())
    return {word for word in ("Address", "Target") if word in noted}


@pytest.mark.parametrize("channels", [7, 3.5, ["0"], [None]])
def test_channels_that_are_no_list(net: fm.Network, index: fm.Index, channels: Any) -> None:
    for asked in (lambda: net.sheet(IMAGES, "0:z", channels), lambda: index.top_sheet("0:z", channels)):
        with pytest.raises(QuestionError, match="are no list of maps"):
            asked()


@pytest.mark.parametrize(
    "parts",
    [
        {"channel": -1},
        {"channel": 1.0},
        {"channel": 0, "unit": (-1, 0)},
        {"channel": 0, "unit": ()},
        {"channel": 0, "unit": (1, 2, 3, 4)},
        {"unit": (1, 1)},
        {"stage": "q"},
        {"call": -1},
        {"layer": 7},
        {"layer": None},
    ],
    ids=str,
)
def test_no_address_is_made_of_other_parts(parts: dict[str, Any]) -> None:
    with pytest.raises(AddressSyntaxError, match="is no address of a layer"):
        Address(**{"layer": "0", **parts})


@pytest.mark.parametrize("text", ["0", "0:z", "0:a/3", "0#1:z/2@4,5"])
def test_an_address_is_as_good_as_its_text(net: fm.Network, text: str) -> None:
    parsed = Address.parse(text)
    assert Address.parse(parsed) == parsed
    assert net.receptive_field(parsed).address == net.receptive_field(text).address
