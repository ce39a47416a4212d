"""What a notebook shows of every answer: a table of HTML, with a picture where that says more, or the picture alone."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import nn

import featmap as fm
from featmap.index.verify.verify import Verification
from support.results import CONTRACT, Made, images

EVIL = "<script>alert('1')</script>&\"<b>"
WITH_PICTURE = {name for name, (_, files) in CONTRACT.items() if ".png" in files}
TABLES_WITH_PICTURE = {"Explanation", "Distribution"}
TABLES = {
    *("Plan", "FieldAnswer", "MapSet", "LayerMatrix", "OcclusionCost", "OcclusionMaps", "BuildReport", "IndexSummary"),
    *("Audit", "Selectivity", "Comparison", "Verification", *TABLES_WITH_PICTURE),
}
NUMBER = re.compile(r"[-+−]?[\d.,]+(e-?\d+)?( ?%|[KMGTP]|x)?")


class Read(HTMLParser):
    """The elements of a piece of HTML with their attributes, and the cells of its tables as rows of texts."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[list[tuple[str, str, str]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(source)
        assert not self.open, "an element is never closed"

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attributes)))
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append((tag, str(dict(attributes)["style"]), ""))
        if tag != "img":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)
        if self.open[-1] in ("td", "th"):
            tag, style, text = self.rows[-1][-1]
            self.rows[-1][-1] = (tag, style, text + data)

    @property
    def tags(self) -> set[str]:
        return {tag for tag, _ in self.elements}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(tmp_path_factory.mktemp("results"))


def test_every_answer_has_a_table_or_a_picture() -> None:
    assert CONTRACT.keys() == TABLES | WITH_PICTURE


@pytest.mark.parametrize("name", CONTRACT)
def test_a_notebook_shows_one_of_both(name: str, made: Made) -> None:
    result = CONTRACT[name][0](made)
    source, picture = result._repr_html_(), result._repr_png_()
    assert (source is not None) == (name in TABLES)
    assert (picture is None) == (name in TABLES)
    if picture is not None:
        assert pixels(picture) == result.show().convert("RGB").tobytes()


def pixels(picture: bytes) -> bytes:
    return Image.open(io.BytesIO(picture)).convert("RGB").tobytes()


@pytest.mark.parametrize("name", sorted(TABLES))
def test_tables_have_headings_and_numbers_on_the_right(name: str, made: Made) -> None:
    result = CONTRACT[name][0](made)
    found = Read(result._repr_html_())
    assert found.tags <= {"div", "table", "thead", "tbody", "tr", "th", "td", "img"}
    assert "table" in found.tags
    assert any(tag == "th" for row in found.rows for tag, _, _ in row)
    scopes = [attributes["scope"] for tag, attributes in found.elements if tag == "th"]
    assert set(scopes) <= {"col", "row"}
    columns = list(zip(*[row for row in found.rows if len(row) == len(found.rows[0])], strict=True))
    for column in columns:
        cells = [(style, text) for tag, style, text in column if tag == "td" and text not in ("", "-", "?")]
        sides = {"right" if "text-align:right" in style else "left" for _, style, _ in column}
        assert len(sides) == 1, "a column has one side, its heading too"
        # The names of an nn.Sequential's layers are numbers, too.
        is_name = column[0][2] in ("layer", "map", "address")
        if cells and not is_name and all(NUMBER.fullmatch(text) for _, text in cells):
            assert sides == {"right"}, cells


@pytest.mark.parametrize("name", sorted(TABLES))
def test_tables_have_no_colour_of_their_own(name: str, made: Made) -> None:
    """A page may be light or dark: ink is the page's, rules are grey; only a picture has a ground, which is white."""
    found = Read(CONTRACT[name][0](made)._repr_html_())
    for tag, attributes in found.elements:
        style = str(attributes.get("style") or "")
        assert "class" not in attributes
        assert not re.search(r"(?<![-\w])color:", style)
        assert set(re.findall(r"rgba\([\d,.]+\)", style)) <= {"rgba(128,128,128,.35)", "rgba(128,128,128,.8)"}
        grounds = set(re.findall(r"background:([^;]+)", style))
        assert grounds <= ({"#fff"} if tag == "img" else {"none"})


