"""Both drawings of a sliding kernel show the same scene at every stop, and its files come whole or not at all."""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageColor

from featmap.errors import OutputError, SettingError
from featmap.geometry import convolution
from featmap.view.kernel.file import save_kernel
from featmap.view.kernel.gif import frames, kernel_gif, pale
from featmap.view.kernel.layout import COLOURS, CellGrid, lay_out
from featmap.view.kernel.scene import Kind, Scene, kernel_scene
from featmap.view.kernel.svg import kernel_svg

EXAMPLES = settings(max_examples=25)
SVG = "{http://www.w3.org/2000/svg}"
Cell = tuple[int, int]


@st.composite
def scenes(draw: st.DrawFn) -> Scene:
    numbers: dict[str, Any] = {
        name: (draw(st.integers(1, most)), draw(st.integers(1, most)))
        for name, most in (("kernel", 3), ("stride", 2), ("dilation", 2))
    }
    sides = [(draw(st.integers(0, 2)), draw(st.integers(0, 2))) for _ in range(2)]
    size = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    try:
        return kernel_scene(
            convolution(size, channels=1, filters=1, padding=tuple(sides), transpose=draw(st.booleans()), **numbers)
        )
    except SettingError:
        assume(False)
        raise


def middle(grid: CellGrid, cell: Cell) -> tuple[int, int]:
    """A pixel inside of a cell's tile, beside the dot that a zero has in its middle."""
    left, top = grid.corner(*cell)
    return int(left + grid.cell * 0.3), int(top + grid.cell * 0.3)


def colour(name: str) -> tuple[int, ...]:
    return ImageColor.getrgb(pale() if name == "pale" else COLOURS[name])


@EXAMPLES
@given(scenes())
def test_every_frame_shows_the_kernel_the_outputs_so_far_and_the_rest(scene: Scene) -> None:
    layout = lay_out(scene)
    done: list[Cell] = []
    for picture, stop in zip(frames(scene), scene.outputs, strict=True):
        shown = picture.convert("RGB")
        under = {(row, column) for row in scene.rows.read(stop[0]) for column in scene.columns.read(stop[1])}
        for kind in Kind:
            for cell in scene.cells(kind):
                expected = "input" if kind == Kind.INPUT else "paper"
                if cell in under:
                    expected = "kernel" if kind == Kind.INPUT else "pale"
                assert shown.getpixel(middle(layout.source, cell)) == colour(expected), (kind, cell, stop)
        for cell in ((row, column) for row in range(layout.result.rows) for column in range(layout.result.columns)):
            expected = "kernel" if cell == stop else "done" if cell in done else "paper"
            assert shown.getpixel(middle(layout.result, cell)) == colour(expected), (cell, stop)
        done.append(stop)
    assert len(done) == scene.rows.outputs * scene.columns.outputs


@EXAMPLES
@given(scenes())
def test_the_file_holds_the_frames_and_runs_for_ever(scene: Scene) -> None:
    made = list(frames(scene))
    with Image.open(io.BytesIO(kernel_gif(scene))) as read:
        counts = read.info.get("duration", 0) if getattr(read, "n_frames", 1) > 1 else None
        for number, picture in enumerate(made):
            read.seek(min(number, getattr(read, "n_frames", 1) - 1))
            if getattr(read, "n_frames", 1) == len(made):
                assert read.convert("RGB").tobytes() == picture.convert("RGB").tobytes()
        assert counts is None or abs(counts / 1000 - scene.seconds_per_output) <= 0.02


def tiles(text: str, kind: str) -> list[tuple[float, float, float]]:
    """Left, top and side of the tiles of one kind in an SVG."""
    root = ElementTree.fromstring(text)
    paths = [path.get("d", "") for path in root.iter(f"{SVG}path") if path.get("class") == kind]
    found = [re.findall(r"M([\d.]+) ([\d.]+)h([\d.]+)v", path) for path in paths]
    return [(float(left), float(top), float(side)) for path in found for left, top, side in path]


@EXAMPLES
@given(scenes())
def test_the_svg_has_its_tiles_where_the_layout_puts_the_cells(scene: Scene) -> None:
    layout, text = lay_out(scene), kernel_svg(scene)
    for kind in Kind:
        expected = [(left + 1, top + 1) for left, top in (layout.source.corner(*cell) for cell in scene.cells(kind))]
        found = tiles(text, kind.name.lower())
        assert [place[:2] for place in found] == [pytest.approx(place, rel=1e-5) for place in expected]
        assert {side for _, _, side in found} <= {layout.source.cell - 2}
    first = [(row, column) for row in scene.rows.read(0) for column in scene.columns.read(0)]
    assert len(tiles(text, "kernel")) == len(first) + 1, "the kernel's cells, and its output"
    outputs = [layout.result.corner(row, column) for row, column in scene.outputs]
    assert len(tiles(text, "empty")) == len(outputs)
    for left, top, side in tiles(text, "empty"):
        assert 0 < left < left + side < layout.width
        assert 0 < top < top + side < layout.height


