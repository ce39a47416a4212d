"""The reading of an entry: its bytes, their digest, the picture's size, and the network's input values."""

from __future__ import annotations

import hashlib
import io
import tarfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from featmap.errors import FeatmapError, ImageBroken, ImageMissing
from featmap.images.entry import Entry, TarMember, Unreadable
from featmap.images.formats import REMEDY, check_bytes
from featmap.images.pictures import batch_of, picture_in
from featmap.images.tars import SUFFIXES, data_by_name, located
from featmap.network.network import CapturedNetwork


@dataclass(frozen=True, eq=False)
class ReadImage:
    """An entry as input of the network, or the reason why it cannot be one (`problem`).

    `digest` is the SHA-256 of the file, or of the values where there is no file; `size` the picture's own rows and
    columns.
    """

    entry: Entry
    digest: str = ""
    size: tuple[int, int] = (0, 0)
    values: Tensor | None = None
    problem: str = ""


def read_image(network: CapturedNetwork, entry: Entry) -> ReadImage:
    """The image of an entry; one that cannot be read, or does not fit the network, is returned with the reason."""
    try:
        content, digest = entry.content, ""
        if isinstance(content, Unreadable):
            return ReadImage(entry, problem=content.problem)
        if isinstance(content, str | Path | TarMember | bytes):
            data = content if isinstance(content, bytes) else bytes_of(content)
            digest = hashlib.sha256(data).hexdigest()
            content = picture_in(io.BytesIO(data), entry.name)
        found = batch_of(network, content).values.detach()
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
    digest = digest or hashlib.sha256(_bytes(values)).hexdigest()
    return ReadImage(entry, digest, _size(content, values), values)


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


def bytes_of(content: str | Path | TarMember) -> bytes:
    """The bytes of a file or of a member of a tar file. Raises: ImageMissing, ImageBroken."""
    path = content.tar if isinstance(content, TarMember) else Path(content)
    try:
        _check_file(path, str(content))
        if isinstance(content, TarMember):
            return _of_member(content)
        check_bytes(path.stat().st_size, str(content))
        return path.read_bytes()
    except FeatmapError:
        raise
    # Every compression format has its own errors for damage.
    except Exception as error:
        raise ImageBroken(f"'{content}' cannot be read: {error}.", "Copy or download the picture again.") from error


def _check_file(path: Path, name: str) -> None:
    if not path.is_file():
        raise ImageMissing(f"There is no image '{name}'.", REMEDY)


def _of_member(member: TarMember) -> bytes:
    check_bytes(member.size_bytes, str(member))
    if member.offset is None:
        return data_by_name(member.tar, member.name)
    with member.tar.open("rb") as file:
        file.seek(member.offset)
        data = file.read(member.size_bytes)
    if len(data) < member.size_bytes:
        raise ImageBroken(f"'{member}' is cut off.", "Make or copy the tar file again.")
    return data


def bytes_at(path: str) -> bytes:
    """The bytes at the path that an index keeps of an image: a file, or `FILE.tar!MEMBER`.

    Raises: ImageMissing, ImageBroken.
    """
    tar, mark, name = path.partition("!")
    if not mark or Path(path).exists() or not Path(tar).is_file():
        return bytes_of(path)
    member = _plain_members(tar, Path(tar).stat().st_mtime_ns).get(name) if tar.lower().endswith(SUFFIXES[0]) else None
    return bytes_of(member or TarMember(Path(tar), name, None, 0))


@lru_cache(maxsize=4)
def _plain_members(tar: str, changed_ns: int) -> dict[str, TarMember]:  # noqa: ARG001 - a changed file is read anew
    """Where each member of a tar file begins, so that one is found without scanning the file."""
    try:
        return located(Path(tar))
    except (tarfile.TarError, OSError, EOFError):
        return {}
