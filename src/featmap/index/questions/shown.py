"""An indexed image as the network saw it: read again from its path, and only if it is unchanged."""

from __future__ import annotations

import hashlib
import io
from typing import Any

from numpy.typing import NDArray
from PIL import Image

from featmap.errors import ImageError
from featmap.images.files import bytes_at
from featmap.images.pictures import picture_in
from featmap.images.signals import array_in, channels_first, holds_array
from featmap.index.schema.description import Description


def kept_signal(description: Description, path: str, digest: str | None = None) -> NDArray[Any] | None:
    """The signal (channel, position) at a path; None where it is gone or has changed, or was never in a file."""
    data = _data(path, digest)
    if data is None or not holds_array(data):
        return None
    *channels, _ = description.input_shape
    return channels_first(array_in(data, path), channels[0] if channels else 1, 1)


def _data(path: str, digest: str | None) -> bytes | None:
    try:
        data = bytes_at(path) if path else None
    except ImageError:
        return None
    is_same = data is not None and (digest is None or hashlib.sha256(data).hexdigest() == digest)
    return data if is_same else None


def framed_image(description: Description, path: str, digest: str | None = None) -> Image.Image | None:
    """The image at a path as the network saw it, resized and cropped; None where it is gone or has changed."""
    data = _data(path, digest)
    if data is None:
        return None
    try:
        picture = picture_in(io.BytesIO(data), path)
    except ImageError:
        return None
    return description.preprocess.framed(picture.convert("L" if description.input_shape[0] == 1 else "RGB"))
