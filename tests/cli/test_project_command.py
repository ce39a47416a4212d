"""`featmap project` and `featmap sheet`: answers, files, and their refusals."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cli import networks
from cli.console import featmap
from cli.examples import check_help

HEADED = "cli.networks:Headed"
SMALL = "cli.networks:Small"


@pytest.mark.parametrize("command", ["project", "sheet"])
def test_help_and_its_examples(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    check_help(command)


def test_json_is_the_answer_and_nothing_else(place: Path) -> None:
    ended = featmap(f"project {HEADED} cat.png 3 --rule gradient --start one --json")
    assert (ended.code, ended.err) == (0, "")
    document = json.loads(ended.out)
    assert (document["target"], document["started_from"], document["box"]) == ("logit of class 3", 1.0, [0, 0, 12, 16])
    values = torch.from_numpy(np.asarray(Image.open("cat.png")).astype(np.float32) / 255).permute(2, 0, 1)[None]
    given = values.clone().requires_grad_()
    score = networks.Headed().eval()(given)[0, 3]
    (gradient,) = torch.autograd.grad(score, given)
    assert document["value"] == pytest.approx(score.item(), abs=1e-6)
    assert document["maximum"] == pytest.approx(gradient.max().item(), abs=1e-6)
    assert document["minimum"] == pytest.approx(gradient.min().item(), abs=1e-6)
    assert document["semantics"]["rule"] == "gradient"


def test_text_and_picture(place: Path) -> None:
    ended = featmap(f"project {SMALL} cat.png stem:a/1 -o projection.png")
    assert (ended.code, ended.err) == (0, "wrote projection.png\n")
    answer, how, pictures = ended.out.splitlines()
    assert answer.startswith("Projection(stem:a/1@")
    assert how == "rule deconvnet, started from value, normalisations: scale"
    assert pictures.startswith("input: ")
    with Image.open("projection.png") as page:
        assert page.info["Title"].startswith("deconvnet of stem:a/1@")


def test_a_layer_is_written_as_one_page(place: Path) -> None:
    ended = featmap(f"project {SMALL} cat.png stem:a -o layer.png")
    assert (ended.code, ended.err) == (0, "wrote layer.png\n")
    assert ended.out.count("Projection(stem:a/") == 4


def test_a_sheet_of_a_folder(place: Path) -> None:
    folder = place / "photos"
    folder.mkdir()
    for number in range(3):
        Image.open("cat.png").rotate(90 * number, expand=False).save(folder / f"{number}.png")
    ended = featmap(f"sheet {SMALL} photos --layer stem:a --channels 0,2-3 -k 2 -o sheet.png --json")
    assert (ended.code, ended.err) == (0, "wrote sheet.png\n")
    document = json.loads(ended.out)
    assert (document["images"], [entry["channel"] for entry in document["maps"]]) == (3, [0, 2, 3])
    for entry in document["maps"]:
        values = [example["value"] for example in entry["examples"]]
        assert values == sorted(values, reverse=True)
        assert len(values) == 2
    text = featmap(f"sheet {SMALL} photos --layer stem:a -k 1")
    assert text.out.startswith("Sheet(stem:a: maps 4, images 3, the strongest 1 of each map, deconvnet; weights: ")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (f"project {SMALL} cat.png stem:a/1@99,0", "there is no unit at row 99"),
        (
            f"project {SMALL} cat.png stem:a/1 --rule saliency",
            "rule 'saliency' is unknown; it can be deconvnet,",
        ),
        (f"project {SMALL} cat.png stem:a/1 --start two", "start 'two' is unknown"),
        (f"project {SMALL} cat.png stem:a/1 -o x.gif", "ends in '.gif'; projections are written as"),
        (f"project {SMALL} cat.png stem:a/1 -o cat.png", "is the picture itself"),
        (f"project {SMALL} nothing.png stem:a/1", "There is no image 'nothing.png'"),
        (f"project {SMALL} cat.png stem:a/1@1,1 --whole", "is one unit"),
        (f"sheet {SMALL} --layer stem", "respond to something only where there are images"),
        (f"sheet {SMALL} cat.png --layer stem:a -k 0", "k is 0"),
        (f"sheet {SMALL} cat.png --layer stem:a --channels x", "--channel 'x' is not a list of maps"),
        (f"sheet {SMALL} cat.png --layer stem:a --channels 9", "has no map 9; it has 4"),
        (f"sheet {SMALL} empty --layer stem:a", "There is no image in 'empty'"),
    ],
)
def test_wrong_questions(place: Path, line: str, words: str) -> None:
    (place / "empty").mkdir()
    ended = featmap(line)
    assert (ended.code, ended.out) == (2, "")
    assert words in ended.err
    assert "Traceback" not in ended.err
