"""Preprocessing records: the steps that turn a picture into the network's input (resize, crop, scale, normalise).

A record comes from torchvision or timm, or from the user; `describe` puts it into words, so that a plan can print it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from featmap.errors import ImageTooLarge
from featmap.network.placement import FILTERS, Placement, placed
from featmap.network.preprocess_check import check_channels, check_fill, check_fit, check_record
from featmap.plain_data import PlainData

LARGEST_RESIZED = 178_956_970
"""The most pixels of a resized picture before it is cropped: as many as are decoded."""


@dataclass(frozen=True)
class Preprocessing:
    """Resize the shorter side (both sides, where `resize` has two numbers), crop the centre, divide by 255, normalise.

    `resize` and `crop` are in pixels; `None` skips the step. `mean` and `std` are per channel on values from 0 to 1.
    `source` says where the record is from. `fit` says how a picture fits the two numbers of `resize`: "stretch" (the
    same as None) changes its aspect ratio; "crop" scales it until it covers them and crops the centre; "pad" scales it
    until it fits inside, centred, and fills the rest with the colour `fill`: a byte, or one per channel.
    `takes_pictures` is False for networks of signals, volumes or vectors, whose values enter as they are.
    """

    resize: int | tuple[int, int] | None = None
    crop: tuple[int, int] | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    interpolation: str = "bilinear"
    source: str = "featmap's default"
    fit: str | None = None
    fill: int | tuple[int, ...] = 0
    takes_pictures: bool = True

    def __post_init__(self) -> None:
        """Raises: SettingError: an invalid setting."""
        given = self.resize, self.crop, self.mean, self.std, self.interpolation
        for name, value in (check_record(*given, FILTERS) | check_fit(self.fit, self.fill, self.resize)).items():
            object.__setattr__(self, name, value)
        if self.fit and self.crop is None:
            object.__setattr__(self, "crop", self.resize)

    def __call__(self, picture: Image.Image, channels: int = 3) -> Tensor:
        """The picture as a float32 tensor (channel, row, column).

        Raises: SettingError: the record is for another number of channels. ImageTooLarge: a picture so thin that it
        would be huge when resized.
        """
        check_channels(self.mean, self.std, channels)
        check_fill(self.fill, channels)
        pixels = np.atleast_3d(np.asarray(self.framed(picture.convert("L" if channels == 1 else "RGB"))))
        # Each of the 256 values is scaled once. Not with torch's operators: threads that read images would each start
        # torch threads.
        scaled = np.arange(256, dtype=np.float32)[:, None] / np.float32(255)
        table = np.broadcast_to(self._normalized(scaled), (256, pixels.shape[2]))
        return torch.from_numpy(np.stack([table[pixels[..., c], c] for c in range(pixels.shape[2])]))

    def framed(self, picture: Image.Image) -> Image.Image:
        """The picture as the network sees it, before its values are normalised."""
        lies = self.placed((picture.height, picture.width))
        if lies.resized[0] * lies.resized[1] > LARGEST_RESIZED:
            raise ImageTooLarge(
                f"A picture of {picture.height} x {picture.width} would be {lies.resized[0]:,} x {lies.resized[1]:,} "
                "when resized.",
                "Crop it first.",
            )
        target = lies.resized[1], lies.resized[0]
        scaled = picture if picture.size == target else picture.resize(target, FILTERS[self.interpolation])
        return _window(scaled, lies, self.fill)

    def placed(self, picture: tuple[int, int]) -> Placement:
        """The placement of a picture of (rows, columns) in the input, which maps boxes of the input to its pixels.

        >>> from featmap.geometry import Box
        >>> Preprocessing((64, 64), fit="pad").placed((300, 400)).picture_box(Box(0, 0, 16, 16))
        Box(top=0, left=0, bottom=53, right=103)
        """
        return placed(picture, self.resize, self.crop, self.fit, self.interpolation)

    def fitted(self, fit: str, size: tuple[int, int], fill: int | tuple[int, ...] = 0) -> Preprocessing:
        """The record by which a picture fits an input of (rows, columns) by "stretch", "crop" or "pad".

        Where the record crops already, "crop" keeps the same share of the picture; the others show all of it.

        >>> Preprocessing(256, (224, 224)).fitted("pad", (224, 320), 114).describe()
        'scale into 224x320 (bilinear), pad with colour 114, values / 255'
        """
        resize = size
        if fit == "crop" and self.crop == size and self.fit in (None, "crop"):
            if isinstance(self.resize, int) and self.resize >= max(size):
                resize = (self.resize, self.resize)
            elif self.fit == "crop":
                resize = self.resize
        return replace(self, resize=resize, crop=size, fit=fit, fill=fill)

    def _normalized(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Values from 0 to 1 (any, channel), minus the mean and divided by the standard deviation."""
        if self.mean is not None:
            values = values - np.array(self.mean, np.float32)
        if self.std is not None:
            values = values / np.array(self.std, np.float32)
        return values

    def shown(self, values: Tensor) -> Image.Image:
        """A picture of preprocessed values (channel, row, column): normalisation undone and clipped to the valid range.

        If there are not three channels, their mean is shown in grey; of complex numbers the magnitudes are.
        """
        values = (values.abs() if values.is_complex() else values).detach().double().cpu()
        if self.std is not None:
            values = values * torch.tensor(self.std)[:, None, None]
        if self.mean is not None:
            values = values + torch.tensor(self.mean)[:, None, None]
        pixels = (values * 255).round().clamp(0, 255).to(torch.uint8)
        if pixels.shape[0] == 3:
            return Image.fromarray(pixels.permute(1, 2, 0).numpy())
        return Image.fromarray(pixels.double().mean(dim=0).round().to(torch.uint8).numpy())

    def at(self, before: tuple[int, ...], shape: tuple[int, ...]) -> Preprocessing:
        """The record for inputs of another shape (channel, row, column): the same share of a picture is kept.

        A record that does not crop to the former shape, which the user may have intended, is left as it is.

        >>> Preprocessing(256, (224, 224)).at((3, 224, 224), (3, 112, 112))
        Preprocessing(resize=128, crop=(112, 112), mean=None, std=None, interpolation='bilinear', source=...)
        """
        if self.crop is None or self.crop != tuple(before[1:]) or len(shape) != 3 or before[1:] == shape[1:]:
            return self
        crop = (shape[1], shape[2])
        if self.fit is not None and not isinstance(self.resize, int) and self.resize is not None:
            rows, columns = (round(self.resize[axis] * crop[axis] / self.crop[axis]) for axis in (0, 1))
            return replace(self, resize=(rows, columns), crop=crop)
        if isinstance(self.resize, int) and crop[0] == crop[1]:
            return replace(self, resize=round(self.resize * crop[0] / self.crop[0]), crop=crop)
        return replace(self, resize=crop, crop=crop)

    def describe(self) -> str:
        """The steps in words.

        >>> Preprocessing(256, (224, 224), (0.5,), (0.25,)).describe()
        'resize shorter side to 256 (bilinear), crop centre 224x224, values / 255, mean (0.5), std (0.25)'
        """
        if not self.takes_pictures:
            return "values as they are"
        steps = [*self._sizes_in_words()]
        steps.append("values / 255")
        for name, values in (("mean", self.mean), ("std", self.std)):
            if values is not None:
                steps.append(f"{name} ({', '.join(f'{value:g}' for value in values)})")
        return ", ".join(steps)

    def _sizes_in_words(self) -> Iterator[str]:
        if isinstance(self.resize, int):
            yield f"resize shorter side to {self.resize} ({self.interpolation})"
        elif self.resize is not None:
            verb = {"crop": "scale to cover", "pad": "scale into"}.get(self.fit or "", "stretch to")
            yield f"{verb} {self.resize[0]}x{self.resize[1]} ({self.interpolation})"
        if self.fit == "pad":
            yield f"pad with colour {self.fill}"
        if self.crop is not None and (self.crop != self.resize or self.fit == "crop"):
            yield f"crop centre {self.crop[0]}x{self.crop[1]}"

    def to_dict(self) -> dict[str, PlainData]:
        """The record as plain data."""
        # Records of pictures are as they were before there were others: an index knows its own by its fingerprint.
        others: dict[str, PlainData] = {} if self.takes_pictures else {"takes_pictures": False}
        return {
            **others,
            "resize": self.resize,
            "crop": self.crop,
            "mean": self.mean,
            "std": self.std,
            "interpolation": self.interpolation,
            "source": self.source,
            "fit": self.fit,
            "fill": self.fill,
        }