@EXAMPLES
@given(scenes())
def test_the_kernel_moves_by_one_step_per_output(scene: Scene) -> None:
    layout, text = lay_out(scene), kernel_svg(scene)
    right, down = (
        float(re.search(rf"kernel-{way}{{{{?to{{{{?transform:translate[XY]\(([\d.]+)px", text)[1])  # type: ignore[index]
        for way in ("right", "down")
    )
    assert right == scene.columns.outputs * scene.columns.step * layout.source.cell
    assert down == scene.rows.outputs * scene.rows.step * layout.source.cell
    assert f"steps({scene.columns.outputs})" in text
    assert f"steps({scene.rows.outputs})" in text


@EXAMPLES
@given(scenes())
def test_nothing_of_the_layout_overlaps(scene: Scene) -> None:
    layout = lay_out(scene)
    source, result = layout.source, layout.result
    assert source.left > 0
    assert source.left + source.width + 40 < result.left, "room for the arrow"
    assert result.left + result.width < layout.width
    bottom = max(source.top + source.height, result.top + result.height)
    assert layout.title_line < min(source.top, result.top) - layout.numbers
    assert bottom < layout.legend_line < min(layout.caption_lines)
    assert sorted(layout.caption_lines) == list(layout.caption_lines)
    assert layout.caption_lines[-1] < layout.height
    lefts = [left for _, _, left in layout.legend]
    assert sorted(set(lefts)) == lefts
    assert [what for what, _, _ in layout.legend[-2:]] == ["kernel", "done"]


LAYER = convolution(4, channels=1, filters=1, kernel=3)


@pytest.mark.parametrize("name", ["kernel.svg", "kernel.gif", "KERNEL.SVG"])
def test_a_file_is_what_was_drawn_and_takes_the_place_of_an_older_one(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"older")
    assert save_kernel(LAYER, path) == path
    scene = kernel_scene(LAYER)
    expected = kernel_gif(scene) if name.endswith("gif") else kernel_svg(scene).encode()
    assert path.read_bytes() == expected
    assert [each.name for each in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("interrupted", [KeyboardInterrupt(), MemoryError()])
@pytest.mark.parametrize("name", ["kernel.svg", "kernel.gif"])
def test_an_interrupted_save_leaves_the_older_file_and_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, interrupted: BaseException
) -> None:
    (tmp_path / name).write_bytes(b"older")
    real = Path.write_bytes

    def half(path: Path, data: bytes) -> int:
        real(path, data[:10])
        raise interrupted

    monkeypatch.setattr(Path, "write_bytes", half)
    with pytest.raises(type(interrupted)):
        save_kernel(LAYER, tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_bytes() == b"older"


@pytest.mark.parametrize("name", ["file/kernel.svg", "none/kernel.svg"])
def test_a_folder_that_is_not_there_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_bytes(b"")
    path = tmp_path / name
    with pytest.raises(OutputError) as caught:
        save_kernel(LAYER, path)
    assert str(caught.value) == (
        f"'{path}': there is no folder '{path.parent}'.\n\nCreate the folder, or choose another path."
    )
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_what_the_system_refuses_is_named(tmp_path: Path) -> None:
    path = tmp_path / f"{'x' * 300}.svg"
    path.parent.joinpath("other").mkdir()
    with pytest.raises(OutputError) as caught:
        save_kernel(LAYER, path)
    assert str(caught.value) == (
        f"'{path}' cannot be written: File name too long.\n\nChoose another path, or make room and allow writing there."
    )
    assert [found.name for found in tmp_path.iterdir()] == ["other"]


@pytest.mark.parametrize(
    ("name", "ending"),
    [("kernel.png", "ends in '.png'"), ("kernel", "has no suffix"), ("kernel.svg.gz", "ends in '.gz'")],
)
def test_other_files_are_refused(tmp_path: Path, name: str, ending: str) -> None:
    path = tmp_path / name
    with pytest.raises(OutputError) as caught:
        save_kernel(LAYER, path)
    assert str(caught.value) == (
        f"'{path}' {ending}; a sliding kernel is written as .svg or .gif.\n\nUse '{path.with_suffix('.svg')}'."
    )
    assert not list(tmp_path.iterdir())
