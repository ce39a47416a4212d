"""The picture of a sliding kernel: its scene against the definition, and the files that come out."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from featmap.errors import OutputError, SettingError
from featmap.geometry import convolution
from featmap.view.kernel.file import save_kernel
from featmap.view.kernel.gif import kernel_gif
from featmap.view.kernel.layout import lay_out
from featmap.view.kernel.scene import AxisScene, Kind, Scene, kernel_scene
from featmap.view.kernel.svg import kernel_svg

SVG = "{http://www.w3.org/2000/svg}"
small = st.integers(1, 3)


def scene(size: Any, **numbers: Any) -> Scene:
    return kernel_scene(convolution(size, channels=1, filters=1, **numbers))


def read_inputs(axis: AxisScene, output: int) -> list[int]:
    return [number for cell in axis.read(output) if (number := axis.numbers[cell]) is not None]


@settings(max_examples=200)
@given(st.integers(3, 12), small, small, st.integers(0, 3), st.integers(0, 3), small, st.booleans())
def test_the_kernel_stands_on_the_inputs_that_are_read(
    size: int, kernel: int, stride: int, before: int, after: int, dilation: int, transpose: bool
) -> None:
    numbers = {"kernel": kernel, "stride": stride, "dilation": dilation, "transpose": transpose}
    try:
        layer = convolution(size, channels=1, filters=1, padding=((before, after), (before, after)), **numbers)
        axis = kernel_scene(layer).rows
    except SettingError:
        return
    rule = layer.rule(0)
    assert axis.outputs == rule.output_size(size)
    for output in range(axis.outputs):
        assert all(0 <= cell < axis.cells for cell in axis.read(output))
        assert read_inputs(axis, output) == [i for i in rule.sources(output, size) if 0 <= i < size]
    assert [number for number in axis.numbers if number is not None] == list(range(size))


def test_kinds_of_cells() -> None:
    picture = scene(2, kernel=2, stride=2, padding=0, transpose=True)
    assert [kind.name for kind in picture.rows.kinds] == ["PADDING", "INPUT", "ZERO", "INPUT", "PADDING"]
    assert picture.kind(1, 2) == Kind.ZERO
    assert picture.kind(0, 1) == picture.kind(0, 2) == Kind.PADDING
    assert sum(len(picture.cells(kind)) for kind in Kind) == 25


@pytest.mark.parametrize(
    ("numbers", "title", "captions"),
    [
        ({"kernel": 3}, "convolution, kernel 3 × 3, stride 1", ("rows and columns: (7 + 0 + 0 - 3) / 1 + 1 = 5",)),
        (
            {"kernel": (3, 2), "stride": (1, 2), "padding": ((1, 0), (2, 1)), "dilation": (1, 2)},
            "convolution, kernel 3 × 2, stride 1 × 2, padding 1 above, 0 below, 2 left, 1 right, dilation 1 × 2",
            ("rows: (7 + 1 + 0 - 3) / 1 + 1 = 6", "columns: ⌊(7 + 2 + 1 - 3) / 2⌋ + 1 = 4"),
        ),
        (
            {"kernel": 3, "stride": 2, "padding": 1, "output_padding": 1, "transpose": True},
            "transposed convolution, kernel 3 × 3, stride 2, padding 1, output padding 1",
            (
                "rows and columns: (7 - 1) × 2 + 3 - 1 - 1 + 1 = 14",
                "Seen from the output: with zeros between the inputs, the kernel is turned round and moves by 1.",
            ),
        ),
    ],
)
def test_what_is_said(numbers: dict[str, Any], title: str, captions: tuple[str, ...]) -> None:
    picture = scene(7, **numbers)
    assert (picture.title, picture.captions) == (title, captions)


PICTURES: list[tuple[Any, dict[str, Any]]] = [
    (7, {"kernel": 3, "stride": 2, "padding": 1}),
    ((5, 8), {"kernel": (3, 2), "padding": ((1, 0), (2, 1)), "dilation": (1, 2)}),
    (4, {"kernel": 3, "stride": 2, "padding": 1, "output_padding": 1, "transpose": True}),
    (12, {"kernel": 1}),
    (1, {"kernel": 1}),
]


@pytest.mark.parametrize(("size", "numbers"), PICTURES)
def test_the_svg_holds_every_cell_and_needs_nothing_else(size: Any, numbers: dict[str, Any]) -> None:
    picture = scene(size, **numbers)
    text = kernel_svg(picture)
    root = ElementTree.fromstring(text)
    tiles = {path.get("class"): path.get("d", "").count("M") for path in root.iter(f"{SVG}path")}
    for kind in Kind:
        assert tiles.get(kind.name.lower(), 0) == len(picture.cells(kind))
    assert tiles["empty"] == picture.rows.outputs * picture.columns.outputs
    assert "prefers-reduced-motion" in text
    assert text.count("http") == 1, "the name of SVG itself, and no address to load anything from"
    assert root.findtext(f"{SVG}title") == picture.title


@pytest.mark.parametrize(("size", "numbers"), PICTURES)
def test_the_gif_has_one_frame_per_output(size: Any, numbers: dict[str, Any]) -> None:
    picture = scene(size, **numbers)
    with Image.open(io.BytesIO(kernel_gif(picture))) as gif:
        assert getattr(gif, "n_frames", 1) == picture.rows.outputs * picture.columns.outputs
        layout = lay_out(picture)
        assert gif.size == (layout.width, layout.height)
        right_edge = gif.convert("RGB").crop((layout.width - 8, 0, layout.width, layout.height))
        assert right_edge.getcolors() == [(8 * layout.height, (255, 255, 255))], "no text is cut off"


def test_the_frames_of_the_gif_show_the_kernel_at_each_stop() -> None:
    picture = scene(4, kernel=2)
    grid = lay_out(picture).source
    with Image.open(io.BytesIO(kernel_gif(picture))) as gif:
        for frame, (row, column) in enumerate(picture.outputs):
            gif.seek(frame)
            shown = gif.convert("RGB")
            for cell in picture.cells(Kind.INPUT):
                left, top = grid.corner(*cell)
                orange = shown.getpixel((int(left + grid.cell / 2), int(top + grid.cell / 2))) == (0xF6, 0xA9, 0x3B)
                assert orange == (cell[0] - row in (0, 1) and cell[1] - column in (0, 1))


@pytest.mark.parametrize(
    ("size", "numbers", "text"),
    [
        (13, {"kernel": 3}, "a picture of 13x13 inputs would not be legible, the most is 12x12."),
        (
            (4, 12),
            {"kernel": 3, "padding": (0, 10)},
            "a picture of 4x32 cells with padding and zeros would not be legible, the most is 30x30.",
        ),
        (
            12,
            {"kernel": 1, "stride": 3, "transpose": True, "output_padding": 2},
            "a picture of 36x36 cells with padding and zeros would not be legible, the most is 30x30.",
        ),
    ],
)
def test_too_many_cells(size: Any, numbers: dict[str, Any], text: str) -> None:
    with pytest.raises(SettingError) as caught:
        scene(size, **numbers)
    assert str(caught.value) == f"{text}\n\nDraw the same kernel on a smaller input: it moves in the same way."


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layer = convolution(5, channels=1, filters=1, kernel=3)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OutputError) as caught:
        save_kernel(layer, tmp_path / "kernel.svg")
    assert str(caught.value) == (
        f"'{tmp_path}/kernel.svg' cannot be written: No space left on device.\n\n"
        "Choose another path, or make room and allow writing there."
    )
    assert list(tmp_path.iterdir()) == []


def test_drawing_an_svg_loads_no_image_library(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom featmap.geometry import convolution\nfrom featmap.view.kernel.file import save_kernel\n"
        "save_kernel(convolution(5, channels=1, filters=1, kernel=3), sys.argv[1])\n"
        "print([name for name in sys.modules if name in ('PIL', 'numpy', 'matplotlib', 'torch')])"
    )
    line = [sys.executable, "-c", code, str(tmp_path / "kernel.svg")]
    assert subprocess.run(line, capture_output=True, text=True, check=True).stdout == "[]\n"
