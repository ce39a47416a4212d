"""The entries of a dataset: one per image, with a name and a label; none is read before its turn."""

from __future__ import annotations

import csv
import glob
import tarfile
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from PIL import Image
from torch import Tensor

from featmap.errors import ImageBroken, ImageMissing, ImageTooLarge, InputError
from featmap.images.entry import Entry, Other, Tally, TarMember, Unreadable
from featmap.images.folders import HIDDEN, found_below, named
from featmap.images.formats import check_bytes
from featmap.images.tars import SUFFIXES as TARS
from featmap.images.tars import Held, data_of, held, place

T = TypeVar("T")
LISTS = (".csv", ".tsv", ".txt")
_FORM = "Write one line per image: its path (from the list's folder), then its label if it has one."
_HEADINGS = ("path", "image", "file", "filename", "name")
_TWICE = "listed twice"


def entries(images: Any, tally: Tally | None = None) -> Iterator[Entry]:
    """The images of a folder (with its subfolders), a glob, a list (.csv, .tsv, .txt), a tar file or any iterable.

    In a folder and a tar file the label is the folder that holds the image. In a Python list or any iterable an image
    may be a pair with its label. An image that is listed twice is one image. What is found, and what of it is left
    out, is counted in `tally`.
    Raises: InputError, ImageMissing, ImageBroken: there is nothing, or something else.
    """
    seen: set[str] = set()
    tally = tally or Tally()
    for entry in _all_entries(images):
        tally.found += 1
        if isinstance(entry, Other):
            tally.leave_out(entry.name, entry.reason)
        elif entry.name in seen:
            tally.leave_out(entry.name, _TWICE)
        else:
            seen.add(entry.name)
            yield _as_text(entry)
    if not seen:
        raise InputError(f"There is no image in {_words(images)}.", "Give a folder, a list or a tar file with images.")


def _as_text(entry: Entry) -> Entry:
    """The entry; it becomes unreadable if its name is not valid text, which no table can hold."""
    try:
        f"{entry.name}{entry.path}{entry.label}".encode()
    except UnicodeEncodeError:
        name, label = (text.encode(errors="backslashreplace").decode() for text in (entry.name, entry.label))
        return Entry(name, label, Unreadable(f"'{name}' has a name that is not text in UTF-8."))
    return entry


def batched(items: Iterable[T], count: int) -> Iterator[list[T]]:
    """The items in lists of `count`; the last one may be shorter.

    >>> list(batched("abcde", 2))
    [['a', 'b'], ['c', 'd'], ['e']]
    """
    iterator = iter(items)
    while part := list(islice(iterator, count)):
        yield part


def count_hint(images: Any) -> int:
    """The approximate number of images, 0 where it is unknown without reading."""
    return len(images) if hasattr(images, "__len__") and not isinstance(images, str) else 0


def is_read_at_once(images: Any) -> bool:
    """Whether the images can be listed without reading them, unlike iterables and compressed tar files."""
    return isinstance(images, str | Path) and not str(images).lower().endswith(TARS[1:])


def _words(images: Any) -> str:
    return f"'{images}'" if isinstance(images, str | Path) else f"a {type(images).__name__}"


