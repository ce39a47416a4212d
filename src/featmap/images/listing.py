"""Listings of images: what a user gives as images, one entry per image, none read before its turn."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, TypeAlias, cast

import numpy as np
from PIL import Image
from torch import Tensor

from featmap.errors import ImageMissing, InputError
from featmap.images.containers.table import container_of
from featmap.images.entry import PICTURES, Entry, Other, Taken, Unreadable
from featmap.images.folders import NO_PICTURE, folder_label, found_below
from featmap.images.formats import is_named_array, is_named_picture

OneImage: TypeAlias = "str | Path | Image.Image | np.ndarray[Any, Any] | Tensor | bytes"
"""One image: a path, a picture of Pillow, an array (row, column, channel), the bytes of a picture file, or preprocessed
values as a float tensor (channel, row, column)."""


class ImageDataset(Protocol):
    """A map-style dataset, as of torch.utils.data: images by number, or pairs of an image and its label."""

    def __len__(self) -> int: ...

    def __getitem__(self, number: int, /) -> object: ...


SeveralImages: TypeAlias = "Iterable[OneImage | tuple[OneImage, object]] | ImageDataset"
"""Anything that gives images one by one, with labels or without."""

Images: TypeAlias = "OneImage | SeveralImages"
"""What every question takes as images: one; several; or by its path a folder with its subfolders, a glob, a list (.csv,
.tsv, .txt) or a tar file; a float tensor (image, channel, row, column) is several where it holds several."""
_GIVE = "Give a picture, a folder, a list (.csv, .tsv, .txt), a tar file or a glob."
_NAMED = 3


def listed(images: Any, taken: Taken = PICTURES) -> Iterator[Entry | Other]:
    """What there is in a folder, a glob, a list file, a tar file, a list or any iterable, in turn; none is read yet.

    In a folder and a tar file the label is the folder that holds the image. In a Python list or any iterable an image
    may be a pair with its label, and a path that of a folder, a list or a tar file.
    `taken` says what counts as an image where that depends on the network.
    Raises: ImageMissing, ImageBroken, InputError: there is nothing, or something else.
    """
    if isinstance(images, str | Path):
        yield from _of_path(Path(images), taken)
    elif isinstance(images, Tensor) and images.ndim == taken.axes:
        yield from (_in_memory(number, values) for number, values in enumerate(images))
    elif isinstance(images, Image.Image):
        yield _in_memory(0, images, title=_title(images) or "picture")
    elif isinstance(images, np.ndarray):
        yield _in_memory(0, images, title="array")
    elif isinstance(images, Tensor | bytes):
        yield _in_memory(0, images)
    else:
        for number, image in enumerate(_flat(_each(images))):
            yield from _of_item(number, image, taken)


def is_collection(images: Any) -> bool:
    """Whether several images are meant, even where there is only one: a folder, a list, a tar file, an iterable."""
    if isinstance(images, str | Path):
        path = Path(images)
        return _holds_images(path) or (not path.is_file() and glob.has_magic(str(path)))
    return not isinstance(images, Image.Image | np.ndarray | Tensor | bytes)


def words_for(images: Any) -> str:
    """What was given as images, for messages."""
    given: list[Any] = list(cast("Sequence[Any]", images)) if isinstance(images, list | tuple) else [images]
    if not given or not all(isinstance(one, str | Path) for one in given):
        return f"a {type(images).__name__}"
    more = f" and {len(given) - _NAMED} more" if len(given) > _NAMED else ""
    return ", ".join(f"'{one}'" for one in given[:_NAMED]) + more


def _each(images: Any) -> Iterable[Any]:
    if isinstance(images, Iterable) and not isinstance(images, Mapping):
        return images
    if not isinstance(images, Mapping) and hasattr(images, "__getitem__") and hasattr(images, "__len__"):
        # A map-style torch.utils.data.Dataset has no __iter__, and need not raise IndexError at its end.
        return (images[number] for number in range(len(images)))
    raise InputError(
        f"A {type(images).__name__} is neither an image nor a set of images.",
        f"{_GIVE} Or a PIL image, an array (row, column, channel), a float tensor, or a list or iterable of these.",
    )


def _flat(items: Iterable[Any]) -> Iterator[Any]:
    """The items, with lists among them taken apart."""
    for item in items:
        if isinstance(item, list):
            yield from _flat(item)
        else:
            yield item


def _in_memory(number: int, image: Any, label: str = "", title: str = "") -> Entry:
    return Entry(f"image {number}", label, image, title=title)


def _title(image: Any) -> str:
    """The name that a picture in memory has, '' for none."""
    return str(getattr(image, "filename", "") or "") if isinstance(image, Image.Image) else ""


def _of_item(number: int, image: Any, taken: Taken) -> Iterator[Entry | Other]:
    """The images of one item of a list or an iterable."""
    content, label = image if isinstance(image, tuple) and len(image) == 2 else (image, None)
    word = _label_word(label)
    if isinstance(content, str | Path):
        yield from _of_listed_path(Path(content), str(content), word, taken)
    else:
        yield _in_memory(number, content, word, _title(content))


def _of_listed_path(path: Path, name: str, label: str, taken: Taken) -> Iterator[Entry | Other]:
    if not _holds_images(path):
        yield _file(name, label, path)
        return
    for found in _of_path(path, taken):
        # Two folders may hold pictures of one name.
        named_in = f"{name.rstrip('/')}/{found.name}"
        is_entry = isinstance(found, Entry)
        yield replace(found, name=named_in, label=label or found.label) if is_entry else replace(found, name=named_in)


def _holds_images(path: Path) -> bool:
    """Whether a path is that of a folder, a list or a tar file; nothing is asked of what is named as a picture."""
    if is_named_picture(path):
        return False
    return path.is_dir() or (container_of(path) is not None and path.is_file())


def _label_word(label: Any) -> str:
    """A label as text; labels of datasets in memory are often torch or numpy numbers."""
    if isinstance(label, Tensor | np.generic | np.ndarray):
        label = label.item() if label.ndim == 0 else label.tolist()
    return "" if label is None else str(label)


def _file(name: str, label: str, path: Path) -> Entry:
    return Entry(name, label, path, str(path.absolute()))


def _of_path(path: Path, taken: Taken) -> Iterator[Entry | Other]:
    if path.is_dir():
        yield from _of_folder(path, taken)
    elif path.is_file():
        container = container_of(path)
        yield from [_file(str(path), "", path)] if container is None else container.entries(path)
    elif glob.has_magic(str(path)):
        found = sorted(glob.glob(str(path), recursive=True))  # noqa: PTH207 - Path.glob takes no absolute pattern
        for name in found:
            if not Path(name).is_dir():
                yield _file(name, "", Path(name))
    else:
        raise ImageMissing(f"There is no image '{path}'.", _GIVE)


def _of_folder(folder: Path, taken: Taken) -> Iterator[Entry | Other]:
    for found in found_below(folder):
        is_array = taken.arrays and found.left_out == NO_PICTURE and is_named_array(found.path)
        if found.left_out and not is_array:
            yield Other(found.name, found.left_out)
        else:
            content = Unreadable(found.problem) if found.problem else found.path
            yield Entry(found.name, folder_label(Path(found.name)), content, str(found.path.absolute()), is_found=True)
