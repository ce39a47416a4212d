"""Every type of result, saved: the files hold what is shown and said, whole or not at all, and texts stay texts."""

from __future__ import annotations

import base64
import csv
import html
import io
import json
import os
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import load

from featmap.errors import OutputError
from featmap.view.arrays import as_array, npz_bytes, safetensors_bytes, shown_array
from featmap.view.report.page import Report
from support.results import CONTRACT, Made

FORMS = [(name, suffix) for name, (_, suffixes) in CONTRACT.items() for suffix in suffixes]
PICTURED = [name for name, (_, suffixes) in CONTRACT.items() if ".png" in suffixes]
EVIL = "<script>alert('1')</script>&\"<b>"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(tmp_path_factory.mktemp("results"))


@pytest.mark.parametrize("name", PICTURED)
def test_saved_pictures_are_those_that_are_shown(name: str, made: Made, tmp_path: Path) -> None:
    result = CONTRACT[name][0](made)
    pages, files = result.pages(), result.save(tmp_path / "answer.png")
    assert len(files) == len(pages)
    assert sorted(files) == sorted(tmp_path.iterdir())
    for page, file in zip(pages, files, strict=True):
        with Image.open(file) as read:
            assert read.convert("RGB").tobytes() == page.convert("RGB").tobytes()
            for key in ("Title", "Description"):
                assert read.info.get(key) == page.info.get(key)


@pytest.mark.parametrize("name", [name for name, suffix in FORMS if suffix == ".json"])
def test_saved_data_are_the_answers_own(name: str, made: Made, tmp_path: Path) -> None:
    result = CONTRACT[name][0](made)
    (file,) = result.save(tmp_path / "answer.json")
    assert json.loads(file.read_text(encoding="utf-8")) == result.to_dict()
    (text,) = result.save(tmp_path / "answer.txt")
    assert text.read_text(encoding="utf-8") == f"{result}\n"


@pytest.mark.parametrize("name", [name for name, suffix in FORMS if suffix == ".csv"])
def test_saved_rows_are_the_answers_own(name: str, made: Made, tmp_path: Path) -> None:
    result = CONTRACT[name][0](made)
    (file,) = result.save(tmp_path / "answer.csv")
    rows = result.rows()
    read = list(csv.DictReader(io.StringIO(file.read_text(encoding="utf-8"))))
    assert len(read) == len(rows)
    for found, row in zip(read, rows, strict=True):
        assert {key: value for key, value in found.items() if value} == {
            key: str(value) for key, value in row.items() if value is not None and str(value)
        }


@pytest.mark.parametrize(("name", "suffix"), FORMS)
def test_an_interrupted_save_leaves_the_older_file_and_no_half_of_a_new_one(
    name: str, suffix: str, made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = CONTRACT[name][0](made)
    path = tmp_path / f"answer{suffix}"
    path.write_bytes(b"older")
    real = Path.write_bytes

    def half(path: Path, data: Any) -> int:
        real(path, bytes(data)[: len(data) // 2])
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_bytes", half)
    with pytest.raises(KeyboardInterrupt):
        result.save(path)
    monkeypatch.undo()
    assert [each.name for each in tmp_path.iterdir()] == [path.name]
    assert path.read_bytes() == b"older"


@pytest.mark.parametrize("name", ["Plan", "OcclusionMap", "MapSet", "Projections", "TopImages"])
def test_a_save_that_cannot_be_finished_says_so_and_leaves_nothing(
    name: str, made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(source: Any, target: Any) -> None:
        raise OSError(28, "No space left on device", str(source))

    monkeypatch.setattr(os, "replace", refuse)
    path = tmp_path / f"answer{CONTRACT[name][1][0]}"
    with pytest.raises(OutputError, match="cannot be written: No space left on device"):
        CONTRACT[name][0](made).save(path)
    assert not list(tmp_path.iterdir())


class Text(HTMLParser):
    """The text of a piece of HTML, and the names of its tags."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "img":
            self.images.append(dict(attrs))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return "".join(self.words)


TAGS = {
    *("html", "head", "meta", "title", "style", "body", "header", "main", "footer", "div", "nav"),
    *("h1", "h2", "p", "ul", "ol", "li", "a", "pre", "code", "span", "figure", "figcaption", "img"),
    *("table", "thead", "tbody", "tr", "th", "td"),
}
"""What a report is made of; no script, frame, form or link among them."""

WORDS = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Zs"]), min_size=1, max_size=20).map(
    lambda words: words.strip().replace("`", "'")
).filter(bool)  # fmt: skip


@settings(max_examples=60)
@given(WORDS, WORDS, st.lists(WORDS, min_size=1, max_size=3), WORDS, st.integers(0, 10**6))
def test_whatever_is_written_into_a_report_reads_back(
    title: str, heading: str, entries: list[str], code: str, amount: int
) -> None:
    page = (
        Report(title, lead=heading)
        .section(heading)
        .text(code)
        .items(entries)
        .table([heading, "amount"], [[entry, amount] for entry in entries], caption=title)
        .code(code, language=title)
        .figure(Image.new("RGB", (3, 2)), caption=heading, alt=code)
    )
    read = Text(page.html())
    assert read.text.count(title) >= 3, "in the head, above the page and above the table"
    for words in (heading, *entries, code, f"{amount:,}"):
        assert words in read.text
    assert set(read.tags) <= TAGS
    (image,) = read.images
    assert image["alt"] == code
    kind, _, data = str(image["src"]).partition(",")
    assert kind == "data:image/png;base64"
    assert Image.open(io.BytesIO(base64.b64decode(data))).size == (3, 2)


def test_a_report_on_disk_is_the_page() -> None:
    page = Report(EVIL).section(EVIL).text(EVIL)
    assert EVIL not in page.html()
    assert page.html().count(html.escape(EVIL)) == 5


DTYPES = [torch.bfloat16, torch.float16, torch.float32, torch.float64, torch.int8, torch.int64, torch.bool]


@pytest.mark.parametrize("dtype", [*DTYPES, torch.complex64], ids=str)
def test_arrays_of_every_type_read_back(dtype: torch.dtype) -> None:
    """As views, too: conjugated, negated, turned and strided ones hold other bytes than they show."""
    values = torch.tensor([[0, 1, 1], [1, 0, 1]]).to(dtype)
    if dtype.is_complex:
        values = (values + 2j * values).conj()
    views = {"plain": values, "turned": values.T, "strided": values[:, ::2]}
    if dtype.is_complex:
        views["imaginary"] = values.imag
    tensors = load(safetensors_bytes(views))
    with np.load(io.BytesIO(npz_bytes(views)), allow_pickle=False) as arrays:
        for name, view in views.items():
            assert tensors[name].dtype == view.dtype
            assert torch.equal(tensors[name], view.resolve_conj().resolve_neg())
            assert np.array_equal(arrays[name], as_array(view))
            assert torch.equal(torch.from_numpy(arrays[name]).to(view.dtype), view.resolve_conj().resolve_neg())
            shown = view.abs() if view.is_complex() else view
            assert np.array_equal(shown_array(view), shown.float().resolve_neg().numpy())


def test_python_objects_are_never_written() -> None:
    with pytest.raises(OutputError) as caught:
        npz_bytes({"fine": np.zeros(2), "odd": np.array([object()])})
    assert str(caught.value) == "'odd' holds Python objects, no numbers.\n\nSave numbers."