def _all_entries(images: Any) -> Iterator[Entry | Other]:
    if isinstance(images, str | Path):
        yield from _of_path(Path(images))
    elif isinstance(images, Tensor) and images.ndim == 4:
        yield from (_in_memory(number, values, "") for number, values in enumerate(images))
    elif isinstance(images, np.ndarray | Tensor | Image.Image):
        yield _in_memory(0, images, "")
    elif isinstance(images, Iterable):
        yield from (_listed(number, image) for number, image in enumerate(images))
    elif hasattr(images, "__getitem__") and hasattr(images, "__len__"):
        # A map-style torch.utils.data.Dataset has no __iter__, and need not raise IndexError at its end.
        yield from (_listed(number, images[number]) for number in range(len(images)))
    else:
        raise InputError(
            f"A {type(images).__name__} is not a set of images.",
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
    """A label as text; labels of datasets in memory are often torch or numpy numbers."""
    if isinstance(label, Tensor | np.generic | np.ndarray):
        label = label.item() if label.ndim == 0 else label.tolist()
    return "" if label is None else str(label)


def _file(name: str, label: str, path: Path) -> Entry:
    return Entry(name, label, path, str(path.absolute()))


def _of_path(path: Path) -> Iterator[Entry | Other]:
    if path.is_dir():
        yield from _of_folder(path)
    elif path.is_file() and path.suffix.lower() in LISTS:
        yield from _of_list(path)
    elif path.is_file() and path.name.lower().endswith(TARS):
        yield from _of_tar(path)
    elif path.is_file():
        yield _file(str(path), "", path)
    elif glob.has_magic(str(path)):
        found = sorted(glob.glob(str(path), recursive=True))  # noqa: PTH207 - Path.glob takes no absolute pattern
        for name in found:
            if not Path(name).is_dir():
                yield _file(name, "", Path(name))
    else:
        raise ImageMissing(
            f"There are no images at '{path}'.", "Give a folder, a list, a tar file, a glob or a picture."
        )


def _of_folder(folder: Path) -> Iterator[Entry | Other]:
    for found in found_below(folder):
        if found.left_out:
            yield Other(found.name, found.left_out)
        else:
            content = Unreadable(found.problem) if found.problem else found.path
            yield Entry(found.name, _folder_label(Path(found.name)), content, str(found.path.absolute()))


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
                    raise InputError(
                        f"'{path}', line {number}: {separator.join(row)!r} is not a path and label.", _FORM
                    )
                yield _file(cells[0], cells[1] if len(cells) == 2 else "", path.parent / cells[0])
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"'{path}' is not a list of images in UTF-8: {error}.", _FORM) from error


def _of_tar(path: Path) -> Iterator[Entry | Other]:
    """The images of a tar file; where it is damaged, an entry that says so replaces what is lost."""
    members, has_image = 0, False
    try:
        with tarfile.open(path) as opened:
            for one in held(opened):
                members += not one.damage
                try:
                    entry = _member(path, opened, one)
                except Exception as error:
                    # Nothing after it can be unpacked, but its name is known.
                    if has_image:
                        yield _unreadable(path, one, error)
                    raise
                has_image = has_image or isinstance(entry, Entry)
                yield entry
    except GeneratorExit:
        raise
    # Every compression format has its own errors for damage.
    except Exception as error:
        if not has_image:
            raise ImageBroken(f"'{path}' is not a readable tar file: {error}.", "Make or copy it again.") from error
        yield _damage(path, f"it is damaged after {members:,} members ({error}); images may be lost there")


def _member(path: Path, opened: tarfile.TarFile, one: Held) -> Entry | Other:
    if one.damage:
        return _damage(path, one.problem)
    name = Path(one.name)
    if any(part.startswith(".") and part != ".." for part in name.parts):
        return Other(one.name, HIDDEN)
    problem, left_out = named(one.name, is_file=one.info is not None, instead=one.problem)
    if left_out:
        return Other(one.name, left_out)
    content = Unreadable(problem) if problem or one.info is None else _content(path, opened, one.name, one.info)
    return Entry(one.name, _folder_label(name), content, f"{path.absolute()}!{one.name}")


def _unreadable(path: Path, one: Held, error: Exception) -> Entry:
    problem = f"'{one.name}' cannot be read: {error}."
    return Entry(one.name, _folder_label(Path(one.name)), Unreadable(problem), f"{path.absolute()}!{one.name}")


def _content(path: Path, opened: tarfile.TarFile, name: str, info: tarfile.TarInfo) -> TarMember | bytes | Unreadable:
    try:
        check_bytes(info.size, name)
        return place(path, name, info) if path.suffix.lower() == TARS[0] else data_of(opened, info)
    except (ImageTooLarge, tarfile.TarError) as error:
        words = error.problem if isinstance(error, ImageTooLarge) else f"'{name}' cannot be read: {error}."
        return Unreadable(words)


def _damage(path: Path, words: str) -> Entry:
    return Entry(f"{path.name}: {words}", "", Unreadable(f"'{path.name}': {words}."))
