"""List files: one image per line, its path from the list's folder and its label if it has one."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from featmap.errors import InputError
from featmap.images.entry import Container, Entry

_FORM = "Write one line per image: its path (from the list's folder), then its label if it has one."
_HEADINGS = ("path", "image", "file", "filename", "name")


def entries_in_list(path: Path) -> Iterator[Entry]:
    """The images that a list names. Raises: InputError, with the line."""
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
                label, image = cells[1] if len(cells) == 2 else "", path.parent / cells[0]
                yield Entry(cells[0], label, image, str(image.absolute()))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"'{path}' is not a list of images in UTF-8: {error}.", _FORM) from error


LIST_FILES = Container((".csv", ".tsv", ".txt"), entries_in_list)
