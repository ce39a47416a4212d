"""Crops as tensors for training and measuring.

Training crops are mirrored, brightened or darkened, and some lose their colour, so that form has to be learned as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from featmap.demo.crops import Crop

# Statistics of the training crops, per colour, rounded; pixel values count from 0 to 1.
MEAN = (0.46, 0.37, 0.34)
STD = (0.27, 0.22, 0.23)


@dataclass(frozen=True)
class Samples:
    """Pixels as bytes (image, channel, row, column) and the label of each image."""

    pixels: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)


def samples(crops: Sequence[Crop]) -> Samples:
    """The crops in their order."""
    pixels = torch.from_numpy(np.stack([np.asarray(crop.image) for crop in crops]))
    return Samples(pixels.permute(0, 3, 1, 2).contiguous(), torch.tensor([crop.label for crop in crops]))


def normalised(values: Tensor) -> Tensor:
    """Network input from pixel values between 0 and 1: minus the mean, over the standard deviation of each colour."""
    mean, std = torch.tensor(MEAN).view(3, 1, 1), torch.tensor(STD).view(3, 1, 1)
    return ((values - mean) / std).contiguous(memory_format=torch.channels_last)


def training_batches(
    source: Samples, batch_size: int, grey_share: float, random: torch.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    """One pass over the samples in random order, varied and normalised; an incomplete last batch is left out."""
    order = torch.randperm(len(source), generator=random)
    for chosen in order[: len(source) // batch_size * batch_size].split(batch_size):
        yield normalised(_varied(source.pixels[chosen] / 255, grey_share, random)), source.labels[chosen]


def _varied(values: Tensor, grey_share: float, random: torch.Generator) -> Tensor:
    grey, flip, brightness = torch.rand(3, len(values), 1, 1, 1, generator=random)
    values = torch.where(grey < grey_share, values.mean(1, keepdim=True), values)
    values = torch.where(flip < 0.5, values.flip(3), values)
    return values * (0.8 + 0.4 * brightness)
