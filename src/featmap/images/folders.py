"""The files below a folder, with links followed: each is a picture, skipped, or left out with a reason."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath

from featmap.images.formats import OTHER_SUFFIXES, WORDS, is_named_picture

HIDDEN = "hidden"
NO_PICTURE = "not named as a picture"
NO_FILE = "neither a file nor a folder"
LOOP = "a link to a folder that contains it"


@dataclass(frozen=True)
class Found:
    """A file below a folder; `name` is its path there. `problem`: why a picture by its name cannot be read;
    `left_out`: why it is not a picture."""

    name: str
    path: Path
    problem: str = ""
    left_out: str = ""


def found_below(folder: Path) -> Iterator[Found]:
    """Everything below a folder, in order of names. Links to folders are followed, as in torchvision's ImageFolder, but
    not into a loop; of a hidden folder only the folder itself is reported."""
    yield from _below(folder, PurePath(), (_identity(folder),))


def _identity(folder: Path) -> tuple[int, int]:
    known = folder.stat()
    return known.st_dev, known.st_ino


def _below(folder: Path, name: PurePath, above: tuple[tuple[int, int], ...]) -> Iterator[Found]:
    try:
        with os.scandir(folder) as scanned:
            inside = sorted(scanned, key=lambda entry: entry.name)
    except OSError as error:
        yield Found(name.as_posix(), folder, f"'{name.as_posix()}' cannot be listed: {error.strerror}.")
        return
    for entry in inside:
        yield from _entry(entry, name / entry.name, above)


def _entry(entry: os.DirEntry[str], name: PurePath, above: tuple[tuple[int, int], ...]) -> Iterator[Found]:
    path, text = Path(entry.path), name.as_posix()
    if entry.name.startswith("."):
        yield Found(text, path, left_out=HIDDEN)
    elif entry.is_dir():
        identity = _identity(path)
        if identity in above:
            yield Found(text, path, left_out=LOOP)
        else:
            yield from _below(path, name, (*above, identity))
    else:
        yield Found(text, path, *named(text, is_file=entry.is_file(), instead=_instead(entry, text)))


def _instead(entry: os.DirEntry[str], text: str) -> str:
    if entry.is_symlink() and not Path(entry.path).exists():
        return f"'{text}' is a link to nothing."
    return f"'{text}' is not a file, but a pipe, a socket or a device."


def named(text: str, *, is_file: bool, instead: str) -> tuple[str, str]:
    """Why a file of this name cannot be read, and why it is left out; both are empty for a picture."""
    if is_named_picture(Path(text)):
        return ("" if is_file else instead), ""
    if Path(text).suffix.lower() in OTHER_SUFFIXES and is_file:
        return f"'{text}' is named as a format that featmap does not open; it opens {WORDS}.", ""
    return "", NO_PICTURE if is_file else NO_FILE


def folder_label(name: Path) -> str:
    """The label of an image by its path in a folder: the folder that holds it."""
    return "" if name.parent == Path() else name.parent.as_posix()
