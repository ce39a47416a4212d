"""`featmap occlude`: answers, files, progress, and its refusals."""

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
from featmap.view import progress

HEADED = "cli.networks:Headed"
SMALL = "cli.networks:Small"
UNIT = f"{SMALL} cat.png --target stem:conv/0@4,2 --window 4"


def scores_of_class(image: np.ndarray, boxes: list[list[list[int]]], number: int) -> np.ndarray:
    """The score of a class with each box written over by zeros, from the running module itself."""
    module = networks.Headed().eval()
    values = torch.from_numpy(image.astype(np.float32) / 255).permute(2, 0, 1)[None]
    scores = np.empty((len(boxes), len(boxes[0])))
    for row, line in enumerate(boxes):
        for column, (top, left, bottom, right) in enumerate(line):
            changed = values.clone()
            changed[:, :, top:bottom, left:right] = 0
            with torch.no_grad():
                scores[row, column] = module(changed)[0, number].item()
    return scores


def test_help_and_its_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    check_help("occlude")


def test_json_is_the_answer_and_nothing_else(place: Path) -> None:
    ended = featmap(f"occlude {HEADED} cat.png --target 1 --window 4x3 --stride 3x5 --verify 2 --json")
    assert (ended.code, ended.err) == (0, "")
    document = json.loads(ended.out)
    assert document["target"] == "logit of class 1"
    assert document["positions"][0][:2] == [[0, 0, 4, 3], [0, 5, 4, 8]]
    assert document["positions"][-1][-1] == [8, 13, 12, 16]
    scores = scores_of_class(np.asarray(Image.open("cat.png")), document["positions"], 1)
    np.testing.assert_allclose(document["grid"], scores, atol=1e-5)
    np.testing.assert_allclose(np.array(document["grid"]) + document["drop"], document["score"], atol=1e-12)
    assert document["semantics"] == {
        "window": [4, 3],
        "stride": [3, 5],
        "edge_rule": "windows stay inside the image; the last one of each axis is aligned with the edge",
        "baseline": "0",
        "score": "logit of class 1",
        "drop": "score of the untouched image - score with the window",
        "region_ends": ["flatten"],
    }
    assert document["verification"]["positions"] == 2
    assert document["verification"]["relative"] < 1e-5


def test_text_says_what_was_done_and_how_it_was_checked(place: Path) -> None:
    ended = featmap(f"occlude {HEADED} cat.png --window 4 --stride 4 --baseline mean --verify 3 -o heat.png")
    assert (ended.code, ended.err) == (0, "wrote heat.png\n")
    answer, edges, baseline, cost, whole, checked, pictures = ended.out.splitlines()
    assert answer.startswith("OcclusionMap(logit of class 4 of cat.png: 0.496117; 12 windows of 4 x 4; largest drop ")
    assert edges == "stride 4 x 4; windows stay inside the image; the last one of each axis is aligned with the edge"
    assert baseline == "baseline: the image's mean"
    assert cost == "computed again: 34.5% of the multiply-adds of full runs"
    assert whole == "computed whole, with all that follows: flatten"
    assert checked.startswith("verified: 3 positions in full, in float64: largest difference ")
    assert pictures == "input: stretch to 12x16 (bilinear), values / 255"
    with Image.open("heat.png") as page:
        assert page.info["Title"] == "occlusion of logit of class 4: up to 88.0% of the score"
    assert "verified" not in featmap(f"occlude {HEADED} cat.png --window 4 --stride 4").out


@pytest.mark.parametrize(
    ("asked", "target"),
    [
        ("--target 1 --scale probability", "probability of class 1"),
        ("--target [3]", "output [3]"),
        ("--target 0:z/1", "maximum of 0:z/1"),
        ("--target 0:a/1 --activity mean", "mean of 0:a/1"),
        ("--target 3:z/0@1,2", "3:z/0@1,2"),
        ("", "logit of class 4"),
    ],
)
@pytest.mark.parametrize("baseline", ["0", "-0.5", "0.1,0.2,0.3", "mean", "local"])
def test_targets_and_baselines_are_those_of_the_library(place: Path, asked: str, target: str, baseline: str) -> None:
    ended = featmap(f"occlude {HEADED} cat.png --window 5 --stride 6 --baseline {baseline} --json {asked}")
    assert (ended.code, ended.err) == (0, "")
    document = json.loads(ended.out)
    assert document["target"] == target
    filling = {"mean": "mean", "local": "local"}.get(baseline) or [float(part) for part in baseline.split(",")]
    import featmap as fm

    words = dict(zip(asked.split()[::2], asked.split()[1::2], strict=True))
    found = fm.load(HEADED).occlude(
        "cat.png",
        words.get("--target"),
        5,
        6,
        filling,
        scale=words.get("--scale", "logit"),  # type: ignore[arg-type]
        activity=words.get("--activity", "maximum"),  # type: ignore[arg-type]
        progress=False,
    )
    assert document["grid"] == found.grid.tolist()


