"""`featmap explain`: the arithmetic of one value, and of one whole map."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cli import networks
from cli.conftest import picture
from cli.console import featmap
from cli.examples import check_help
from cli.golden import check
from cli.terminal import on_terminal

SMALL = "cli.networks:Small"
UNIT = "stem:a/1@0,7"


def test_help_and_its_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    check_help("explain")


@pytest.mark.parametrize(
    ("name", "address"),
    [("unit", UNIT), ("grouped", "grouped:z/3@5,5"), ("map", "stem/1"), ("linear", "5:z/2@0,0"), ("many", "5:z/2")],
)
def test_text(place: Path, name: str, address: str) -> None:
    ended = featmap(f"explain {'cli.networks:Headed' if address.startswith('5') else SMALL} cat.png {address}")
    assert (ended.code, ended.err) == (0, "")
    check(f"explain-{name}", ended.out)


@pytest.mark.parametrize("columns", [120, 60, 40])
def test_terminals_of_any_width(place: Path, columns: int) -> None:
    ended = on_terminal(f"explain {SMALL} cat.png {UNIT}", columns)
    assert (ended.code, ended.err) == (0, "")
    assert all(len(line.rstrip()) <= max(columns, 44) for line in ended.out.split("\n")[2:-2])
    check(f"explain-unit-{columns}-columns", ended.out)
    wide = on_terminal(f"explain {SMALL} cat.png stem/1", columns)
    assert [line.rstrip() for line in wide.out.split("\n")] == featmap(f"explain {SMALL} cat.png stem/1").out.split(
        "\n"
    )


def test_a_map_may_be_named_by_any_stage_that_the_layer_has(place: Path) -> None:
    texts = {featmap(f"explain {SMALL} cat.png {address}").out for address in ("grouped/1", "grouped:z/1")}
    assert len(texts) == 1
    assert "grouped:conv/1, a map of 12 x 16, from 2 input maps of stem:a" in texts.pop()


def oracle() -> tuple[float, float, float]:
    """conv, z and a of the unit from the module itself, in float64."""
    module = networks.Small().double().eval()
    values = torch.from_numpy(np.asarray(picture(), dtype=np.float32) / 255).double().permute(2, 0, 1)[None]
    with torch.no_grad():
        conv = module.stem(values)
        z = module.norm(conv)
        return tuple(float(stage[0, 1, 0, 7]) for stage in (conv, z, torch.relu(z)))


def test_json_has_every_term_and_they_sum_to_the_value(place: Path) -> None:
    ended = featmap(f"explain {SMALL} cat.png {UNIT} --json")
    assert (ended.code, ended.err) == (0, "")
    document = json.loads(ended.out)
    assert {"terms", "bias", "conv", "z", "a"} <= set(document)
    assert [set(term) for term in document["terms"]] == [{"channel", "window", "kernel", "sum"}] * 3
    for term in document["terms"]:
        # The unit lies in the first row: of the kernel's three rows the lower two lie on the picture.
        assert np.shape(term["window"]) == np.shape(term["kernel"])
        assert np.sum(np.multiply(term["window"], term["kernel"])) == pytest.approx(term["sum"], rel=1e-12)
    conv = sum(term["sum"] for term in document["terms"]) + document["bias"]
    assert conv == pytest.approx(document["conv"], rel=1e-12)
    assert (document["conv"], document["z"], document["a"]) == pytest.approx(oracle(), rel=1e-9)


def test_json_of_a_whole_map(place: Path) -> None:
    ended = featmap(f"explain {SMALL} cat.png stem/1 --json")
    assert (ended.code, ended.err) == (0, "")
    document = json.loads(ended.out)
    assert document["address"] == "stem:conv/1"
    assert [part["channel"] for part in document["contributions"]] == [0, 1, 2]
    assert sum(part["share"] for part in document["contributions"]) == pytest.approx(1)


@pytest.mark.parametrize("address", [UNIT, "stem/1"])
@pytest.mark.parametrize("file", ["parts.png", "PARTS.JSON", "parts.txt"])
def test_files(place: Path, address: str, file: str) -> None:
    ended = featmap(f"explain {SMALL} cat.png {address} -o {file}")
    assert (ended.code, ended.err) == (0, f"wrote {file}\n")
    if file.endswith("png"):
        assert Image.open(place / file).text["Title"]
    elif file.endswith("txt"):
        assert (place / file).read_text() == ended.out
    else:
        assert json.loads((place / file).read_text()) == json.loads(
            featmap(f"explain {SMALL} cat.png {address} --json").out
        )


def test_random_weights_are_said_on_standard_error(place: Path) -> None:
    ended = featmap("explain torchvision:squeezenet1_1 cat.png features.0/1@2,3 --json --input 3x40x40")
    assert ended.err == (
        "note: torchvision:squeezenet1_1 has no trained weights: its values come from random weights (seed 0).\n"
    )
    assert json.loads(ended.out)["weights"] == "random (seed 0)"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            f"{UNIT} -o value.jpg",
            "'value.jpg' ends in '.jpg'; this is written as .png, .json or .txt.\n\nUse 'value.png'.\n",
        ),
        (
            f"{UNIT} -o none/value.png",
            "'none/value.png': there is no folder 'none'.\n\nCreate the folder, or choose another path.\n",
        ),
        (f"{UNIT} -o cat.png", "'cat.png' is the picture itself; it would be overwritten.\n\nChoose another file.\n"),
        (
            "stem@1,2",
            "'stem@1,2' names a unit but no channel.\n\n"
            "An address is LAYER, LAYER#n, LAYER:STAGE, LAYER:STAGE/CHANNEL or LAYER:STAGE/CHANNEL@ROW,COLUMN.\n",
        ),
    ],
)
def test_what_cannot_be_asked_is_said_before_any_work(place: Path, words: str, message: str) -> None:
    for model in (SMALL, "not.looked:at"):
        ended = featmap(f"explain {model} cat.png {words}")
        assert (ended.code, ended.out, ended.err) == (2, "", message)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("stem", "'stem:conv' names no single feature map.\n\nName one: LAYER/CHANNEL.\n"),
        (
            "grouped:a/1@2,3",
            "'grouped' has no activation of its own: its maps are added to a shortcut first.\n\n"
            "Ask for grouped:z for its maps as they are, or add for the sum after ReLU.\n",
        ),
        ("add:z/1", "'add' is a merge; it has no kernels.\n\nAsk about a convolution or a linear layer.\n"),
    ],
)
def test_what_has_no_arithmetic(place: Path, address: str, message: str) -> None:
    ended = featmap(f"explain {SMALL} cat.png {address}")
    assert (ended.code, ended.out, ended.err) == (2, "", message)
