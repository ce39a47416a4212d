"""Signals and volumes from files and arrays: .wav by the standard library, .npy without anything that executes."""

from __future__ import annotations

import io
import wave
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from featmap.errors import ImageBroken, InputError
from featmap.geometry.setting import axis_words
from featmap.images.entry import PICTURES, Taken
from featmap.network.network import CapturedNetwork

_KINDS = {1: "signals", 2: "maps", 3: "volumes"}


def taken_by(network: CapturedNetwork) -> Taken:
    """What a network takes as images."""
    arrays = network.takes_images and not network.takes_pictures
    return Taken(len(network.input_shape) + 1, arrays) if arrays else PICTURES


def holds_array(data: bytes) -> bool:
    """Whether the bytes are those of a .wav or a .npy file."""
    return data.startswith(b"\x93NUMPY") or (data.startswith(b"RIFF") and data[8:12] == b"WAVE")


class Sound(np.ndarray[Any, Any]):
    """The array of a .wav file, which is never a picture, whatever its shape and values."""


def array_in(data: bytes, name: str) -> NDArray[Any]:
    """The array in the bytes of a .wav file, a `Sound` (position, channel) from -1 to 1, or of a .npy file as it is.

    Raises: ImageBroken, with this name.
    """
    try:
        return _wav(data).view(Sound) if data.startswith(b"RIFF") else np.load(io.BytesIO(data), allow_pickle=False)
    except (wave.Error, ValueError, EOFError, OSError) as error:
        problem = f"'{name}' cannot be read: {error or 'it ends too early'}."
        raise ImageBroken(problem, "Give a .wav file of whole numbers (PCM) or a .npy file of numbers.") from error


def _wav(data: bytes) -> NDArray[np.float32]:
    with wave.open(io.BytesIO(data)) as file:
        width, channels, count = file.getsampwidth(), file.getnchannels(), file.getnframes()
        raw = np.frombuffer(file.readframes(count), np.uint8).reshape(-1, width)
    if len(raw) < count * channels:
        raise EOFError("it ends too early")
    if width == 1:
        # Bytes are counted from 128, all others are signed.
        values = raw[:, 0].astype(np.float64) - 128
    else:
        # The most significant bytes of a 32-bit number, the lowest first.
        wide = np.zeros((len(raw), 4), np.uint8)
        wide[:, 4 - width :] = raw
        values = wide.view("<i4")[:, 0] / 2.0 ** (8 * (4 - width))
    return (values / 2.0 ** (8 * width - 1)).astype(np.float32).reshape(-1, channels)


def array_values(network: CapturedNetwork, array: NDArray[Any]) -> Tensor:
    """The network's input (image, channel, position), (image, channel, plane, row, column), of an array.

    The array is (position), (position, channel) or (channel, position) of a signal, (plane, row, column) with channels
    behind or before of a volume. Its values are taken as they are.
    Raises: InputError: an array of another shape, or not of real numbers.
    """
    channels, count = network.channels, len(network.sized.image_labels)
    if not (np.issubdtype(array.dtype, np.number) or array.dtype == np.bool_) or np.iscomplexobj(array):
        problem = f"An array of {array.dtype} is not one of {_KINDS[count]}."
        raise InputError(problem, "Give an array of real numbers.")
    found = channels_first(array, channels or 1, count)
    if found is None:
        places = ", ".join(words.cell for words in axis_words(count))
        raise InputError(
            f"{network.name} takes {_KINDS[count]} of {counted_channels(channels)}; got an array of shape "
            f"{array.shape}.",
            f"Give an array ({places}, channel)" + (f" or ({places})." if channels in (None, 1) else "."),
        )
    if not found.size:
        raise InputError(f"An array of shape {array.shape} holds nothing.", "Give an array of numbers.")
    values = torch.from_numpy(np.ascontiguousarray(found)).to(network.input_spec.dtype)
    return (values if channels is not None else values[0])[None]


def channels_first(array: NDArray[Any], channels: int, axes: int) -> NDArray[Any] | None:
    """The array with its channels in front of so many axes; None where its shape is another one.

    >>> [channels_first(np.zeros(shape), 1, 1).shape for shape in ((9,), (9, 1), (1, 9))]
    [(1, 9), (1, 9), (1, 9)]
    """
    if array.ndim == axes + 1 and array.shape[-1] == channels:
        return np.moveaxis(array, -1, 0)
    if array.ndim == axes and channels == 1:
        return array[None]
    return array if array.ndim == axes + 1 and array.shape[0] == channels else None


def no_array(network: CapturedNetwork, kind: str) -> InputError:
    """Why a picture is not what a network of signals or volumes takes."""
    count = len(network.sized.image_labels)
    places = ", ".join(words.cell for words in axis_words(count))
    wav = "a .wav file, " if count == 1 else ""
    return InputError(
        f"{network.name} takes {_KINDS[count]} of {counted_channels(network.channels)}, not {kind}.",
        f"Give {wav}a .npy file, an array ({places}, channel), or a float tensor ({network.input_words}).",
    )


def counted_channels(channels: int | None) -> str:
    """The number of channels in words."""
    return f"{channels} channels" if channels not in (None, 1) else "one channel"
