"""Preprocessing records on photographs: tensors equal to those of torchvision's and timm's own transforms."""

from __future__ import annotations

import collections
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import featmap as fm
from featmap.network.preprocess import Preprocessing, default_preprocessing
from featmap.sources.load import load_network
from featmap.sources.zoo import import_torchvision, timm_model, torchvision_model

PHOTOGRAPHS = ("wide", "high", "small")
TIMM = [
    "resnet50.a1_in1k",
    "convnext_tiny.fb_in1k",
    "tf_efficientnetv2_s.in1k",
    "dla34.in1k",
    "cspdarknet53.ra_in1k",
    "convnext_base.fb_in22k_ft_in1k_384",
    "efficientnet_b3.ra2_in1k",
    "volo_d4_448.sail_in1k",
    "vit_base_patch16_sapiens2.fb",
]


@pytest.fixture(scope="module")
def photographs() -> dict[str, Image.Image]:
    data = pytest.importorskip("skimage.data")
    wide = Image.fromarray(data.chelsea())
    return {"wide": wide, "high": wide.transpose(Image.Transpose.ROTATE_90), "small": wide.resize((101, 76))}


@pytest.mark.parametrize("photograph", PHOTOGRAPHS)
def test_torchvisions_records_give_the_tensors_of_torchvisions_transforms(
    photographs: dict[str, Image.Image], photograph: str
) -> None:
    models = import_torchvision().models
    presets: dict[str, str] = {}
    for name in models.list_models(module=models):
        weights = next(iter(models.get_model_weights(name)))
        presets.setdefault(repr(weights.transforms()), name)
    assert len(presets) > 10
    for name in presets.values():
        weights = next(iter(models.get_model_weights(name)))
        found = torchvision_model(name, None).preprocessing(photographs[photograph])
        assert torch.equal(found, weights.transforms()(photographs[photograph])), name


def test_named_weights_bring_their_own_record(photographs: dict[str, Image.Image]) -> None:
    models = import_torchvision().models
    records = {name: torchvision_model("resnet50", name).preprocessing for name in ("IMAGENET1K_V1", "IMAGENET1K_V2")}
    assert records["IMAGENET1K_V1"].resize == 256
    assert records["IMAGENET1K_V2"].resize == 232
    assert records["IMAGENET1K_V2"].source == "torchvision ResNet50_Weights.IMAGENET1K_V2"
    expected = models.ResNet50_Weights.IMAGENET1K_V2.transforms()(photographs["wide"])
    assert torch.equal(records["IMAGENET1K_V2"](photographs["wide"]), expected)


@pytest.mark.parametrize("photograph", PHOTOGRAPHS)
def test_timms_records_give_the_tensors_of_timms_transforms(
    photographs: dict[str, Image.Image], photograph: str
) -> None:
    import_torchvision()
    timm = pytest.importorskip("timm")
    kinds = collections.Counter()
    for name in TIMM:
        config = timm.data.resolve_data_config({}, pretrained_cfg=timm.get_pretrained_cfg(name).to_dict())
        kinds[config["interpolation"], config["crop_mode"]] += 1
        found = timm_model(name, None).preprocessing(photographs[photograph])
        assert torch.equal(found, timm.data.create_transform(**config)(photographs[photograph])), name
    assert len(kinds) == 4


def test_another_input_size_keeps_the_same_share_of_the_picture() -> None:
    record = load_network("torchvision:resnet18", input_shape=(3, 448, 448)).preprocessing
    assert (record.resize, record.crop) == (512, (448, 448))
    record = load_network("torchvision:resnet18", input_shape=(3, 112, 224)).preprocessing
    assert (record.resize, record.crop) == ((112, 224), (112, 224))


@pytest.mark.parametrize("at_load", [True, False])
def test_a_plan_for_another_size_says_how_pictures_get_that_size(at_load: bool) -> None:
    shape = (3, 112, 112)
    net = fm.load("torchvision:squeezenet1_1", input_shape=shape if at_load else None)
    steps = net.plan(None if at_load else shape).preprocessing
    assert steps.startswith("resize shorter side to 128 (bilinear), crop centre 112x112, values / 255, ")


def test_a_plan_that_ends_early_says_it_too() -> None:
    with pytest.raises(fm.errors.InputError) as caught:
        fm.load("torchvision:squeezenet1_1").plan((3, 14, 14))
    assert "crop centre 14x14" in caught.value.plan.preprocessing


def test_a_record_that_leaves_pictures_as_they_are_stays_so() -> None:
    for record in (Preprocessing(mean=(0.5,)), Preprocessing(20, (20, 20))):
        assert record.at((3, 8, 8), (3, 9, 9)) is record


def test_a_grey_network_gets_grey_pictures() -> None:
    picture = Image.fromarray(np.full((6, 5, 3), (10, 200, 30), np.uint8))
    record = Preprocessing(mean=(0.5,), std=(0.25,))
    values = record(picture, channels=1)
    assert values.shape == (1, 6, 5)
    grey = round(0.299 * 10 + 0.587 * 200 + 0.114 * 30)
    assert torch.allclose(values, torch.tensor((grey / 255 - 0.5) / 0.25))


def test_values_are_those_of_the_definition() -> None:
    pixels = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    values = Preprocessing(crop=(2, 2), mean=(0.1, 0.2, 0.3), std=(1, 2, 4))(Image.fromarray(pixels))
    for channel, (mean, std) in enumerate([(0.1, 1), (0.2, 2), (0.3, 4)]):
        expected = (pixels[1:3, 2:4, channel] / 255 - mean) / std
        assert np.allclose(values[channel].numpy(), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("shape", "resize", "crop"),
    [((3, 32, 32), 32, (32, 32)), ((1, 24, 40), (24, 40), (24, 40)), ((7,), None, None)],
)
def test_without_a_record_the_picture_is_brought_to_the_size_of_the_input(
    shape: tuple[int, ...], resize: Any, crop: Any
) -> None:
    record = default_preprocessing(shape)
    assert (record.resize, record.crop, record.mean, record.std) == (resize, crop, None, None)
    if crop is not None:
        assert record(Image.new("RGB", (50, 61)), shape[0]).shape == shape


@pytest.mark.parametrize(
    ("record", "text"),
    [
        (Preprocessing(), "values / 255"),
        (Preprocessing((20, 30), interpolation="bicubic"), "stretch to 20x30 (bicubic), values / 255"),
        (
            Preprocessing(256, (224, 224), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
            "resize shorter side to 256 (bilinear), crop centre 224x224, values / 255, mean (0.485, 0.456, 0.406), "
            "std (0.229, 0.224, 0.225)",
        ),
    ],
)
def test_it_says_what_it_does(record: Preprocessing, text: str) -> None:
    assert record.describe() == text
    assert Preprocessing(**record.to_dict()) == record


def test_the_users_own_record_replaces_the_zoos_and_is_printed_by_the_plan() -> None:
    record = Preprocessing(64, (64, 64), source="mine")
    net = fm.load("torchvision:squeezenet1_1", input_shape=(3, 64, 64), preprocessing=record)
    assert net.preprocessing == record
    assert net.plan().preprocessing == "resize shorter side to 64 (bilinear), crop centre 64x64, values / 255"
