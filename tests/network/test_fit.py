"""Fitting pictures to the input, and the pixels that a box of the input reads, found by changing pixels one by one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import nn

import featmap as fm
from featmap.errors import InputError, SettingError
from featmap.geometry import Box
from featmap.index.schema.fingerprint import preprocessing_fingerprint
from featmap.network.network import CapturedNetwork, capture_module
from featmap.network.placement import FILTERS, FITS
from featmap.network.preprocess import Preprocessing, default_preprocessing

sides = st.integers(1, 11)
sizes = st.tuples(sides, sides)
interpolations = st.sampled_from(list(FILTERS))
records = st.one_of(
    st.builds(Preprocessing, st.none() | sides, st.none() | sizes, interpolation=interpolations),
    st.builds(
        lambda resize, crop, interpolation, fit, fill: Preprocessing(
            resize, crop, interpolation=interpolation, fit=fit, fill=fill if fit == "pad" else 0
        ),
        sizes,
        st.none() | sizes,
        interpolations,
        st.sampled_from((None, *FITS)),
        st.integers(0, 255),
    ),
)
starts = st.tuples(st.integers(-2, 10), st.integers(-2, 10))


def changed_pictures(height: int, width: int) -> Iterator[tuple[int, int, Image.Image]]:
    """A grey picture, each time with another of its pixels white."""
    for row in range(height):
        for column in range(width):
            pixels = np.full((height, width), 90, np.uint8)
            pixels[row, column] = 255
            yield row, column, Image.fromarray(pixels)


def read_by(record: Preprocessing, size: tuple[int, int], box: Box) -> set[tuple[int, int]]:
    """The pixels of a picture whose change is seen in a box of the input."""
    plain = np.asarray(record.framed(Image.new("L", (size[1], size[0]), 90)))
    return {
        (row, column)
        for row, column, picture in changed_pictures(*size)
        if (np.asarray(record.framed(picture)) != plain)[
            max(box.top, 0) : max(box.bottom, 0), max(box.left, 0) : max(box.right, 0)
        ].any()
    }


@settings(max_examples=150)
@given(records, sizes, starts, st.tuples(st.integers(1, 6), st.integers(1, 6)))
@example(Preprocessing((8, 8), fit="pad"), (4, 9), (0, 0), (2, 8))
@example(Preprocessing((8, 8), (5, 11), fit="pad"), (9, 4), (0, 3), (5, 2))
@example(Preprocessing((8, 6), (4, 4), interpolation="lanczos", fit="crop"), (9, 4), (0, 1), (2, 2))
@example(Preprocessing((3, 9), interpolation="nearest"), (11, 5), (1, 1), (1, 4))
def test_the_box_in_the_picture_holds_what_is_read(
    record: Preprocessing, size: tuple[int, int], start: tuple[int, int], area: tuple[int, int]
) -> None:
    box = Box(start[0], start[1], start[0] + area[0], start[1] + area[1])
    found = record.placed(size).picture_box(box)
    read = read_by(record, size, box)
    rows, columns = range(found.top, found.bottom), range(found.left, found.right)
    assert all(row in rows and column in columns for row, column in read)
    assert 0 <= found.top <= found.bottom <= size[0]
    assert 0 <= found.left <= found.right <= size[1]


@settings(max_examples=100)
@given(records, sizes, st.integers(0, 10), st.integers(0, 10))
def test_it_holds_little_more(record: Preprocessing, size: tuple[int, int], row: int, column: int) -> None:
    lies = record.placed(size)
    assume(row < lies.size[0] and column < lies.size[1])
    found, read = (
        lies.picture_box(Box(row, column, row + 1, column + 1)),
        read_by(record, size, Box(row, column, row + 1, column + 1)),
    )
    assert found.is_empty == (not read)
    if read:
        # The ends of Pillow's filters weigh next to nothing, and bytes are rounded.
        spare = [3 * max(size[axis] / lies.resized[axis], 1) for axis in (0, 1)]
        assert min(place[0] for place in read) - found.top <= spare[0]
        assert found.bottom - 1 - max(place[0] for place in read) <= spare[0]
        assert min(place[1] for place in read) - found.left <= spare[1]
        assert found.right - 1 - max(place[1] for place in read) <= spare[1]


@settings(max_examples=300)
@given(st.tuples(st.integers(1, 300), st.integers(1, 300)), st.tuples(st.integers(1, 300), st.integers(1, 300)))
def test_proportions_are_kept_unless_it_is_stretched(size: tuple[int, int], wanted: tuple[int, int]) -> None:
    scales = [wanted[axis] / size[axis] for axis in (0, 1)]
    for fit, scale in (("pad", min(scales)), ("crop", max(scales))):
        lies = Preprocessing(wanted, fit=fit).placed(size)
        assert lies.size == wanted
        for axis in (0, 1):
            assert abs(lies.resized[axis] - size[axis] * scale) < 1
            room = lies.resized[axis] - wanted[axis]
            assert room <= 0 if fit == "pad" else room >= 0
            # Centred, to the pixel.
            assert abs((lies.top, lies.left)[axis] - room / 2) <= 0.5
    stretched = Preprocessing(wanted, fit="stretch").placed(size)
    assert (stretched.resized, stretched.size, stretched.top, stretched.left) == (wanted, wanted, 0, 0)


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_what_is_padded_has_the_colour_and_the_rest_is_the_picture(mode: str) -> None:
    fill = 114 if mode == "L" else (124, 116, 104)
    picture = Image.new(mode, (8, 4), 200 if mode == "L" else (200, 100, 50))
    pixels = np.asarray(Preprocessing((8, 8), fit="pad", fill=fill).framed(picture))
    assert (pixels[2:6] == np.asarray(picture)).all()
    assert (pixels[[0, 1, 6, 7]] == fill).all()


def test_padded_values_are_normalised_like_all_others() -> None:
    record = Preprocessing((8, 8), mean=(0.5,), std=(0.25,), fit="pad", fill=51)
    values = record(Image.new("RGB", (8, 4), (255, 255, 255)))
    assert torch.allclose(values[:, 0], torch.tensor((0.2 - 0.5) / 0.25))
    assert torch.allclose(values[:, 4], torch.tensor((1.0 - 0.5) / 0.25))


IMAGENET = Preprocessing(256, (224, 224), (0.5,), (0.25,))


def test_a_record_that_crops_keeps_its_share_of_the_picture() -> None:
    fitted = IMAGENET.fitted("crop", (224, 224))
    assert (fitted.resize, fitted.crop, fitted.mean, fitted.std) == ((256, 256), (224, 224), (0.5,), (0.25,))
    random = np.random.default_rng(0)
    for size in ((300, 451), (451, 300), (37, 301), (301, 302), (224, 224)):
        picture = Image.fromarray(random.integers(0, 256, (*size, 3), np.uint8))
        assert torch.equal(fitted(picture), IMAGENET(picture))


def test_another_input_size_keeps_the_fit() -> None:
    before, shape = (3, 224, 224), (3, 224, 336)
    for fit in FITS:
        record = IMAGENET.fitted(fit, (224, 224), 9 if fit == "pad" else 0).at(before, shape)
        assert (record.fit, record.crop) == (fit, (224, 336))
        assert record.resize == ((256, 384) if fit == "crop" else (224, 336))
        assert record.fill == (9 if fit == "pad" else 0)


@pytest.mark.parametrize(
    ("record", "text"),
    [
        (IMAGENET.fitted("stretch", (224, 320)), "stretch to 224x320 (bilinear), "),
        (IMAGENET.fitted("crop", (224, 224)), "scale to cover 256x256 (bilinear), crop centre 224x224, "),
        (
            default_preprocessing((3, 24, 32)).fitted("crop", (24, 32)),
            "scale to cover 24x32 (bilinear), crop centre 24x3",
        ),
        (IMAGENET.fitted("pad", (224, 224)), "scale into 224x224 (bilinear), pad with colour 0, values"),
        (
            Preprocessing((9, 9), (8, 8), fit="pad", fill=(1, 2, 3)),
            "scale into 9x9 (bilinear), pad with colour (1, 2, 3), crop",
        ),
        (default_preprocessing((3, 24, 32)), "stretch to 24x32 (bilinear), values / 255"),
    ],
)
def test_it_is_said(record: Preprocessing, text: str) -> None:
    assert record.describe().startswith(text)
    kept: dict[str, Any] = json.loads(json.dumps(record.to_dict()))
    assert Preprocessing(**kept) == record


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (
            {"resize": (4, 4), "fit": "cover"},
            "Preprocessing: fit is 'cover'.\n\nIt is one of stretch, crop, pad, or None.",
        ),
        (
            {"resize": 4, "fit": "pad"},
            "Preprocessing: fit is 'pad', resize is 4.\n\n"
            "Give the rows and columns that a picture is to fit: resize=(224, 224).",
        ),
        (
            {"resize": (4, 4), "fit": "pad", "fill": 256},
            "Preprocessing: fill is 256.\n\nGive a byte, 0 to 255, or one per channel: fill=(124, 116, 104).",
        ),
        (
            {"resize": (4, 4), "fit": "pad", "fill": (0.5, 0.5, 0.5)},
            "Preprocessing: fill is (0.5, 0.5, 0.5).\n\n"
            "Give a byte, 0 to 255, or one per channel: fill=(124, 116, 104).",
        ),
        (
            {"resize": (4, 4), "fit": "crop", "fill": 3},
            "Preprocessing: fill is 3, fit is 'crop'.\n\nOnly fit='pad' fills.",
        ),
    ],
)
def test_a_fit_that_is_none(given: dict[str, Any], text: str) -> None:
    with pytest.raises(SettingError) as caught:
        Preprocessing(**given)
    assert str(caught.value) == text


def test_the_colour_of_another_number_of_channels() -> None:
    with pytest.raises(SettingError) as caught:
        fm.trace(nn.Conv2d(1, 2, 3), (1, 8, 8), fit="pad", fill=(1, 2, 3))
    assert str(caught.value) == (
        "Preprocessing: fill has 3 numbers; the input has 1 channels.\n\nGive 1, or one for all."
    )


def test_what_takes_no_pictures_has_no_fit() -> None:
    with pytest.raises(InputError) as caught:
        fm.trace(nn.Linear(4, 2), (4,), fit="pad")
    assert str(caught.value) == "Linear takes inputs of shape 4, which no picture fits.\n\nLeave fit out."


@pytest.mark.parametrize("shape", [(3, 12, 12), (3, 8, 12)])
@pytest.mark.parametrize("fit", FITS)
def test_a_network_is_loaded_or_traced_with_a_fit(fit: str, shape: tuple[int, ...]) -> None:
    traced = fm.trace(nn.Conv2d(3, 2, 3), shape, fit=fit)
    assert traced.preprocessing.fit == fit
    assert traced.preprocessing.crop == shape[1:]
    values = traced.maps(Image.new("RGB", (30, 11), (255, 255, 255)))
    assert next(iter(values.values())).values.shape[2:] == (shape[1] - 2, shape[2] - 2)


def test_a_zoos_record_takes_the_fit_and_keeps_its_share() -> None:
    found = {
        fit: fm.load("torchvision:squeezenet1_1", input_shape=(3, 112, 168), fit=fit).preprocessing for fit in FITS
    }
    assert {fit: record.resize for fit, record in found.items()} == {
        "stretch": (112, 168),
        "crop": (128, 192),
        "pad": (112, 168),
    }
    assert all(record.crop == (112, 168) and record.mean is not None for record in found.values())


def captured(preprocessing: Preprocessing) -> CapturedNetwork:
    module = nn.Conv2d(3, 2, 3)
    return capture_module(module, (torch.zeros(1, 3, 8, 8),), {}, name="one", preprocessing=preprocessing)


def test_records_from_before_there_were_fits_are_still_those_of_their_networks() -> None:
    net = captured(preprocessing=IMAGENET)
    kept = {"resize": 256, "crop": [224, 224], "mean": [0.5], "std": [0.25], "interpolation": "bilinear"}
    digest = hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:16]
    assert preprocessing_fingerprint(net) == digest
    others = {
        preprocessing_fingerprint(captured(preprocessing=default_preprocessing((3, 8, 8)).fitted(fit, (8, 8), fill)))
        for fit, fill in (("stretch", 0), ("crop", 0), ("pad", 0), ("pad", 1))
    }
    assert len(others | {digest}) == 5
