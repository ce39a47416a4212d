"""An indexed image as the network saw it: read again from its path, and only if it is unchanged."""

from __future__ import annotations

import hashlib
import io

from PIL import Image

from featmap.errors import ImageError
from featmap.images.files import bytes_at
from featmap.images.pictures import picture_in
from featmap.index.schema.description import Description


def framed_image(description: Description, path: str, digest: str | None = None) -> Image.Image | None:
    """The image at a path as the network saw it, resized and cropped; None where it is gone or has changed."""
    if not path:
        return None
    try:
        data = bytes_at(path)
        if digest is not None and hashlib.sha256(data).hexdigest() != digest:
            return None
        picture = picture_in(io.BytesIO(data), path)
    except ImageError:
        return None
    return description.preprocess.framed(picture.convert("L" if description.input_shape[0] == 1 else "RGB"))