@pytest.mark.parametrize("name", sorted(TABLES_WITH_PICTURE))
def test_a_picture_stands_above_its_table(name: str, made: Made) -> None:
    result = CONTRACT[name][0](made)
    (shown,) = [attributes for tag, attributes in Read(result._repr_html_()).elements if tag == "img"]
    kind, _, data = str(shown["src"]).partition(",")
    assert kind == "data:image/png;base64"
    assert pixels(base64.b64decode(data)) == result.show().convert("RGB").tobytes()


def test_maps_of_one_address_are_seen(made: Made) -> None:
    one = made.net.maps(images(1), "0:a")
    assert "img" in Read(one._repr_html_() or "").tags
    assert "img" not in Read(made.net.maps(images(1))._repr_html_() or "").tags


def test_a_distribution_without_a_table_has_no_picture(made: Made) -> None:
    found = replace(made.index.distribution("0:a/1"), edges=None, counts=None)
    assert "img" not in Read(found._repr_html_() or "").tags


def test_the_cells_of_a_plan(made: Made) -> None:
    texts = texts_of(made.net.plan())
    assert texts[0][:4] == ["layer", "operator", "details", "output"]
    assert [row[0] for row in texts[1:]] == [row.address for row in made.net.plan()]
    assert texts[1][3] == "4 x 10 x 8"
    assert "parameters 1,075" in Read(made.net.plan()._repr_html_() or "").words


def texts_of(result: Any) -> list[list[str]]:
    return [[text for _, _, text in row] for row in Read(result._repr_html_()).rows]


def test_the_cells_of_a_unit_and_of_steps_that_are_uneven(made: Made) -> None:
    texts = [
        [text for _, _, text in row] for row in Read(made.net.receptive_field("0:a/1@2,3")._repr_html_() or "").rows
    ]
    assert texts == [
        ["", "rows", "columns"],
        ["sees", "2:5", "3:6"],
        ["size", "3", "3"],
        ["stride", "1", "1"],
        ["offset", "0", "0"],
    ]
    uneven = nn.Sequential(nn.Conv2d(1, 1, 1), nn.Upsample((9, 8)))
    answer = fm.trace(uneven.eval(), (1, 6, 6)).receptive_field("1")
    assert answer.field.stride == (None, None)
    rows = texts_of(answer)
    assert rows[2][0] == "stride"
    assert all("period" in step or "then" in step for step in rows[2][1:]), rows


def test_whatever_a_name_is_it_is_text() -> None:
    module = nn.Sequential()
    module.add_module(EVIL, nn.Conv2d(3, 2, 1))
    net = fm.trace(module.eval(), (3, 4, 4))
    answers: list[Any] = [net.plan(), net.maps(torch.zeros(1, 3, 4, 4)), Verification(EVIL, (EVIL,), (EVIL,))]
    for result in answers:
        found = Read(result._repr_html_() or "")
        assert "script" in "".join(found.words)
        assert found.tags <= {"div", "table", "thead", "tbody", "tr", "th", "td", "img"}


def test_files_hold_what_a_notebook_shows(made: Made, tmp_path: Path) -> None:
    """A table's text is in the file of the same answer, cell by cell."""
    for name in ("Plan", "OcclusionCost", "Audit", "Selectivity", "IndexSummary", "OcclusionMaps"):
        result = CONTRACT[name][0](made)
        (file,) = result.save(tmp_path / f"{name}.txt")
        text = " ".join(file.read_text(encoding="utf-8").split())
        for row in Read(result._repr_html_()).rows:
            for _, _, cell in row:
                assert " ".join(cell.split()) in text
