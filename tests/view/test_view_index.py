"""Pictures of an index's answers: crops are the image's own pixels, and what cannot be shown is hatched and said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import featmap as fm
from featmap.index.questions.distribution import Distribution
from featmap.index.questions.top import TopExample
from featmap.view.drawing.hatch import hatch
from featmap.view.pictures.histogram import histogram_picture, of_all_values
from featmap.view.results.index import _example  # pyright: ignore[reportPrivateUsage]
from featmap.view.sheets.example_sheet import Shown, _tiles  # pyright: ignore[reportPrivateUsage]
from support.tiny_modules import conv

SIZE = 24


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    drawn = np.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    for number in range(5):
        pixels = drawn.integers(0, 256, (SIZE, SIZE, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{number}.png")
    return tmp_path / "photos"


@pytest.fixture
def index(folder: Path) -> fm.Index:
    torch.manual_seed(1)
    module = nn.Sequential(
        conv(3, 4), nn.ReLU(), nn.MaxPool2d(2), conv(4, 3), nn.ReLU(), nn.ConvTranspose2d(3, 2, 1, 3)
    )
    with torch.no_grad():
        # Between what it lays apart the last layer is its bias, and its filters only take away from that.
        module[3].bias.fill_(2)
        module[5].weight.abs_().neg_()
    net = fm.trace(module.eval(), (3, SIZE, SIZE))
    return fm.Index.build(net, folder, folder.parent / "i.fmi", progress=False)


def enlarged(pixels: np.ndarray[Any, Any], factor: int) -> np.ndarray[Any, Any]:
    return np.repeat(np.repeat(pixels, factor, axis=0), factor, axis=1)


def tile(result: Any, example: TopExample, factor: int) -> np.ndarray[Any, Any]:
    """The example's tile where every pixel of its field is drawn in whole pixels."""
    side = max(example.field.height, example.field.width) * factor
    (made,) = _tiles(_example(result, example), side)
    return np.asarray(made)


@pytest.mark.parametrize("address", ["0:a/1", "3:a/2"])
def test_a_tile_is_the_crop_and_hatched_where_there_is_padding(index: fm.Index, folder: Path, address: str) -> None:
    found, cut = index.top(address, 5), 0
    assert len(found.examples) == 5
    for example in found.examples:
        box, field = example.box, example.field
        whole = np.asarray(Image.open(folder / example.image))
        expected = hatch(field.height * 6, field.width * 6)
        row, column = (box.top - field.top) * 6, (box.left - field.left) * 6
        crop = enlarged(whole[box.top : box.bottom, box.left : box.right], 6)
        expected[row : row + crop.shape[0], column : column + crop.shape[1]] = crop
        assert (tile(found, example, 6) == expected).all()
        cut += box != field
    assert cut or address == "0:a/1"


def test_the_page_holds_the_tiles(index: fm.Index) -> None:
    """Somewhere on the sheet stands the inner part of every tile, whose edge is a frame."""
    found = index.top_sheet("0", [1], 1)
    (example,) = found.maps[0].examples
    page = np.asarray(found.show())
    side = 216 // 3 * 3
    expected = tile(found.maps[0], example, 72)[1:-1, 1:-1]
    windows = np.lib.stride_tricks.sliding_window_view(page, (side - 2, side - 2, 3))[:, :, 0]
    starts = (windows[:, :, 0, 0] == expected[0, 0]).all(axis=2) & (windows[:, :, -1, -1] == expected[-1, -1]).all(
        axis=2
    )
    assert any((windows[row, column] == expected).all() for row, column in np.argwhere(starts))


def said(result: Any) -> str:
    return str(result.show().info["Description"])


