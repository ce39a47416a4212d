"""`--fit`: taken by every command with a picture, stated in answers, and part of an index's identity."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import featmap as fm
from cli.conftest import picture
from cli.console import featmap
from featmap.index.schema.description import Description

SMALL = "cli.networks:Small"
FITS = {
    "stretch": "stretch to 12x16 (bilinear), values / 255",
    "crop": "scale to cover 12x16 (bilinear), crop centre 12x16, values / 255",
    "pad": "scale into 12x16 (bilinear), pad with colour 0, values / 255",
    "pad:114": "scale into 12x16 (bilinear), pad with colour 114, values / 255",
    "PAD:124,116,104": "scale into 12x16 (bilinear), pad with colour (124, 116, 104), values / 255",
}
LINES = (
    f"plan {SMALL}",
    f"maps {SMALL} tall.png --layer stem:z -o out.npz",
    f"occlude {SMALL} tall.png --target stem:a/1 --window 4",
    f"project {SMALL} tall.png stem:a/1",
    f"sheet {SMALL} tall.png --layer stem",
    f"field {SMALL} stem:a/1@2,3 --image tall.png -o out.png",
)


@pytest.fixture
def tall(place: Path) -> Path:
    """Beside the other files a picture that is much higher than wide."""
    picture().resize((9, 30)).save(place / "tall.png")
    return place


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.split()[0])
@pytest.mark.parametrize(("fit", "words"), FITS.items(), ids=FITS.keys())
def test_every_answer_says_it(tall: Path, line: str, fit: str, words: str) -> None:
    ended = featmap(f"{line} --fit {fit}")
    assert ended.code == 0, ended
    assert f"input: {words}\n" in ended.out


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.split()[0])
def test_a_colour_of_another_number_of_channels_is_refused(tall: Path, line: str) -> None:
    ended = featmap(f"{line} --fit pad:1,2")
    assert ended.code == 2
    assert "Preprocessing: fill has 2 numbers; the input has 3 channels." in ended.err


@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
def test_the_maps_are_those_of_the_picture_so_fitted(tall: Path, fit: str) -> None:
    assert featmap(f"maps {SMALL} tall.png --layer stem:z -o out.npz --fit {fit}").code == 0
    net = fm.load(SMALL)
    record = fm.Preprocessing((12, 16), fit=fit)
    from PIL import Image

    expected = net.maps(record(Image.open("tall.png"))[None], ["stem:z"])["stem:z"].values
    with np.load("out.npz") as arrays:
        assert np.array_equal(arrays["stem:z"], expected.numpy())


def test_explain_takes_it(tall: Path) -> None:
    line = f"explain {SMALL} tall.png stem:z/1@0,0 --json"
    found = [json.loads(featmap(f"{line} --fit {fit}").out)["conv"] for fit in ("stretch", "crop", "pad:9", "pad:200")]
    assert len(set(found)) == 4


def test_the_box_in_the_picture_is_told(tall: Path) -> None:
    line = f"field {SMALL} stem:a/1@2,8 --image tall.png -o out.png --fit pad"
    assert "  in the picture of 30 × 9: rows 1:11, columns 1:9\n" in featmap(line).out
    data = json.loads(featmap(f"{line} --json").out)
    assert (data["box"], data["picture_size"]) == ([1, 7, 4, 10], [30, 9])
    # 30 rows become 12, and the 4 columns that 9 become begin at column 6.
    assert data["picture_box"] == [1, 1, 11, 9]
    beside = line.replace("2,8", "2,0")
    assert "  in the picture of 30 × 9: nothing, the unit sees padding alone\n" in featmap(beside).out


@pytest.mark.parametrize("fit", ["cover", "pad:", "pad:300", "pad:1.5", "crop:3", "pad:1,,2", ""])
def test_what_is_no_fit(fit: str) -> None:
    ended = featmap(f"plan {SMALL} --fit '{fit}'")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == (
        f"--fit '{fit}' is not a way to fit a picture.\n\n"
        "Write stretch, crop, pad, or pad with a colour of bytes: pad:114, pad:124,116,104.\n"
    )


def test_an_index_keeps_its_fit(tall: Path) -> None:
    for name, fit in (("padded", "--fit pad:114"), ("cropped", "--fit crop"), ("plain", "")):
        assert featmap(f"index build {SMALL} tall.png cat.png -o {name}.fmi {fit}").code == 0
    assert "pad with colour 114" in featmap("index show padded.fmi").out
    assert featmap(f"index verify padded.fmi --model {SMALL} --fit pad:114").code == 0
    for other in ("", "--fit pad", "--fit stretch"):
        ended = featmap(f"index verify padded.fmi --model {SMALL} {other}")
        assert ended.code == 1
        assert "The index is of another preprocessing: its fingerprint is " in ended.out
    grown = featmap(f"index build {SMALL} tall.png cat.png grey.png -o padded.fmi --fit crop")
    assert grown.code == 2
    assert "(scale into 12x16 (bilinear), pad with colour 114, values / 255); now it is " in grown.err
    similar = f"index similar padded.fmi tall.png --layer stem -k 1 --model {SMALL} --json"
    assert featmap(similar).code == 2
    assert json.loads(featmap(f"{similar} --fit pad:114").out)["nearest"][0]["distance"] == pytest.approx(0, abs=1e-6)


def test_a_comparison_of_other_fits_says_so(tall: Path) -> None:
    for name, fit in (("padded", "--fit pad"), ("again", "--fit pad"), ("cropped", "--fit crop")):
        assert featmap(f"index build {SMALL} tall.png cat.png -o {name}.fmi {fit}").code == 0
    said = (
        "pictures were prepared differently, before: scale into 12x16 (bilinear), pad with colour 0, values / 255; "
        "after: scale to cover 12x16 (bilinear), crop centre 12x16, values / 255\n"
    )
    assert said in featmap("index compare padded.fmi cropped.fmi").out
    assert "prepared differently" not in featmap("index compare padded.fmi again.fmi").out
    found = json.loads(featmap("index compare padded.fmi cropped.fmi --json").out)
    assert found["preprocessing_before"] == FITS["pad"]
    assert found["preprocessing_after"] == FITS["crop"]


def test_an_index_from_before_there_were_fits_opens(tall: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line = f"index build {SMALL} tall.png cat.png -o x.fmi"
    written = Description.to_dict

    def as_before(description: Description) -> dict[str, Any]:
        document = written(description)
        del document["preprocessing_record"]["fit"], document["preprocessing_record"]["fill"]
        return document

    with monkeypatch.context() as patch:
        patch.setattr(Description, "to_dict", as_before)
        assert featmap(line).code == 0
    assert "fit" not in fm.Index.open("x.fmi").description.preprocessing_record
    assert featmap(f"index verify x.fmi --model {SMALL} --files").code == 0
    assert featmap(f"{line.replace('cat.png', 'cat.png grey.png')}").code == 0
    assert len(fm.Index.open("x.fmi")) == 3
