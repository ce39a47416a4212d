"""The table of output formats: what is registered, what is refused, and that files, errors and helps ask it alone."""

from __future__ import annotations

import io
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import nn

import featmap as fm
from featmap.cli.options.answer import file_option
from featmap.errors import MissingPackage, OutputError, SettingError
from featmap.geometry import convolution
from featmap.view.formats.format import Content, Format
from featmap.view.formats.table import FORMATS, suffixes
from featmap.view.kernel.file import save_kernel
from featmap.view.report.page import Report


class WebP(Format):
    suffix = ".webp"
    contents = (Content.PICTURE,)

    def encode(self, content: Image.Image) -> bytes:
        buffer = io.BytesIO()
        content.save(buffer, "WEBP", lossless=True)
        return buffer.getvalue()


class Pickled(Format):
    """Takes several kinds; the first that an answer has is written."""

    suffix = ".pkl"
    contents = (Content.ARRAYS, Content.ROWS, Content.DATA)

    def encode(self, content: Any) -> bytes:
        return pickle.dumps(content)


class Absent(Pickled):
    suffix = ".feather"
    needs = "no_such_package"


@pytest.fixture(autouse=True)
def same_table(monkeypatch: pytest.MonkeyPatch) -> None:
    table = dict(FORMATS)
    monkeypatch.setattr("featmap.view.formats.table.FORMATS", table)


@pytest.fixture(scope="module")
def net() -> fm.Network:
    torch.manual_seed(0)
    return fm.trace(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 6 * 6, 3)), (3, 8, 8))


IMAGE = torch.rand(1, 3, 8, 8)


def test_every_picture_can_be_written_in_a_new_format_of_pictures(net: fm.Network, tmp_path: Path) -> None:
    maps, heat = net.maps(IMAGE, ["0:z", "0:a"]), net.occlude(IMAGE, 0, 4, 4)
    with pytest.raises(OutputError) as caught:
        heat.save(tmp_path / "heat.webp")
    assert str(caught.value) == (
        f"'{tmp_path}/heat.webp' ends in '.webp'; an occlusion is written as .png, .npz, .json or .txt.\n\n"
        f"Use '{tmp_path}/heat.png'."
    )
    fm.register_format(WebP())
    (written,) = heat.save(tmp_path / "heat.webp")
    with Image.open(written) as picture:
        assert (picture.format, picture.size) == ("WEBP", heat.show().size)
        assert picture.convert("RGB").tobytes() == heat.show().convert("RGB").tobytes()
    assert (
        maps.save(tmp_path / "maps.WEBP")
        == [
            *(tmp_path / f"maps-{name}.WEBP" for name in ("0-z", "1-a", "2-a", "3-z")),
        ]
        or len(maps) != 4
    )
    with pytest.raises(OutputError, match=r"feature maps are written as \.png, \.npz, \.safetensors or \.webp\."):
        maps.save(tmp_path / "maps.jpg")


def test_options_of_pictures_are_those_of_every_format_of_pictures(net: fm.Network, tmp_path: Path) -> None:
    fm.register_format(WebP())
    maps = net.maps(IMAGE, ["0:z"])
    assert len(maps.save(tmp_path / "maps.webp", sort="mean", page_size=1)) == 4
    with pytest.raises(OutputError, match="takes the maps as they are"):
        maps.save(tmp_path / "maps.npz", sort="mean")


def test_a_format_of_several_contents_writes_the_first_that_there_is(net: fm.Network, tmp_path: Path) -> None:
    fm.register_format(Pickled())
    heat, plan, field = net.occlude(IMAGE, 0, 4, 4), net.plan(), net.receptive_field("0")
    for name, result in {"heat": heat, "plan": plan, "field": field}.items():
        result.save(tmp_path / f"{name}.pkl")
    read = {path.stem: pickle.loads(path.read_bytes()) for path in tmp_path.iterdir()}
    assert read["heat"]["grid"].tolist() == heat.grid.tolist()
    assert read["plan"] == plan.rows()
    assert read["field"] == field.to_dict()
    with pytest.raises(OutputError, match=r"feature maps are written as \.png, \.npz or \.safetensors\."):
        net.maps(IMAGE).save(tmp_path / "maps.pkl")


def test_a_package_that_a_format_needs_is_asked_for_before_the_work(net: fm.Network, tmp_path: Path) -> None:
    fm.register_format(Absent())
    with pytest.raises(MissingPackage) as caught:
        net.plan().save(tmp_path / "plan.feather")
    assert str(caught.value) == (
        f"'{tmp_path}/plan.feather' needs no_such_package, which cannot be imported.\n\n"
        "Install it: pip install no_such_package; or write .json, .csv or .txt."
    )
    assert not list(tmp_path.iterdir())


def test_what_is_no_format_is_not_registered() -> None:
    class Png(WebP):
        suffix = ".png"

    class Bare(WebP):
        suffix = "webp"

    class Large(WebP):
        suffix = ".WEBP"

    fits = "Give one with its dot, in small letters: '.webp'."
    for wrong, message in (
        (WebP, f"The format to register is {WebP!r}.\n\nGive an instance of a class of "
        "featmap.view.formats.format.Format."),
        (Png(), "'.png' is a format of featmap's own.\n\nGive yours another suffix."),
        (Bare(), f"The suffix of the format is 'webp'.\n\n{fits}"),
        (Large(), f"The suffix of the format is '.WEBP'.\n\n{fits}"),
    ):  # fmt: skip
        given: Any = wrong
        with pytest.raises(SettingError) as caught:
            fm.register_format(given)
        assert str(caught.value) == message
    fm.register_format(WebP())
    fm.register_format(WebP())
    assert suffixes((Content.PICTURE,)) == [".png", ".webp"]


def test_helps_list_what_the_table_holds() -> None:
    assert file_option(Content.PICTURE, Content.DATA).help == "x.png or x.json."
    assert file_option(Content.DATA, Content.ROWS, words="A table: ").help == "A table: x.json or x.csv."
    fm.register_format(WebP())
    assert file_option(Content.PICTURE, Content.DATA).help == "x.png, x.json or x.webp."


def test_files_that_are_no_results_ask_the_same_table(tmp_path: Path) -> None:
    layer = convolution(5, channels=1, filters=1, kernel=3)
    with pytest.raises(OutputError, match=r"a sliding kernel is written as \.svg or \.gif\.\n\nUse '.*x\.svg'\."):
        save_kernel(layer, tmp_path / "x.html")
    with pytest.raises(OutputError, match=r"reports are written as \.html\.\n\nUse '.*x\.html'\."):
        Report("a title").save(tmp_path / "x.svg")
    assert save_kernel(layer, tmp_path / "x.SVG").read_text().startswith("<svg")
    assert Report("a title").save(tmp_path / "x.html").read_text().startswith("<!doctype html>")


def test_options_where_there_are_no_pictures_are_refused(net: fm.Network, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"^save\(\) of a Plan got an unexpected keyword argument 'colours'$"):
        net.plan().save(tmp_path / "plan.json", colours="effect")
    with pytest.raises(TypeError, match="unexpected keyword argument 'colour'"):
        net.maps(IMAGE).save(tmp_path / "maps.npz", colour="effect")
    assert not list(tmp_path.iterdir())


def test_the_table_loads_nothing_heavy() -> None:
    code = (
        "import sys, featmap.view.formats.table; "
        "print([name for name in ('torch', 'numpy', 'PIL', 'matplotlib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
