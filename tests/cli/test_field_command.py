"""`featmap field`: a layer's receptive field, the box of one unit, and that box on a picture."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from cli.console import featmap
from cli.examples import check_help
from cli.golden import check

SMALL = "cli.networks:Small"
UNIT = "pool/3@1,5"


def test_help_and_its_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    check_help("field")


@pytest.mark.parametrize(("name", "address"), [("layer", "pool"), ("unit", UNIT), ("whole", "5:z")])
def test_text(name: str, address: str) -> None:
    ended = featmap(f"field {'cli.networks:Headed' if address == '5:z' else SMALL} {address}")
    assert (ended.code, ended.err) == (0, "")
    check(f"field-{name}", ended.out)


def test_json_of_a_layer() -> None:
    ended = featmap(f"field {SMALL} pool --json")
    assert ended.err == ""
    assert json.loads(ended.out) == {
        "address": "pool:a",
        "size": [6, 6],
        "stride": [2, 2],
        "offset": [-2, -2],
        "steps": [None, None],
        "status": "exact",
        "input_shape": [3, 12, 16],
    }


def test_json_of_a_unit() -> None:
    document = json.loads(featmap(f"field {SMALL} {UNIT} --json").out)
    # Row 1 sees rows 2 * 1 - 2 to 2 * 1 + 3; column 5 sees columns 8 to 13.
    assert document["address"] == "pool:a/3@1,5"
    assert document["box"] == [0, 8, 6, 14]
    document = json.loads(featmap(f"field {SMALL} grouped:z/0@5,7 --json").out)
    assert (document["box"], document["status"]) == ([3, 5, 8, 10], "exact")


def test_a_box_is_cut_at_the_border() -> None:
    assert json.loads(featmap(f"field {SMALL} pool/0@0,7 --json").out)["box"] == [0, 12, 4, 16]


def test_drawn_on_a_picture(place: Path) -> None:
    ended = featmap(f"field {SMALL} {UNIT} --image 'my photos/the cat.JPG' -o box.png --json")
    assert (ended.code, ended.err) == (0, "wrote box.png\n")
    assert json.loads(ended.out)["box"] == [0, 8, 6, 14]
    with Image.open(place / "box.png") as drawn:
        assert "pool:a/3@1,5" in drawn.text["Description"]


@pytest.mark.parametrize("image", ["grey.png", "alpha.png"])
def test_drawn_on_pictures_of_other_kinds(place: Path, image: str) -> None:
    assert featmap(f"field {SMALL} {UNIT} --image {image} -o BOX.PNG").code == 0
    assert (place / "BOX.PNG").is_file()


def test_weights_are_accepted_and_change_nothing(place: Path) -> None:
    with_weights = featmap(f"field {SMALL} {UNIT} --weights doubled.safetensors")
    assert with_weights == featmap(f"field {SMALL} {UNIT}")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            f"{UNIT} --image cat.png",
            "A drawing needs a picture and a file.\n\nGive both --image IMAGE and -o FILE.png.\n",
        ),
        (f"{UNIT} -o box.png", "A drawing needs a picture and a file.\n\nGive both --image IMAGE and -o FILE.png.\n"),
        (
            "pool --image cat.png -o box.png",
            "'pool' names no unit whose box could be drawn.\n\n"
            "Name one, LAYER:STAGE/CHANNEL@ROW,COLUMN, or leave --image and -o out.\n",
        ),
        (
            f"{UNIT} --image cat.png -o box.jpg",
            "'box.jpg' ends in '.jpg'; drawings are written as .png.\n\nUse 'box.png'.\n",
        ),
        (
            f"{UNIT} --image cat.png -o none/box.png",
            "'none/box.png': there is no folder 'none'.\n\nCreate the folder, or choose another path.\n",
        ),
        (
            f"{UNIT} --image cat.png -o ./cat.png",
            "'./cat.png' is the picture itself; it would be overwritten.\n\nChoose another file.\n",
        ),
    ],
)
def test_drawings_that_cannot_be(place: Path, words: str, message: str) -> None:
    before = sorted(path.name for path in place.iterdir())
    for model in (SMALL, "not.looked:at"):  # it is said before the network is loaded
        ended = featmap(f"field {model} {words}")
        assert (ended.code, ended.out, ended.err) == (2, "", message)
    assert sorted(path.name for path in place.iterdir()) == before
