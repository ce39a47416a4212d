"""`-`: a picture from standard input gives what its path gives, with the same errors."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import featmap as fm
from cli.conftest import bomb
from cli.console import featmap
from featmap.images import formats

SMALL = "cli.networks:Small"
REMEDY = "Send a picture into it, featmap ... - < cat.jpg, or give a path (./- for a file named -)."
LINES = {
    "maps": f"maps {SMALL} PICTURE --layer stem:z -o out.npz --json",
    "explain": f"explain {SMALL} PICTURE stem:z/1@2,3 --json",
    "contributions": f"explain {SMALL} PICTURE stem:z/1 --json",
    "occlude": f"occlude {SMALL} PICTURE --target stem:a/1 --window 4 --json",
    "project": f"project {SMALL} PICTURE stem:a/1 --json",
    "field": f"field {SMALL} stem:a/1@2,3 --image PICTURE -o out.png --json",
    "sheet": f"sheet {SMALL} PICTURE --layer stem -o out.png --json",
}


def named(document: Any, name: str) -> Any:
    """The document with the name of the picture, which alone may differ."""
    return json.loads(json.dumps(document).replace(json.dumps(name), '"PICTURE"'))


@pytest.mark.parametrize("line", LINES.values(), ids=LINES.keys())
@pytest.mark.parametrize("path", ["my photos/the cat.JPG", "grey.png"])
def test_it_gives_what_the_path_gives(place: Path, line: str, path: str) -> None:
    by_path = featmap(line.replace("PICTURE", f"'{path}'"))
    files = {file.name: file.read_bytes() for file in place.glob("out*.np?")}
    found = featmap(line.replace("PICTURE", "-"), (place / path).read_bytes())
    assert (by_path.code, found.code) == (0, 0), found
    assert named(json.loads(found.out), "standard input") == named(json.loads(by_path.out), path)
    for name, content in files.items():
        assert (place / name).read_bytes() == content


def test_the_answer_names_it(place: Path) -> None:
    found = featmap(LINES["maps"].replace("PICTURE", "cat.png -"), (place / "grey.png").read_bytes())
    assert json.loads(found.out)["maps"][0]["images"] == ["cat.png", "standard input"]


def test_similar_images(place: Path) -> None:
    fm.Index.build(fm.load(SMALL), ["cat.png", "grey.png"], "x.fmi", progress=False)
    line = f"index similar x.fmi - --layer stem -k 1 --model {SMALL} --json"
    found = featmap(line, (place / "grey.png").read_bytes())
    assert json.loads(found.out)["nearest"][0]["image"] == "grey.png"
    without = featmap(line.replace(f"--model {SMALL}", ""), b"")
    assert (without.code, without.out) == (2, "")
    assert without.err == (
        "'-' is a picture from standard input, which the index has no network to run.\n\n"
        "Name the network of the index: --model MODEL.\n"
    )


@pytest.mark.parametrize("line", LINES.values(), ids=LINES.keys())
def test_nothing_in_it(place: Path, line: str) -> None:
    ended = featmap(line.replace("PICTURE", "-"), b"")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == f"'-' reads a picture from standard input, which is empty.\n\n{REMEDY}\n"
    assert not list(place.glob("out*"))


@pytest.mark.parametrize("state", ["a terminal", "closed"])
def test_nothing_can_be_read_from_it(place: Path, state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from featmap.cli.options.picture import read_standard_input
    from featmap.errors import ImageMissing

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    if state == "closed":
        stream.close()
    monkeypatch.setattr(sys, "stdin", stream)
    with pytest.raises(ImageMissing) as caught:
        read_standard_input()
    assert str(caught.value) == f"'-' reads a picture from standard input, which is {state}.\n\n{REMEDY}"


@pytest.mark.parametrize("name", ["maps", "sheet"])
def test_it_holds_one_picture(place: Path, name: str) -> None:
    ended = featmap(LINES[name].replace("PICTURE", "- cat.png -"), (place / "cat.png").read_bytes())
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == "Standard input holds one picture; '-' is given twice.\n\nGive the other by its path.\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no picture at all", "'standard input' is not an image that featmap can read."),
        (b"%!PS-Adobe", "'standard input' is EPS or PostScript, which is a program; featmap opens only what is "),
        (bomb(), "'standard input' claims 2,500,000,000 pixels; featmap opens up to 178,956,970, because such "),
        (b"\xff\xd8" + b"\xff\xda" * 101, "'standard input' is a JPEG of 101 scans; featmap decodes up to 100, "),
    ],
)
def test_the_limits_of_files_hold(place: Path, content: bytes, message: str) -> None:
    ended = featmap(LINES["explain"].replace("PICTURE", "-"), content)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith(message)


def test_the_limit_of_bytes(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = (place / "cat.png").read_bytes()
    monkeypatch.setattr(formats, "LARGEST_BYTES", len(content))
    assert featmap(LINES["explain"].replace("PICTURE", "-"), content).code == 0
    ended = featmap(LINES["explain"].replace("PICTURE", "-"), content + bytes(9))
    # No more is read than is needed to know.
    assert ended.err.startswith(f"'standard input' has {len(content) + 1:,} bytes; featmap reads pictures of up to ")


def test_a_file_of_that_name(place: Path) -> None:
    (place / "-").write_bytes((place / "grey.png").read_bytes())
    found = featmap(LINES["maps"].replace("PICTURE", "./-"))
    assert found.code == 0
    with np.load("out.npz") as arrays:
        kept = arrays["stem:z"]
    featmap(LINES["maps"].replace("PICTURE", "grey.png"))
    with np.load("out.npz") as arrays:
        assert np.array_equal(kept, arrays["stem:z"])


TRANSPARENT = "note: of some pictures transparency is left out, and what is below it is seen\n"


@pytest.mark.parametrize(
    ("mode", "note"),
    [
        ("RGBA", TRANSPARENT),
        ("LA", TRANSPARENT),
        ("I;16", "note: of some pictures 16 bits per value are rounded to 8\n"),
        ("RGB", ""),
    ],
)
def test_what_is_not_used_of_it_is_said_once(place: Path, mode: str, note: str) -> None:
    values = np.random.default_rng(0).integers(0, 256, (12, 16, {"LA": 2, "RGBA": 4}.get(mode, 3)), np.uint8)
    if mode == "I;16":
        Image.fromarray(values[..., 0].astype(np.uint16) * 257).save("odd.png")
    else:
        Image.fromarray(values).save("odd.png")
    line = f"explain {SMALL} PICTURE stem:z/1@2,3 --json"
    by_path = featmap(line.replace("PICTURE", "odd.png"))
    found = featmap(line.replace("PICTURE", "-"), (place / "odd.png").read_bytes())
    assert (by_path.err, found.err) == (note, note)
    assert named(json.loads(found.out), "standard input") == named(json.loads(by_path.out), "odd.png")
