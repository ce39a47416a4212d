"""Which images does a dataset have? One entry per image with a name and a label; none is read before its turn."""

from __future__ import annotations

import csv
import glob
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from PIL import Image
from torch import Tensor

from featmap.errors import ImageBroken, ImageMissing, InputError
from featmap.run.formats import is_named_picture

T = TypeVar("T")
LISTS = (".csv", ".tsv", ".txt")
_FORM = "Write one line per image: its path (from the list's folder), then its label if it has one."
_HEADINGS = ("path", "image", "file", "filename", "name")
_TARS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")


@dataclass(frozen=True)
class TarMember:
    """An image inside a tar file; `offset` is where its bytes begin, `None` in a compressed one."""

    tar: Path
    name: str
    offset: int | None
    size_bytes: int

    def __str__(self) -> str:
        return f"{self.tar}!{self.name}"


@dataclass(frozen=True)
class Unreadable:
    """What stands for an image that was found to be unreadable before its turn, with the reason."""

    problem: str


@dataclass(frozen=True)
class Entry:
    """One image of a dataset: its name there, its label ('' for none) and what holds it.

    `content` is a path, a tar member, bytes of a compressed one, an image in memory, or `Unreadable`.
    """

    name: str
    label: str
    content: Any
    path: str = ""


def entries(images: Any) -> Iterator[Entry]:
    """The images of a folder (with all below it), a glob, a list (.csv, .tsv, .txt), a tar file or any iterable.

    In a folder and a tar the label is the folder that an image lies in. In a Python list and any iterable an image may
    be a pair with its label. An image that is listed twice is one image.
    Raises: InputError, ImageMissing, ImageBroken: nothing, or something else, lies there.
    """
    seen: set[str] = set()
    for entry in _all_entries(images):
        if entry.name not in seen:
            seen.add(entry.name)
            yield entry
    if not seen:
        raise InputError(f"There is no image in {_words(images)}.", "Give a folder, a list or a tar file with images.")


def batched(items: Iterable[T], count: int) -> Iterator[list[T]]:
    """The items in lists of `count`, the last one shorter.

    >>> list(batched("abcde", 2))
    [['a', 'b'], ['c', 'd'], ['e']]
    """
    iterator = iter(items)
    while part := list(islice(iterator, count)):
        yield part


def count_hint(images: Any) -> int:
    """How many images there are about to be, 0 where nobody knows without reading."""
    return len(images) if hasattr(images, "__len__") and not isinstance(images, str) else 0


def is_read_at_once(images: Any) -> bool:
    """Whether listing the images reads nothing of them: not so for iterables, nor for compressed tar files."""
    return isinstance(images, str | Path) and not str(images).lower().endswith(_TARS[1:])


def _words(images: Any) -> str:
    return f"'{images}'" if isinstance(images, str | Path) else f"a {type(images).__name__}"


def _all_entries(images: Any) -> Iterator[Entry]:
    if isinstance(images, str | Path):
        yield from _of_path(Path(images))
    elif isinstance(images, Tensor) and images.ndim == 4:
        yield from (_in_memory(number, values, "") for number, values in enumerate(images))
    elif isinstance(images, np.ndarray | Tensor | Image.Image):
        yield _in_memory(0, images, "")
    elif isinstance(images, Iterable):
        yield from (_listed(number, image) for number, image in enumerate(images))
    elif hasattr(images, "__getitem__") and hasattr(images, "__len__"):
        # A torch.utils.data.Dataset of the map kind has no __iter__, and need not raise IndexError at its end.
        yield from (_listed(number, images[number]) for number in range(len(images)))
    else:
        raise InputError(
            f"A {type(images).__name__} is no set of images.",
            "Give a folder, a list (.csv, .txt), a glob, a tar file, or anything that gives images one by one.",
        )


def _in_memory(number: int, image: Any, label: str) -> Entry:
    return Entry(f"image {number}", label, image)


def _listed(number: int, image: Any) -> Entry:
    content, label = image if isinstance(image, tuple) and len(image) == 2 else (image, None)
    word = _label_word(label)
    if isinstance(content, str | Path):
        return _file(str(content), word, Path(content))
    return _in_memory(number, content, word)


def _label_word(label: Any) -> str:
    """A label as text; those of datasets in memory are often numbers of torch or numpy."""
    if isinstance(label, Tensor | np.generic | np.ndarray):
        label = label.item() if label.ndim == 0 else label.tolist()
    return "" if label is None else str(label)


def _file(name: str, label: str, path: Path) -> Entry:
    return Entry(name, label, path, str(path.absolute()))


def _of_path(path: Path) -> Iterator[Entry]:
    if path.is_dir():
        yield from _of_folder(path)
    elif path.is_file() and path.suffix.lower() in LISTS:
        yield from _of_list(path)
    elif path.is_file() and path.name.lower().endswith(_TARS):
        yield from _of_tar(path)
    elif path.is_file():
        yield _file(str(path), "", path)
    elif glob.has_magic(str(path)):
        found = sorted(glob.glob(str(path), recursive=True))  # noqa: PTH207 - Path.glob takes no absolute pattern
        yield from (_file(name, "", Path(name)) for name in found if Path(name).is_file())
    else:
        raise ImageMissing(
            f"There are no images at '{path}'.", "Give a folder, a list, a tar file, a glob or a picture."
        )


def _of_folder(folder: Path) -> Iterator[Entry]:
    for file in sorted(folder.rglob("*")):
        name = file.relative_to(folder)
        if _is_image(name) and file.is_file():
            yield _file(name.as_posix(), _folder_label(name), file)


def _is_image(name: Path) -> bool:
    """Whether a name within a folder or tar is that of an image; hidden files and folders hold none."""
    is_hidden = any(part.startswith(".") and part != ".." for part in name.parts)
    return is_named_picture(name) and not is_hidden


def _folder_label(name: Path) -> str:
    return "" if name.parent == Path() else name.parent.as_posix()


def _of_list(path: Path) -> Iterator[Entry]:
    separator = "," if path.suffix.lower() == ".csv" else "\t"
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            for number, row in enumerate(csv.reader(file, delimiter=separator), 1):
                cells = [cell.strip() for cell in row]
                if not any(cells) or (number == 1 and cells[0].lower() in _HEADINGS):
                    continue
                if len(cells) > 2 or not cells[0]:
                    raise InputError(f"'{path}', line {number}: {separator.join(row)!r} is no path and label.", _FORM)
                yield _file(cells[0], cells[1] if len(cells) == 2 else "", path.parent / cells[0])
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"'{path}' is no list of images in UTF-8: {error}.", _FORM) from error


def _of_tar(path: Path) -> Iterator[Entry]:
    try:
        with tarfile.open(path) as opened:
            is_plain = path.suffix.lower() == ".tar"
            for member in opened:
                if member.isfile() and _is_image(Path(member.name)):
                    held = TarMember(path, member.name, member.offset_data if is_plain else None, member.size)
                    content = held if is_plain else _bytes_of(opened, member)
                    yield Entry(member.name, _folder_label(Path(member.name)), content, str(_absolute(held)))
    except (tarfile.TarError, OSError, EOFError) as error:
        raise ImageBroken(f"'{path}' is no readable tar file: {error}.", "Make or copy it again.") from error


def _absolute(member: TarMember) -> TarMember:
    return TarMember(member.tar.absolute(), member.name, member.offset, member.size_bytes)


def _bytes_of(opened: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = opened.extractfile(member)
    assert file is not None
    return file.read()
