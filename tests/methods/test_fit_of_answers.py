"""Answers under every fit: what is drawn is what the network saw, and a unit's box holds what changes it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import featmap as fm
from featmap.network.placement import FITS

PICTURES = ((7, 13), (13, 6))
SHAPES = ((3, 10, 10), (3, 8, 12))


def net(fit: str, shape: tuple[int, ...]) -> fm.Network:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU(), nn.Conv2d(4, 2, 3, padding=1), nn.Flatten())
    return fm.trace(module.eval(), shape, fit=fit, fill=114 if fit == "pad" else 0)


def picture(size: tuple[int, int], seed: int = 0) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(60, 200, (*size, 3), np.uint8)
    return Image.fromarray(pixels)


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", PICTURES)
def test_the_box_of_a_unit_in_the_picture_holds_all_that_changes_it(
    fit: str, shape: tuple[int, int, int], size: tuple[int, int]
) -> None:
    network, whole = net(fit, shape), picture(size)
    changed: list[Image.Image] = []
    for row in range(size[0]):
        for column in range(size[1]):
            pixels = np.asarray(whole).copy()
            pixels[row, column] = 255 if pixels[row, column].mean() < 128 else 0
            changed.append(Image.fromarray(pixels))
    values = network.maps([whole, *changed], ["2:z"])["2:z"].values
    differs = (values[1:] != values[:1]).any(dim=1).reshape(*size, *values.shape[2:])
    for row in range(values.shape[2]):
        for column in range(values.shape[3]):
            drawing = network.draw_field(whole, f"2:z/0@{row},{column}")
            assert drawing.picture_size == size
            inside = torch.zeros(size, dtype=torch.bool)
            box = drawing.picture_box
            inside[box.top : box.bottom, box.left : box.right] = True
            assert not (differs[..., row, column] & ~inside).any()
            assert box.is_empty == (not differs[..., row, column].any())


def same(found: Image.Image | None, expected: Image.Image) -> None:
    assert found is not None
    assert np.array_equal(np.asarray(found.convert("RGB")), np.asarray(expected))


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", PICTURES)
def test_what_is_drawn_is_what_the_network_saw(fit: str, shape: tuple[int, ...], size: tuple[int, int]) -> None:
    network, whole = net(fit, shape), picture(size)
    seen = network.preprocessing.framed(whole)
    assert seen.size == shape[:0:-1]
    values = torch.from_numpy(np.asarray(seen).astype(np.float32) / 255).permute(2, 0, 1)
    torch.testing.assert_close(network.preprocessing(whole), values)
    same(network.draw_field(whole, "2:z/0@1,1").picture, seen)
    same(network.occlude(whole, 0, window=3, stride=3).picture, seen)
    same(network.project(whole, "2:z/0").picture, seen)
    examples = [one for found in network.sheet([whole], "0:a", k=1).examples.values() for one in found]
    assert examples
    same(examples[0].picture, seen)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_tensor_is_drawn_on_as_every_question_shows_it(shape: tuple[int, ...]) -> None:
    network = net("crop", shape)
    values = network.preprocessing(picture(PICTURES[0]))
    expected = network.occlude(values, 0, window=3, stride=3).picture
    assert expected is not None
    for given in (values, values[None]):
        drawing = network.draw_field(given, "2:z/0@1,1")
        same(drawing.picture, expected)
        assert drawing.box == drawing.picture_box == network.receptive_field("2:z/0@1,1").box
        assert drawing.picture_size == shape[1:]
    other = torch.zeros(3, shape[1] + 4, shape[2] + 2)
    assert network.draw_field(other, "2:z/0@1,1").picture.size == other.shape[:0:-1]
    for wrong in (torch.stack([values, values]), values[:2], values[None, None]):
        with pytest.raises(fm.errors.InputError):
            network.draw_field(wrong, "2:z/0@1,1")


@pytest.mark.parametrize("fit", FITS)
def test_the_crops_of_an_index_are_of_what_the_network_saw(fit: str, tmp_path: Path) -> None:
    from featmap.index.questions.shown import framed_image

    network = net(fit, SHAPES[1])
    for number, size in enumerate(PICTURES):
        picture(size, number).save(tmp_path / f"{number}.png")
    index = fm.Index.build(network, tmp_path, tmp_path / "x.fmi", progress=False)
    opened = fm.Index.open(tmp_path / "x.fmi")
    assert opened.description.preprocess == network.preprocessing
    for example in index.top("2:z/0", k=2).examples:
        shown = framed_image(opened.description, example.path, example.digest)
        same(shown, network.preprocessing.framed(Image.open(example.path)))
        unit = f"2:z/0@{example.unit[0]},{example.unit[1]}"
        assert example.box == network.receptive_field(unit).box
        assert example.value == pytest.approx(
            network.maps(example.path, ["2:z"])["2:z"].values[0, 0][example.unit].item()
        )
