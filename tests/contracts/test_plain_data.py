"""Plain data of every answer: dictionaries, their text, and the document that its command prints are the same."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import featmap as fm
from cli.console import featmap
from cli.networks import Headed
from featmap.index.questions.distribution import Distribution
from featmap.plain_data import json_text
from support.results import CONTRACT, SHAPE, Made

MODEL = "cli.networks:Headed"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(tmp_path_factory.mktemp("results"))


@pytest.mark.parametrize("name", CONTRACT)
def test_the_text_is_that_of_the_dictionary(name: str, made: Made) -> None:
    result = CONTRACT[name][0](made)
    found = result.to_dict()
    assert type(found) is dict
    assert json.loads(result.to_json(), parse_constant=lambda word: pytest.fail(f"{word} is no JSON")) == found
    assert result.to_json() == json_text(found)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pictures below it and an index of them."""
    folder = tmp_path_factory.mktemp("commands")
    for number in range(6):
        file = folder / "photos" / ("cat" if number % 2 else "dog") / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        values = np.random.default_rng(number).integers(0, 256, (12, 16, 3), dtype=np.uint8)
        Image.fromarray(values).save(file)
    return folder


PICTURE = "photos/cat/1.png"
Ask = Callable[[fm.Network, fm.Index], Any]
COMMANDS: dict[str, tuple[str, Ask]] = {
    "Plan": (f"plan {MODEL}", lambda net, _: net.plan()),
    "FieldAnswer": (f"field {MODEL} 0:a/1@2,3", lambda net, _: net.receptive_field("0:a/1@2,3")),
    "MapSet": (f"maps {MODEL} {PICTURE} -o x.npz", lambda net, _: net.maps(PICTURE)),
    "Explanation": (f"explain {MODEL} {PICTURE} 0:a/1@2,3", lambda net, _: net.explain(PICTURE, "0:a/1@2,3")),
    "Contributions": (f"explain {MODEL} {PICTURE} 0/1", lambda net, _: net.contributions(PICTURE, "0/1")),
    "OcclusionMap": (
        f"occlude {MODEL} {PICTURE} --window 4 --stride 4",
        lambda net, _: net.occlude(PICTURE, window=4, stride=4),
    ),
    "OcclusionCost": (
        f"plan {MODEL} --cost occlusion --window 4 --stride 4",
        lambda net, _: net.occlusion_cost(window=4, stride=4),
    ),
    "Projection": (f"project {MODEL} {PICTURE} 0:a/1", lambda net, _: net.project(PICTURE, "0:a/1")),
    "Projections": (f"project {MODEL} {PICTURE} 0:a", lambda net, _: net.project(PICTURE, "0:a")),
    "Sheet": (f"sheet {MODEL} photos --layer 0:a", lambda net, _: net.sheet(["photos"], "0:a")),
    "IndexSummary": ("index show i.fmi", lambda _, index: index.summary()),
    "TopImages": ("top i.fmi 0:a/1", lambda _, index: index.top("0:a/1")),
    "TopSheet": ("top i.fmi 0:a", lambda _, index: index.top_sheet("0:a")),
    "Audit": ("audit i.fmi", lambda _, index: index.audit()),
    "SimilarImages": ("index similar i.fmi '#0' --layer 0:a", lambda _, index: index.similar(0, "0:a")),
    "Distribution": ("index distribution i.fmi 0:a/1", lambda _, index: index.distribution("0:a/1")),
    "Selectivity": ("index selectivity i.fmi 0:a", lambda _, index: index.selectivity("0:a")),
    "Comparison": ("index compare i.fmi i.fmi", lambda _, index: index.compare("i.fmi")),
    "Verification": ("index verify i.fmi", lambda _, index: index.verify()),
}
NO_COMMAND = {"FeatureMaps", "FieldDrawing", "LayerMatrix", "BuildReport", "OcclusionMaps", "ProjectionsByImage"}
"""Part of another answer's document, or of Python alone; a build's report is new only once."""


def test_every_answer_is_compared_with_its_command() -> None:
    assert COMMANDS.keys() | NO_COMMAND == CONTRACT.keys()


def test_a_command_prints_the_data_of_its_answer(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    net = fm.load(MODEL)
    index = fm.Index.build(net, "photos", "i.fmi", progress=False)
    for name, (line, ask) in COMMANDS.items():
        ended = featmap(f"{line} --json")
        assert ended.code == 0, (line, ended.err)
        result = ask(net, index)
        assert type(result).__name__ == name
        document = json.loads(ended.out)
        if name == "MapSet":
            assert document.pop("files") == ["x.npz"]
            assert document == result.to_dict()
        else:
            assert document == result.to_dict(), line
            assert ended.out == f"{result.to_json()}\n"


def test_a_drawing_adds_to_the_document_of_its_field(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    net = fm.trace(Headed().eval(), SHAPE_OF_HEADED)
    ended = featmap(f"field {MODEL} 0:a/1@2,3 --image {PICTURE} -o box.png --json")
    drawing = net.draw_field(PICTURE, "0:a/1@2,3").to_dict()
    assert json.loads(ended.out) == {**net.receptive_field("0:a/1@2,3").to_dict(), **drawing}


SHAPE_OF_HEADED = Headed.input_shape


def test_numbers_that_are_not_finite_are_none() -> None:
    net = fm.trace(nn.Sequential(nn.Conv2d(3, 2, 1)), SHAPE)
    maps = net.maps(torch.full((1, *SHAPE), math.nan), "0")["0"]
    assert maps.to_dict()["minimum"] is None
    assert "values nan to nan" in repr(maps)
    assert json.loads(maps.to_json())["mean"] is None
    found = Distribution("0:a/1", 2, 8, math.inf, 0.1, 0.0, 1.0, 0.5, 2, {"99": math.nan}, None, None)
    assert (found.to_dict()["mean"], found.to_dict()["quantiles"]) == (None, {"99": None})


def test_white_space_within_a_text_stays(made: Made) -> None:
    maps = replace(made.net.maps(torch.zeros(1, *SHAPE), "0")["0"], images=("my  two\u00a0 cats .png", "[1,\n2]"))
    assert json.loads(maps.to_json())["images"] == ["my  two\u00a0 cats .png", "[1,\n2]"]
    assert '"shape": [1, 4, 10, 8]' in maps.to_json()
