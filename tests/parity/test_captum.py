"""Captum's Occlusion gives the same attribution, and where it does not: the last window, and wide strides.

Captum cuts its last window at the edge of the image, ours is a whole window aligned with it. Where the stride divides
the image less the window both are the same. Captum averages each pixel over the windows that cover it; so does
`attribution("captum")`.
"""

from __future__ import annotations

from typing import Any

import captum.attr as captum
import numpy as np
import pytest
import torch
from torch import Tensor, nn

import featmap as fm
from support.occlusion_cases import SHAPE, case_of
from support.tiny_modules import conv
from support.zoo_networks import zoo_network

pytestmark = pytest.mark.filterwarnings("ignore")

Pair = tuple[int, int]


def captums(module: Any, image: Tensor, target: Any, window: Pair, stride: Pair, baseline: Any = 0) -> np.ndarray:
    """Captum's attribution, which is the same for every channel: (row, column)."""
    channels = image.shape[1]
    with torch.no_grad():
        found = captum.Occlusion(module).attribute(
            image,
            sliding_window_shapes=(channels, *window),
            strides=(channels, *stride),
            baselines=baseline,
            target=target,
            perturbations_per_eval=8,
        )
    assert torch.equal(found[0, 0], found[0, -1])
    return found[0, 0].double().numpy()


def ours(net: fm.Network, image: Tensor, target: Any, window: Pair, stride: Pair, baseline: Any = 0.0) -> np.ndarray:
    return net.occlude(image, target, window, stride, baseline, progress=False).attribution("captum")


def assert_same(found: np.ndarray, expected: np.ndarray, scale: float) -> None:
    """Close in float32: drops are differences of scores, so scores set the scale."""
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= 1e-4 * scale
    assert np.abs(expected).max() > 1e-3 * scale


@pytest.mark.parametrize(
    ("name", "window", "stride"),
    [
        ("alexnet", (16, 16), (16, 8)),
        ("vgg16", (16, 8), (16, 8)),
        ("resnet18", (16, 16), (8, 10)),
        ("squeezenet1_1", (16, 16), (8, 8)),
        ("mobilenet_v2", (14, 16), (10, 10)),
        ("googlenet", (32, 16), (16, 10)),
    ],
)
def test_the_same_attribution_where_the_stride_divides_the_image_less_the_window(
    name: str, window: Pair, stride: Pair
) -> None:
    known = zoo_network(name)
    image = known.images(1)
    assert all((size - w) % s == 0 for size, w, s in zip(known.shape[1:], window, stride, strict=True))
    with torch.no_grad():
        scores = known.module(image)
    target, scale = int(scores.argmax()), float(scores.abs().max())
    expected = captums(known.module, image, target, window, stride)
    assert_same(ours(known.net, image, target, window, stride), expected, scale)


def small() -> Any:
    module = nn.Sequential(conv(3, 6), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2), conv(6, 4), nn.ReLU(),
                           nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))  # fmt: skip
    return case_of(module, SHAPE)


@pytest.mark.parametrize(
    ("window", "stride", "baseline"),
    [((4, 3), (2, 2), 0), ((3, 5), (3, 2), 0.7), ((12, 11), (1, 1), -1.0), ((1, 1), (1, 1), 0), ((2, 1), (2, 1), 0)],
)
def test_windows_strides_and_baselines(window: Pair, stride: Pair, baseline: float) -> None:
    asked = small()
    for target in range(3):
        found = ours(asked.net, asked.image, target, window, stride, float(baseline))
        expected = captums(asked.module, asked.image, target, window, stride, baseline)
        np.testing.assert_allclose(found, expected, atol=1e-9)


def test_a_baseline_that_is_a_picture() -> None:
    asked = small()
    picture = asked.image.flip(3)
    found = ours(asked.net, asked.image, 1, (4, 3), (2, 2), lambda _: picture[0])
    np.testing.assert_allclose(found, captums(asked.module, asked.image, 1, (4, 3), (2, 2), picture), atol=1e-9)


def test_one_unit_of_an_output_that_is_a_map() -> None:
    asked = case_of(nn.Sequential(conv(3, 4), nn.ReLU(), conv(4, 2)), SHAPE)
    found = ours(asked.net, asked.image, (1, 5, 6), (3, 3), (3, 2))
    np.testing.assert_allclose(found, captums(asked.module, asked.image, (1, 5, 6), (3, 3), (3, 2)), atol=1e-9)


def test_difference_the_last_window_is_cut_there_and_aligned_here() -> None:
    """12 rows, window 5, stride 3: Captum's last window covers rows 9 to 12, ours rows 7 to 12."""
    asked, window, stride = small(), (5, 11), (3, 1)
    found = asked.net.occlude(asked.image, 1, window, stride, dtype=torch.float64, progress=False)
    theirs = captums(asked.module, asked.image, 1, window, stride)
    assert [rows[0][0] for rows in found.positions] == [0, 3, 6, 7]
    drops = {}
    for top, bottom in ((0, 5), (3, 8), (6, 11), (7, 12), (9, 12)):
        changed = asked.image.clone()
        changed[:, :, top:bottom] = 0
        drops[top] = float((asked.module(asked.image) - asked.module(changed)).detach()[0, 1])

    def average(starts: tuple[int, ...]) -> list[float]:
        covering = [[drops[top] for top in starts if top <= row < min(top + 5, 12)] for row in range(12)]
        return [sum(values) / len(values) for values in covering]

    np.testing.assert_allclose(found.attribution("captum")[:, 0], average((0, 3, 6, 7)), atol=1e-9)
    np.testing.assert_allclose(theirs[:, 0], average((0, 3, 6, 9)), atol=1e-9)
    # Rows above our last window agree, the others do not.
    np.testing.assert_allclose(found.attribution("captum")[:7], theirs[:7], atol=1e-9)
    assert np.abs(found.attribution("captum")[7:] - theirs[7:]).min() > 1e-6


def test_difference_strides_above_the_window_are_refused_there_and_leave_gaps_here() -> None:
    asked = small()
    with pytest.raises(AssertionError, match="cannot be larger than sliding window"):
        captums(asked.module, asked.image, 1, (2, 3), (5, 4))
    found = ours(asked.net, asked.image, 1, (2, 3), (5, 4))
    covered = np.zeros((12, 11), dtype=bool)
    covered[np.ix_([0, 1, 5, 6, 10, 11], [0, 1, 2, 4, 5, 6, 8, 9, 10])] = True
    assert (found[covered] != 0).all()
    assert not found[~covered].any()


def test_difference_one_tensor_of_a_structured_output_has_to_be_wrapped_there() -> None:
    class Heads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = conv(3, 4)

        def forward(self, x: Tensor) -> dict[str, Tensor]:
            return {"logits": self.body(x).relu().mean((2, 3))}

    asked = case_of(Heads(), SHAPE)
    with pytest.raises((AttributeError, AssertionError, TypeError)):
        captums(asked.module, asked.image, 1, (3, 3), (3, 2))

    def logits(x: Tensor) -> Tensor:
        return asked.module(x)["logits"]

    found = ours(asked.net, asked.image, "['logits'][1]", (3, 3), (3, 2))
    np.testing.assert_allclose(found, captums(logits, asked.image, 1, (3, 3), (3, 2)), atol=1e-9)