def test_files(place: Path) -> None:
    for suffix in ("npz", "json", "txt", "png"):
        assert featmap(f"occlude {HEADED} cat.png --window 4 --stride 4 -o x.{suffix}").err == f"wrote x.{suffix}\n"
    with np.load("x.npz") as arrays:
        assert set(arrays) == {"score", "grid", "drop", "positions"}
        assert json.loads(Path("x.json").read_text())["grid"] == arrays["grid"].tolist()
    assert Path("x.txt").read_text().startswith("OcclusionMap(logit of class 4")


def test_a_bar_appears_on_standard_error_when_it_takes_long(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PATIENCE_S", -1.0)
    from featmap.run import occlusion

    monkeypatch.setattr(occlusion, "LARGEST_CHUNK", 2)
    ended = featmap(f"occlude {HEADED} cat.png --window 4 --stride 4 --json")
    assert json.loads(ended.out)["target"] == "logit of class 4"
    assert "occlusion" in ended.err
    assert "12/12" in ended.err
    assert "windows/s" in ended.err


def test_an_interrupt_leaves_no_file(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from featmap.run.region.engine import RegionEngine

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(RegionEngine, "run", interrupted)
    before = sorted(path.name for path in place.iterdir())
    ended = featmap(f"occlude {HEADED} cat.png --window 4 --stride 4 -o heat.png")
    assert (ended.code, ended.out) == (130, "")
    assert sorted(path.name for path in place.iterdir()) == before


NO_SIZE = "Give a whole number from 1 on, or (rows, columns): {0}=16."


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (
            f"{HEADED} cat.png --target 9 --window 4",
            "There is no class 9; cli.networks:Headed has 5.\n\nAsk for a class from 0 to 4.",
        ),
        (
            f"{HEADED} cat.png --target -1 --window 4",
            "There is no class -1; cli.networks:Headed has 5.\n\nAsk for a class from 0 to 4.",
        ),
        (
            f"{HEADED} cat.png --target [7] --window 4",
            "output [7] does not exist: that tensor is 5 (without the image axis).\n\n"
            "Give one index per axis, each below the size of its axis.",
        ),
        (
            f"{HEADED} cat.png --target [7 --window 4",
            "'[7' is not a position in an output.\n\nWrite indices in brackets: '[3,10,12]' or \"['logits'][0][3]\".",
        ),
        (
            f"{HEADED} cat.png --target stem/1 --window 4",
            "'stem/1': the network has no layer 'stem'.\n\n`featmap plan` lists all layers.",
        ),
        (
            f"{SMALL} cat.png --window 4",
            "cli.networks:Small does not return one score per class; its output has shape 1x4x6x8.\n\n"
            "Name a position in the "
            "output, such as '[2,3,4]', or a map or unit by its address.",
        ),
        (
            f"{SMALL} cat.png --target stem --window 4",
            "'stem:a' names a whole layer, not one feature map.\n\nName one: LAYER/CHANNEL.",
        ),
        (
            f"{SMALL} cat.png --target stem/9 --window 4",
            "'stem:a/9': there is no channel 9; stem:a has 4 feature maps.\n\nAsk for a channel from 0 to 3.",
        ),
        (
            f"{SMALL} cat.png --target stem:z/0@40,2 --window 4",
            "'stem:z/0@40,2': there is no unit at row 40, column 2; the feature map has 12 rows and 16 columns.\n\n"
            "Ask for a row from 0 to 11 and a column from 0 to 15.",
        ),
        (
            f"{SMALL} cat.png --target stem/0",
            "A window of 16 x 16 (rows x columns) does not fit into an image of 12 x 16.\n\n"
            "Use a window of at most 12 x 16.",
        ),
        (f"{UNIT} --window 0", "window 0 is not a size in pixels.\n\n" + NO_SIZE.format("window")),
        (f"{UNIT} --window 4x-2", "window (4, -2) is not a size in pixels.\n\n" + NO_SIZE.format("window")),
        (
            f"{UNIT} --window big",
            "--window 'big' is neither a number nor ROWSxCOLUMNS.\n\nWrite --window 3, or --window 3x5.",
        ),
        (f"{UNIT} --stride 0", "stride 0 is not a size in pixels.\n\n" + NO_SIZE.format("stride")),
        (
            f"{UNIT} --stride 1.5",
            "--stride '1.5' is neither a number nor ROWSxCOLUMNS.\n\nWrite --stride 3, or --stride 3x5.",
        ),
        (f"{UNIT} --baseline 1,2", "The baseline has 2 values; the image has 3 channels.\n\nGive one number, or 3."),
        (
            f"{UNIT} --baseline grey",
            "--baseline 'grey' is not a baseline.\n\nWrite a number, one per channel (0.1,0,0), mean or local.",
        ),
        (
            f"{UNIT} --baseline nan",
            "baseline nan is not a finite number.\n\nUse a number, a value per channel, 'mean', 'local' or a function.",
        ),
        (f"{UNIT} --scale log", "scale 'log' is unknown; it can be logit, probability.\n\nUse scale='logit'."),
        (
            f"{UNIT} --activity median",
            "activity 'median' is unknown; it can be maximum, mean, sum.\n\nUse activity='maximum'.",
        ),
        (
            f"{UNIT} --activity mean",
            "activity 'mean' does not apply to this target: a unit is one number.\n\nLeave activity out.",
        ),
        (
            f"{UNIT} --scale probability",
            "scale 'probability' does not apply to this target: only the scores of classes become probabilities.\n\n"
            "Leave scale out.",
        ),
        (f"{UNIT} --verify -1", "verify is -1.\n\nGive the number of positions to compute again, from 0 on."),
        (
            f"{UNIT} -o heat.jpg",
            "'heat.jpg' ends in '.jpg'; an occlusion is written as .png, .npz, .json or .txt.\n\nUse 'heat.png'.",
        ),
        (f"{UNIT} -o cat.png", "'cat.png' is the picture itself; it would be overwritten.\n\nChoose another file."),
        (
            f"{UNIT} -o no/folder/x.png",
            "'no/folder/x.png': there is no folder 'no/folder'.\n\nCreate the folder, or choose another path.",
        ),
        (
            f"{SMALL} dog.png --target stem/0 --window 4",
            "There is no image 'dog.png'.\n\nGive a file of JPEG, PNG, WebP, GIF, TIFF, BMP, PNM, JPEG 2000 or AVIF.",
        ),
        (
            f"{UNIT} --device tpu",
            "--device 'tpu' is not a device.\n\nName cpu, cuda, cuda:1, mps or xpu, or leave it out.",
        ),
    ],
)
def test_questions_that_are_refused(place: Path, line: str, text: str) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in place.iterdir()}
    ended = featmap(f"occlude {line.replace('[', chr(92) + '[')}")
    assert (ended.code, ended.out, ended.err) == (2, "", f"{text}\n")
    assert {path.name: path.stat().st_mtime_ns for path in place.iterdir() if path.name != "__pycache__"} == before


