"""How does a picture become the network's input? The recorded steps: resize, crop, scale, normalise.

The record comes from torchvision or timm, or from the user; `describe` says it in words, so that a plan can print it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from featmap.errors import ImageTooLarge
from featmap.network.preprocess_check import check_channels, check_record

LARGEST_RESIZED = 178_956_970
"""Pixels that a picture may have when it is resized, before it is cropped: as many as are decoded."""
_FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
    "box": Image.Resampling.BOX,
    "hamming": Image.Resampling.HAMMING,
    "nearest-exact": Image.Resampling.NEAREST,
}


@dataclass(frozen=True)
class Preprocessing:
    """Resize the shorter side (both sides, where `resize` has two numbers), crop the centre, divide by 255, normalise.

    `resize` and `crop` are in pixels; `None` leaves the step out. `mean` and `std` are per channel on values of 0 to 1.
    `source` says whose record this is.
    """

    resize: int | tuple[int, int] | None = None
    crop: tuple[int, int] | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    interpolation: str = "bilinear"
    source: str = "featmap's default"

    def __post_init__(self) -> None:
        """Raises: SettingError: a setting that no picture can be prepared by."""
        for name, value in check_record(
            self.resize, self.crop, self.mean, self.std, self.interpolation, _FILTERS
        ).items():
            object.__setattr__(self, name, value)

    def __call__(self, picture: Image.Image, channels: int = 3) -> Tensor:
        """The picture as a float32 tensor (channel, row, column).

        Raises: SettingError: the record is for another number of channels. ImageTooLarge: so thin a picture that it
        would be huge when resized.
        """
        check_channels(self.mean, self.std, channels)
        pixels = np.atleast_3d(np.asarray(self.framed(picture.convert("L" if channels == 1 else "RGB"))))
        # Each of the 256 values is scaled once. Without torch's operators: threads that read images would each start
        # threads of torch's.
        scaled = np.arange(256, dtype=np.float32)[:, None] / np.float32(255)
        table = np.broadcast_to(self._normalized(scaled), (256, pixels.shape[2]))
        return torch.from_numpy(np.stack([table[pixels[..., c], c] for c in range(pixels.shape[2])]))

    def framed(self, picture: Image.Image) -> Image.Image:
        """The picture as the network sees it, before its values are normalised."""
        picture = _resized(picture, self.resize, self.interpolation)
        return picture if self.crop is None else _centre(picture, self.crop)

    def _normalized(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Values of 0 to 1 (any, channel) with mean taken off and divided by the standard deviation."""
        if self.mean is not None:
            values = values - np.array(self.mean, np.float32)
        if self.std is not None:
            values = values / np.array(self.std, np.float32)
        return values

    def shown(self, values: Tensor) -> Image.Image:
        """A picture of preprocessed values (channel, row, column): normalisation undone, what lies outside cut off.

        Of other than three channels the mean is shown, in grey.
        """
        values = values.detach().double().cpu()
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

        A record that does not crop to the shape before, which the user may have meant so, is left as it is.

        >>> Preprocessing(256, (224, 224)).at((3, 224, 224), (3, 112, 112))
        Preprocessing(resize=128, crop=(112, 112), mean=None, std=None, interpolation='bilinear', source=...)
        """
        if self.crop is None or self.crop != tuple(before[1:]) or len(shape) != 3 or before[1:] == shape[1:]:
            return self
        crop = (shape[1], shape[2])
        if isinstance(self.resize, int) and crop[0] == crop[1]:
            return replace(self, resize=round(self.resize * crop[0] / self.crop[0]), crop=crop)
        return replace(self, resize=crop, crop=crop)

    def describe(self) -> str:
        """The steps in words.

        >>> Preprocessing(256, (224, 224), (0.5,), (0.25,)).describe()
        'resize shorter side to 256 (bilinear), crop centre 224x224, values / 255, mean (0.5), std (0.25)'
        """
        steps: list[str] = []
        if isinstance(self.resize, int):
            steps.append(f"resize shorter side to {self.resize} ({self.interpolation})")
        elif self.resize is not None:
            steps.append(f"resize to {self.resize[0]}x{self.resize[1]} ({self.interpolation})")
        if self.crop is not None:
            steps.append(f"crop centre {self.crop[0]}x{self.crop[1]}")
        steps.append("values / 255")
        for name, values in (("mean", self.mean), ("std", self.std)):
            if values is not None:
                steps.append(f"{name} ({', '.join(f'{value:g}' for value in values)})")
        return ", ".join(steps)

    def to_json(self) -> dict[str, object]:
        """The record as plain data."""
        return {
            "resize": self.resize,
            "crop": self.crop,
            "mean": self.mean,
            "std": self.std,
            "interpolation": self.interpolation,
            "source": self.source,
        }


def default_preprocessing(input_shape: tuple[int, ...]) -> Preprocessing:
    """For networks without a record: the shorter side to the input's size, the centre cropped, values of 0 to 1."""
    if len(input_shape) != 3:
        return Preprocessing()
    height, width = input_shape[1:]
    return Preprocessing(min(height, width) if height == width else (height, width), (height, width))


def _resized(picture: Image.Image, size: int | tuple[int, int] | None, interpolation: str) -> Image.Image:
    if size is None:
        return picture
    if isinstance(size, int):
        width, height = picture.size
        # torchvision's rule: the longer side is cut to a whole number, not rounded.
        short, long = min(width, height), max(width, height)
        other = int(size * long / short)
        size = (size, other) if width >= height else (other, size)
    if size[0] * size[1] > LARGEST_RESIZED:
        raise ImageTooLarge(
            f"A picture of {picture.height} x {picture.width} would be {size[0]:,} x {size[1]:,} when resized.",
            "Crop it first.",
        )
    target = (size[1], size[0])
    return picture if picture.size == target else picture.resize(target, _FILTERS[interpolation])


def _centre(picture: Image.Image, crop: tuple[int, int]) -> Image.Image:
    width, height = picture.size
    left, top = _before(width, crop[1]), _before(height, crop[0])
    return picture.crop((left, top, left + crop[1], top + crop[0]))


def _before(size: int, crop: int) -> int:
    # torchvision's rule: half of what is cut off is rounded, half of what has to be padded is cut to a whole number.
    return round((size - crop) / 2) if size >= crop else -((crop - size) // 2)
