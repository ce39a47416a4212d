"""Writing files whole or not at all: to a temporary file beside the path, then renamed."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from featmap.errors import OutputError
from featmap.view.formats.format import Content
from featmap.view.formats.table import format_for

if TYPE_CHECKING:
    from PIL import Image


def save(pages: Sequence[Image.Image], path: str | Path) -> list[Path]:
    """Writes pictures and returns their paths: `x.png` for one page, `x-1.png`, `x-2.png` ... for several.

    All pages are written before the first one appears under its name. What the pictures say in words is also in PNG
    files, as their title and description.

    Raises: OutputError: a suffix that no format of pictures has, a folder that does not exist, a file that cannot be
    written. MissingPackage.

    >>> save([], "maps.jpg")
    Traceback (most recent call last):
    ...
    featmap.errors.OutputError: 'maps.jpg' ends in '.jpg'; pictures are written as .png.
    <BLANKLINE>
    Use 'maps.png'.
    """
    return save_named({"": pages}, path)


def save_named(pages: Mapping[str, Sequence[Image.Image]], path: str | Path) -> list[Path]:
    """Writes the pages of several things as pictures, each under the path with its own name in it.

    `x.png` becomes `x-features.0-z.png`; of a single thing the path is as it was given. Characters that some file
    system does not take, or that mean something in a URL, become hyphens; names that would then be one, whatever their
    capitals, get a number.
    """
    target = Path(path)
    form = format_for(target, (Content.PICTURE,), "pictures are")
    files: dict[Path, bytes] = {}
    for name, stem in zip(pages, file_names(list(pages)), strict=True):
        named = target if len(pages) == 1 else target.with_stem(f"{target.stem}-{stem}")
        count = len(pages[name])
        files |= {_numbered(named, n, count): form.encode(page) for n, page in enumerate(pages[name], 1)}
    return write_files(files)


def file_names(names: Sequence[str]) -> list[str]:
    """Names that every file system takes and tells apart, in the same order.

    >>> file_names(["features.0:z", "relu#2:a", "a/b", "a:b", "A-b"])
    ['features.0-z', 'relu-2-a', 'a-b', 'a-b~2', 'A-b~3']
    """
    taken: Counter[str] = Counter()
    found: list[str] = []
    for name in names:
        plain = re.sub(r"[^\w.=-]", "-", name)
        taken[plain.lower()] += 1
        number = taken[plain.lower()]
        found.append(plain if number == 1 else f"{plain}~{number}")
    return found


def _numbered(path: Path, page: int, pages: int) -> Path:
    return path if pages == 1 else path.with_stem(f"{path.stem}-{page}")


def write_files(contents: dict[Path, bytes]) -> list[Path]:
    """Writes files so that either all appear or, when anything fails before the renaming, none.

    Raises: OutputError: a folder does not exist, or the system refuses.
    """
    beside = {path: path.with_name(f".{secrets.token_hex(8)}.part") for path in contents}
    path = Path()
    try:
        for path, part in beside.items():
            _check_folder(path)
            part.write_bytes(contents[path])
        for path, part in beside.items():
            os.replace(part, path)  # noqa: PTH105 - Path.replace hides which of the two paths failed
    except OSError as error:
        raise OutputError(
            # The path that was asked for: the name beside it means nothing to who gave the path.
            f"'{path}' cannot be written: {error.strerror}.",
            "Choose another path, or make room and allow writing there.",
        ) from error
    finally:
        for part in beside.values():
            # What cannot be removed must not hide why the writing failed.
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
    return list(contents)


def _check_folder(path: Path) -> None:
    if not path.parent.is_dir():
        raise OutputError(
            f"'{path}': there is no folder '{path.parent}'.", "Create the folder, or choose another path."
        )
