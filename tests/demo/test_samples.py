"""What a training step reads: every sample once, normalised, varied without leaving its label."""

from __future__ import annotations

import pytest
import torch

from featmap.demo.crops import crops
from featmap.demo.samples import MEAN, STD, Samples, normalised, samples, training_batches


@pytest.fixture(scope="module")
def source() -> Samples:
    return samples(crops("train", 4))


def test_samples_hold_the_pixels_of_the_crops(source: Samples) -> None:
    assert source.pixels.shape == (48, 3, 64, 64)
    assert source.pixels.dtype == torch.uint8
    first = crops("train", 4)[0].image
    assert tuple(source.pixels[0, :, 10, 20].tolist()) == first.getpixel((20, 10))


def test_normalised_is_the_formula() -> None:
    values = torch.rand(2, 3, 4, 5, dtype=torch.float64)
    for channel in range(3):
        expected = (values[:, channel] - MEAN[channel]) / STD[channel]
        torch.testing.assert_close(normalised(values)[:, channel], expected, rtol=1e-6, atol=1e-6)


def test_stated_mean_and_std_are_those_of_the_training_crops() -> None:
    pixels = samples(crops("train", 60)).pixels.double() / 255
    torch.testing.assert_close(pixels.mean((0, 2, 3)), torch.tensor(MEAN, dtype=torch.float64), rtol=0, atol=0.02)
    torch.testing.assert_close(pixels.std((0, 2, 3)), torch.tensor(STD, dtype=torch.float64), rtol=0, atol=0.02)


def test_batches_show_every_sample_once(source: Samples) -> None:
    numbered = Samples(source.pixels, torch.arange(48))
    batches = list(training_batches(numbered, 10, grey_share=0.5, random=torch.Generator().manual_seed(0)))
    seen = torch.cat([labels for _, labels in batches]).tolist()
    assert len(batches) == 4
    assert len(set(seen)) == len(seen) == 40


def test_batches_are_decided_by_the_generator(source: Samples) -> None:
    one, same, other = (
        next(training_batches(source, 8, 0.3, torch.Generator().manual_seed(seed)))[0] for seed in (0, 0, 1)
    )
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


@pytest.mark.parametrize(("grey_share", "is_grey"), [(0.0, False), (1.0, True)])
def test_grey_share_takes_the_colour(source: Samples, grey_share: float, is_grey: bool) -> None:
    red = torch.zeros_like(source.pixels)
    red[:, 0] = 200
    images, _ = next(training_batches(Samples(red, source.labels), 48, grey_share, torch.Generator().manual_seed(0)))
    values = images * torch.tensor(STD).view(3, 1, 1) + torch.tensor(MEAN).view(3, 1, 1)
    assert torch.allclose(values[:, 0], values[:, 2], atol=1e-5) == is_grey