def test_what_is_gone_or_changed_is_hatched_and_said(index: fm.Index, folder: Path) -> None:
    for ask in (lambda: index.top("0:a/1", 5), lambda: index.top_sheet("0", k=5), lambda: index.similar(0, "0")):
        assert "cannot be shown" not in said(ask())
    (folder / "3.png").unlink()
    Image.new("RGB", (SIZE, SIZE)).save(folder / "1.png")
    found = index.top("0:a/1", 5)
    for example in found.examples:
        is_there = example.image not in ("1.png", "3.png")
        assert (tile(found, example, 6) != hatch(18, 18)).any() == is_there
    words = "2 images cannot be shown: gone, changed, or never in a file; all hatched"
    assert words in said(found)
    assert words in said(index.similar(0, "0"))
    assert words in said(index.similar(3, "0"))
    sheet = index.top_sheet("0", k=5)
    examples = [example for each in sheet.maps for example in each.examples]
    # Examples of value 0 are not shown at all.
    gone = sum(example.image in ("1.png", "3.png") and example.value != 0 for example in examples)
    assert f"{gone} images cannot be shown" in said(sheet)


def test_images_in_memory_cannot_be_shown(tmp_path: Path) -> None:
    net = fm.trace(nn.Sequential(conv(3, 4), nn.ReLU()), (3, SIZE, SIZE))
    index = fm.Index.build(net, torch.rand(3, 3, SIZE, SIZE), tmp_path / "i.fmi", progress=False)
    assert "3 images cannot be shown" in said(index.top("0/1", 3))


def test_a_unit_that_no_pixel_influences_shows_none(index: fm.Index) -> None:
    found = index.top("5:z/0", 5)
    for example in found.examples:
        assert (example.unit, example.box.as_list()) == ((0, 1), [0, 0, 0, 0])
        shown = _example(found, example)
        assert isinstance(shown, Shown)
        (made,) = _tiles(shown, 24)
        assert (np.asarray(made) == hatch(24, 24)).all()


def test_a_sheet_says_over_how_many_images(index: fm.Index) -> None:
    assert said(index.top_sheet("0", k=2)).startswith("what 0:a responds to; of 5 images those that excite")
    sheet = index.top_sheet("0", k=2, least=float(np.median([e.value for e in index.top("0/1", 5).examples])))
    counts = [each.images for each in sheet.maps]
    assert min(counts) < max(counts)
    assert f"of {min(counts)} to {max(counts)} images (value from" in said(sheet)


def distribution(**changed: Any) -> Distribution:
    quantiles: dict[str, float | None] = {"99": 0.5, "99.5": None}
    told: dict[str, Any] = {"mean": 0.25, "fraction_positive": 0.5, "quantiles": quantiles} | changed
    settled = {"deviation": 0.1, "minimum": 0.0, "maximum": 1.0, "positive_images": 2}
    return Distribution("0:a/1", 2, 8, **settled, edges=(0.0, 0.5, 1.0), counts=(1, 1), **told)


def test_a_histogram_of_maxima_draws_nothing_of_all_values() -> None:
    """Quantiles of all values are none of the bars': at the same bars the drawing above the words is the same."""
    plain, marked = (
        np.asarray(histogram_picture(distribution(quantiles=quantiles))) for quantiles in ({}, {"99": 0.5, "99.9": 0.9})
    )
    assert (plain[: len(plain) * 3 // 4] == marked[: len(plain) * 3 // 4]).all()


def test_what_all_values_are_is_said_to_be_of_all_values() -> None:
    assert of_all_values(distribution()) == (
        "all values, which are not shown: mean 0.25, 50.0% above 0, 99% at most 0.5"
    )


def test_nothing_that_a_histogram_says_is_cut() -> None:
    """A margin stays white, however much is said."""
    quantiles: dict[str, float | None] = {f"99.{nines}": 0.123456 for nines in range(12)}
    found = distribution(quantiles=quantiles)
    long = replace(found, address=f"{'blocks.0.' * 18}conv:a/1")
    for result in (found, long):
        values = np.asarray(histogram_picture(result))
        assert (values[:, :3] == 255).all()
        assert (values[:, -3:] == 255).all()
