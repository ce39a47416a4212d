"""A report is one well-formed file that loads nothing and trusts no text."""

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from featmap.errors import ImageMissing, OutputError, SettingError
from featmap.view.report.page import Report
from featmap.view.sheets.maps import map_pages

VOID = {"meta", "img", "input", "br", "hr", "link"}
EVIL = "<script>alert('1')</script>\"&`<b>`"


class Page(HTMLParser):
    """Collects every tag, and fails on tags that do not close in order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.words = [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.words.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture
def picture():
    return map_pages(np.random.default_rng(0).normal(size=(4, 5, 5)), "conv1:z")[0]


@pytest.fixture
def report(picture):
    wide = Image.new("RGB", (1500, 20))
    return (
        Report("A title", "A lead.")
        .section("Maps")
        .text("One.\n\nTwo with `code`.")
        .figure(picture, "A caption")
        .section("Maps")
        .subsection("Values & more")
        .table(["layer", "maps", "note"], [["`a`", 1234, None], ["b", 2.5, "x" * 60]], "A table")
        .figure([wide, picture, picture], alt="Three pages")
        .items(["first", "second"])
        .code("$ featmap plan x\n<output>", "console")
    )


def test_the_page_is_well_formed_and_complete(report):
    page = Page(report.html())
    words = " ".join("".join(page.words).split())
    for expected in (
        "A title",
        "A lead.",
        "Two with code.",
        "A caption",
        "A table",
        "1,234",
        "2.5",
        "second",
        "<output>",
    ):
        assert expected in words
    assert [tag for tag, _ in page.tags if tag in ("h1", "h2", "h3")] == ["h1", "h2", "h2", "h3"]


def test_nothing_is_loaded_from_anywhere(report):
    page = Page(report.html())
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in page.tags}
    assert all(image["src"].startswith("data:image/") for image in page.all("img"))
    assert all(link["href"].startswith("#") for link in page.all("a"))
    text = re.sub(r"base64,[A-Za-z0-9+/=]+", "", report.html())
    assert not re.search(r"https?://|url\(|@import|src=\"//", text)
    assert {
        "http-equiv": "Content-Security-Policy",
        "content": "default-src 'none'; img-src data:; style-src 'unsafe-inline'",
    } in (page.all("meta"))


def test_the_contents_lead_to_every_heading(report):
    page = Page(report.html())
    names = [attributes["id"] for tag, attributes in page.tags if tag in ("h2", "h3")]
    assert len(set(names)) == 3
    assert [link["href"] for link in page.all("a")] == [f"#{name}" for name in names]


def test_every_text_is_escaped(picture):
    evil = (
        Report(EVIL, EVIL)
        .section(EVIL)
        .subsection(EVIL)
        .text(EVIL)
        .items([EVIL])
        .table([EVIL], [[EVIL]], EVIL)
        .figure(picture, EVIL, EVIL)
        .code(EVIL, EVIL)
        .code(f"$ {EVIL}", "console")
    )
    page = Page(evil.html())
    assert not {"script", "b"} & {tag for tag, _ in page.tags}
    assert "".join(page.words).count("<script>alert('1')</script>") == 15
    assert page.all("img")[0]["alt"] == EVIL


def test_pictures_are_in_the_page_and_described(report, picture):
    images = Page(report.html()).all("img")
    data = base64.b64decode(images[0]["src"].partition("base64,")[2])
    with Image.open(io.BytesIO(data)) as read:
        assert (np.asarray(read) == np.asarray(picture)).all()
    assert images[0]["alt"] == picture.info["Description"]
    assert (images[0]["width"], images[0]["height"]) == (str(picture.width), str(picture.height))
    assert [image["alt"] for image in images[1:]] == [f"Three pages, page {page} of 3" for page in (1, 2, 3)]


def test_only_wide_pictures_have_a_switch_to_their_actual_size(report):
    page = Page(report.html())
    assert page.all("input") == [{"type": "checkbox", "aria-label": "actual size"}]
    assert page.all("img")[1]["width"] == "1500"


def test_wide_things_scroll_in_containers_that_the_keyboard_reaches(report):
    regions = [attributes for attributes in Page(report.html()).all("div") if "scroll" in attributes.get("class", "")]
    assert len(regions) == 6
    assert all(region["tabindex"] == "0" and region["aria-label"] for region in regions)


def test_numbers_are_aligned_right(report):
    cells = [attributes.get("class") for attributes in Page(report.html()).all("td")]
    assert cells == [None, "number", None, None, "number", "long"]


def test_a_report_is_never_changed(picture):
    start = Report("x")
    longer = start.section("A").figure(picture)
    assert start.blocks == ()
    assert len(longer.blocks) == 2
    assert "<nav" not in start.html()


def test_pictures_come_from_files_too(tmp_path, picture):
    (tmp_path / "drawing.svg").write_text("<svg xmlns='x'><script/></svg>")
    picture.save(tmp_path / "maps.png")
    images = Page(Report("x").figure([tmp_path / "drawing.svg", tmp_path / "maps.png"]).html()).all("img")
    assert images[0]["src"].startswith("data:image/svg+xml;base64,")
    assert images[1]["width"] == str(picture.width)


def test_files_that_are_no_pictures_are_refused(tmp_path):
    (tmp_path / "x.txt").write_text("x")
    with pytest.raises(SettingError) as unknown:
        Report("x").figure(tmp_path / "x.txt").html()
    assert str(unknown.value) == (
        f"'{tmp_path / 'x.txt'}' ends in '.txt', a report shows .png, .gif, .svg, .jpg, .jpeg, .webp.\n\n"
        "Convert the picture."
    )
    with pytest.raises(ImageMissing) as missing:
        Report("x").figure(tmp_path / "x.png").html()
    assert str(missing.value) == f"There is no picture '{tmp_path / 'x.png'}'.\n\nCheck the path."
    with pytest.raises(SettingError) as empty:
        Report("x").figure([])
    assert str(empty.value) == "A figure came without a picture.\n\nPass a picture, a path, or a list of them."


def test_ragged_tables_are_refused():
    with pytest.raises(SettingError) as caught:
        Report("x").table(["a", "b"], [[1, 2], [3]])
    assert str(caught.value) == (
        "Row 1 of the table has 1 cell, the table has 2 headings.\n\n"
        "Pass one cell per heading; None leaves a cell empty."
    )


def test_a_report_is_written_whole(tmp_path, report):
    path = report.save(tmp_path / "report.html")
    assert path.read_text(encoding="utf-8") == report.html()
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.html"]


def test_other_suffixes_and_missing_folders_are_refused(tmp_path, report):
    with pytest.raises(OutputError) as suffix:
        report.save(tmp_path / "report.pdf")
    assert str(suffix.value) == (
        f"'{tmp_path / 'report.pdf'}' ends in '.pdf'; reports are written as .html.\n\n"
        f"Use '{tmp_path / 'report.html'}'."
    )
    with pytest.raises(OutputError, match="there is no folder"):
        report.save(tmp_path / "no" / "report.html")