@dataclass(frozen=True)
class Fit:
    """How pictures should fit the input: "stretch", "crop" or "pad" with a colour."""

    kind: str
    fill: int | tuple[int, ...] = 0

    def record(self, record: Preprocessing, input_shape: tuple[int, ...]) -> Preprocessing:
        """The record by which pictures fit so; one that does so already stays."""
        height, width = input_shape[1:]
        done = record.fit == self.kind and record.crop == (height, width) and record.fill == self.fill
        return record if done else record.fitted(self.kind, (height, width), self.fill)


def default_preprocessing(input_shape: tuple[int, ...], *, takes_pictures: bool = True) -> Preprocessing:
    """For networks without a record: shorter side resized to the input's size, centre crop, values from 0 to 1."""
    if len(input_shape) != 3 or not takes_pictures:
        return Preprocessing(takes_pictures=False)
    height, width = input_shape[1:]
    return Preprocessing(min(height, width) if height == width else (height, width), (height, width))


def _window(picture: Image.Image, lies: Placement, fill: int | tuple[int, ...]) -> Image.Image:
    """The input's window on a scaled picture; what is outside the picture has the colour `fill`."""
    top, left = lies.top, lies.left
    if lies.lies_within:
        box = (left, top, left + lies.size[1], top + lies.size[0])
        return picture if box == (0, 0, *picture.size) else picture.crop(box)
    colours = (fill,) if isinstance(fill, int) else fill
    bands = len(picture.getbands())
    made = Image.new(picture.mode, (lies.size[1], lies.size[0]), colours * bands if len(colours) == 1 else colours)
    made.paste(picture, (-left, -top))
    return made
