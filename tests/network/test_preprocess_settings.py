"""The check of every setting of a preprocessing record."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import featmap as fm
from featmap.errors import ImageTooLarge, SettingError
from featmap.network.preprocess import Preprocessing

WRONG: dict[str, Any] = {
    "resize is 0": {"resize": 0},
    "resize is -3": {"resize": -3},
    "resize is 2.5": {"resize": 2.5},
    "resize is 0 ": {"resize": (3, 0)},
    "resize is (3, 3, 3)": {"resize": (3, 3, 3)},
    "resize is True": {"resize": True},
    "resize is '224'": {"resize": "224"},
    "crop is 224": {"crop": 224},
    "crop is 0": {"crop": (0, 5)},
    "crop is 'ab'": {"crop": "ab"},
    "mean is ()": {"mean": ()},
    "mean is 0.5": {"mean": 0.5},
    "mean is (nan,)": {"mean": (float("nan"),)},
    "std is (0.0, 1, 1); values are divided by it": {"std": (0.0, 1, 1)},
    "std is (-1,); values are divided by it": {"std": (-1,)},
    "std is 'abc'": {"std": "abc"},
    "interpolation 'cubic' is not known": {"interpolation": "cubic"},
}


@pytest.mark.parametrize(("words", "settings"), WRONG.items(), ids=WRONG.keys())
def test_a_setting_that_no_picture_can_be_prepared_by(words: str, settings: dict[str, Any]) -> None:
    with pytest.raises(SettingError) as caught:
        Preprocessing(**settings)
    assert caught.value.problem == f"Preprocessing: {words.strip()}."
    assert caught.value.remedy


def test_three_means_on_grey() -> None:
    record = Preprocessing(mean=(0.1, 0.2, 0.3))
    with pytest.raises(SettingError) as caught:
        fm.trace(nn.Conv2d(1, 2, 3), (1, 8, 8), preprocessing=record)
    assert str(caught.value) == (
        "Preprocessing: mean has 3 numbers; the input has 1 channels.\n\nGive 1, or one for all."
    )


def test_lists_are_tuples_and_one_number_is_for_all_channels() -> None:
    record = Preprocessing([4, 4], [4, 4], [0.5], [0.5])  # type: ignore[arg-type]
    assert record == Preprocessing((4, 4), (4, 4), (0.5,), (0.5,))
    picture = Image.fromarray(np.full((8, 8, 3), 255, np.uint8))
    assert torch.equal(record(picture), torch.ones(3, 4, 4))


def test_a_thin_picture_is_not_blown_up() -> None:
    with pytest.raises(ImageTooLarge, match=r"A picture of 1 x 60000 would be 224 x 13,440,000 when resized\."):
        Preprocessing(224, (224, 224))(Image.new("RGB", (60_000, 1)))
