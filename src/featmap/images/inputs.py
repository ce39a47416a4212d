"""Inputs of a network, made of whatever a user gives as images: listed once, read and preprocessed one by one."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from featmap.errors import ImageBroken, InputError
from featmap.graph.graph import TensorSpec
from featmap.images.entry import Entry, Stored, Unreadable
from featmap.images.files import bytes_of
from featmap.images.listing import Images, listed, words_for
from featmap.images.pictures import array_picture, picture_in, upright
from featmap.images.signals import Sound, array_in, array_values, holds_array, no_array, taken_by
from featmap.network.network import CapturedNetwork


@dataclass(frozen=True, eq=False)
class Batch:
    """Images ready for the network: `values` (image, channel, row, column) and a name for each."""

    values: Tensor
    names: tuple[str, ...]


class Inputs(Sequence["Batch"]):
    """The images of a question in their order, each a `Batch` of one image that is read when it is asked for.

    Paths, pictures and arrays (row, column, channel) go through the network's preprocessing; a float tensor counts as
    already preprocessed.
    Raises: ImageMissing, InputError: there is no image; when one is asked for: ImageError, InputError.
    """

    def __init__(self, network: CapturedNetwork, images: Images) -> None:
        self.network = network
        self.entries = list(_apart(network, images))
        if not self.entries:
            problem = f"There is no image in {words_for(images)}."
            raise InputError(problem, "Give a picture, a list of pictures, a folder or a tar file with images.")

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, number: Any) -> Any:
        entry = self.entries[number]
        return Batch(values_of(self.network, content_of(entry)), (entry.name,))

    def __iter__(self) -> Iterator[Batch]:
        return (self[number] for number in range(len(self)))

    def together(self) -> Batch:
        """All images as one batch. Raises: ImageError. InputError: they are not of one size."""
        every: list[Tensor] = []
        for batch in self:
            # One after the other: a thousand photographs do not fit into memory at full size.
            self.check_size(batch, tuple(every[0].shape[1:]) if every else None)
            every.append(batch.values)
        return Batch(every[0] if len(every) == 1 else torch.cat(every), tuple(entry.name for entry in self.entries))

    def check_size(self, batch: Batch, first: tuple[int, ...] | None) -> None:
        """Raises: InputError: an image is not of the size (channel, row, column) of the first."""
        if first is not None and tuple(batch.values.shape[1:]) != first:
            got, wanted = (" x ".join(map(str, size)) for size in (batch.values.shape[1:], first))
            raise InputError(f"'{batch.names[0]}' is {got}; the first image is {wanted}.", "Give images of one size.")


def batch_of(network: CapturedNetwork, images: Images) -> Batch:
    """The images as one input of the network; see `Inputs`. Raises: ImageError, InputError."""
    if isinstance(images, Tensor):
        values = _ready(network, images)
        return Batch(values, tuple(f"image {number}" for number in range(len(values))))
    return Inputs(network, images).together()


def one_of(network: CapturedNetwork, image: Images, reason: str) -> Batch:
    """The one image of a question about one.

    Raises: ImageError. InputError: they are several, which `reason` forbids.
    """
    found = Inputs(network, image)
    if len(found) != 1:
        raise InputError(f"{len(found)} images were given; {reason}.", "Give one image.")
    return found[0]


def content_of(entry: Entry) -> Image.Image | np.ndarray[Any, Any] | Tensor:
    """What an entry holds: a decoded picture, an array or a tensor. Raises: ImageError, InputError."""
    return decoded(loaded(entry), entry.name)


def loaded(entry: Entry) -> Any:
    """The bytes of an entry that is a file or stored in one; of others what is in memory.

    Raises: ImageError.
    """
    if isinstance(entry.content, Unreadable):
        raise ImageBroken(entry.content.problem, "Leave it out.")
    is_stored = isinstance(entry.content, str | Path | Stored)
    return bytes_of(entry.content) if is_stored else entry.content


def decoded(content: Any, name: str) -> Image.Image | np.ndarray[Any, Any] | Tensor:
    """Bytes of a picture file decoded, a picture upright; arrays and tensors as they are.

    Raises: ImageError, InputError.
    """
    if isinstance(content, bytes):
        return array_in(content, name) if holds_array(content) else picture_in(io.BytesIO(content), name)
    if isinstance(content, Image.Image):
        return upright(content, name)
    if isinstance(content, np.ndarray | Tensor):
        return cast("np.ndarray[Any, Any] | Tensor", content)
    raise InputError(
        f"A {type(content).__name__} is not an image.",
        "Give a path, a PIL image, an array (row, column, channel), a float tensor, or a list of paths.",
    )


def values_of(network: CapturedNetwork, content: Image.Image | np.ndarray[Any, Any] | Tensor) -> Tensor:
    """The network's input values (image, channel, row, column) of a picture, an array or a tensor.

    Raises: ImageError, InputError.
    """
    if isinstance(content, Tensor):
        return _ready(network, content)
    if network.takes_images and not network.takes_pictures:
        if isinstance(content, np.ndarray):
            return array_values(network, content)
        raise no_array(network, "a picture")
    if isinstance(content, Sound):
        raise InputError(
            f"{network.name} takes no signals; a .wav file holds one.",
            "Give a picture, an array (row, column, channel), or a float tensor.",
        )
    channels = network.input_shape[0]
    if channels not in (1, 3):
        raise InputError(
            f"{network.name} takes images of {channels} channels; pictures have 1 or 3.",
            "Give a float tensor (image, channel, row, column).",
        )
    return network.preprocessing(array_picture(content) if isinstance(content, np.ndarray) else content, channels)[None]


def _apart(network: CapturedNetwork, images: Images) -> Iterator[Entry]:
    """The entries of a question: images in memory without a name of their own are counted, and tensors taken apart."""
    count = 0
    for entry in listed(images, taken_by(network)):
        if not isinstance(entry, Entry):
            continue
        parts = _ready(network, entry.content) if isinstance(entry.content, Tensor) else [entry.content]
        for part in parts:
            name = entry.name if entry.path or entry.is_found else entry.title or f"image {count}"
            count += 1
            yield replace(entry, name=name, content=part)


def _ready(network: CapturedNetwork, images: Tensor) -> Tensor:
    """Preprocessed values (image, channel, row, column), checked; of one image without its axis too."""
    expected = network.input_shape
    spec = network.sized.specs[network.graph.image_input]
    if isinstance(spec, TensorSpec) and spec.dtype.is_floating_point and not images.is_floating_point():
        bytes_too = ", or bytes as an array (row, column, channel)" if network.takes_pictures else ""
        raise InputError(
            f"A tensor of {images.dtype} is not a preprocessed image.",
            f"Give a float tensor ({network.input_words}){bytes_too}.",
        )
    if images.ndim == len(expected):
        images = images[None]
    has_channels = not network.takes_images or network.channels is not None
    is_fitting = images.ndim == len(expected) + 1 and (not has_channels or images.shape[1:2] == expected[:1])
    if not is_fitting or not images.numel():
        channels = f" with {expected[0]} channels" if expected and has_channels else ""
        raise InputError(
            f"{network.name} takes tensors ({network.input_words}){channels}; got {tuple(images.shape)}.",
            "Put the axes of the tensor into this order.",
        )
    if images.is_inference():
        # Of what torch.inference_mode made no gradients can be taken.
        images = images.clone()
    return images
