"""The reading of an entry of a dataset: its input values, digest and size, or the reason why it is not an image."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from featmap.errors import FeatmapError
from featmap.images.entry import Entry
from featmap.images.inputs import decoded, loaded, values_of
from featmap.network.network import CapturedNetwork


@dataclass(frozen=True, eq=False)
class ReadImage:
    """An entry as input of the network, or the reason why it cannot be one (`problem`).

    `digest` is the SHA-256 of the file, or of the values where there is no file; `size` the picture's own rows and
    columns; of a signal (1, positions), of a volume the last two of its axes.
    """

    entry: Entry
    digest: str = ""
    size: tuple[int, int] = (0, 0)
    values: Tensor | None = None
    problem: str = ""


def read_image(network: CapturedNetwork, entry: Entry) -> ReadImage:
    """The image of an entry; one that cannot be read, or does not fit the network, is returned with the reason."""
    try:
        data = loaded(entry)
        content = decoded(data, entry.name)
        found = values_of(network, content).detach()
    except FeatmapError as error:
        return ReadImage(entry, problem=error.problem)
    if len(found) != 1:
        return ReadImage(entry, problem=f"'{entry.name}' holds {len(found)} images; give them one by one.")
    values = found[0]
    if tuple(values.shape) != network.input_shape:
        got, wanted = ("x".join(map(str, shape)) for shape in (values.shape, network.input_shape))
        return ReadImage(entry, problem=f"'{entry.name}' gives an input of {got}; the index is of {wanted}.")
    if not _is_finite(values):
        return ReadImage(entry, problem=f"'{entry.name}' holds values that are no numbers.")
    digest = hashlib.sha256(data if isinstance(data, bytes) else _bytes(values)).hexdigest()
    size = _size(content, values) if network.takes_pictures else (1, *network.sized.image_size)[-2:]
    return ReadImage(entry, digest, (size[0], size[1]), values)


def _bytes(values: Tensor) -> bytes:
    # Viewed as bytes first: numpy has no bfloat16.
    return values.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


def _is_finite(values: Tensor) -> bool:
    if values.dtype == torch.float32:
        # Not with torch's operators: threads that read images would each start torch threads.
        return bool(np.isfinite(values.cpu().numpy()).all())
    return bool(values.isfinite().all())


def _size(content: Any, values: Tensor) -> tuple[int, int]:
    if isinstance(content, Image.Image):
        return content.height, content.width
    shape = content.shape[:2] if isinstance(content, np.ndarray) else values.shape[-2:]
    return int(shape[0]), int(shape[1])