def test_what_is_wrong_in_the_line_is_said_before_the_model_is_loaded(place: Path) -> None:
    for wrong in ("--window big", "--stride x", "--baseline grey", "-o heat.jpg", "-o cat.png", "--device tpu"):
        ended = featmap(f"occlude no.such:model cat.png {wrong}")
        assert ended.code == 2
        assert "no.such" not in ended.err


def test_a_class_is_named_by_a_file_and_asked_for_by_its_name(place: Path) -> None:
    Path("names.txt").write_text("ant\nbee\ntiger cat\ndog\neel\n")
    line = f"occlude {HEADED} cat.png --window 4 --stride 4 --classes names.txt --json"
    ended = featmap(f"{line} --target 'Tiger Cat'")
    assert (ended.code, ended.err) == (0, "")
    assert json.loads(ended.out)["target"] == "logit of class 2 (tiger cat)"
    assert json.loads(featmap(line).out)["target"] == "logit of class 4 (eel)"
    ended = featmap(f"{line} --target tigger")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == (
        "'tigger' is neither a class nor a layer of cli.networks:Headed.\n\n"
        "The nearest classes are tiger cat. `featmap plan` lists all layers.\n"
    )
    Path("names.txt").write_text("ant\nbee\n")
    ended = featmap(line)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == (
        "'names.txt' names 2 classes; cli.networks:Headed returns 5 scores.\n\n"
        "Give one name for each score, in their order.\n"
    )
