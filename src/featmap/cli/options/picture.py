"""Pictures that a command line names: paths, and `-` for standard input."""

from __future__ import annotations

import io
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument

from featmap.cli.options.model import notes
from featmap.errors import ImageMissing, InputError

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

STANDARD_INPUT = "-"
NAME = "standard input"
REMEDY = "Send a picture into it, featmap ... - < cat.jpg, or give a path (./- for a file named -)."
_FORMATS = "JPEG, PNG, WebP, GIF, TIFF, BMP, PNM, JPEG 2000 or AVIF"
_STANDARD = "[bold]-[/bold] reads one from standard input."
_ARRAYS = "for networks on signals and volumes .wav or .npy"
_HELP = f"{_FORMATS}; {_ARRAYS}; {_STANDARD}"
Image = Annotated[str, Argument(metavar="IMAGE", help=_HELP)]
_SEVERAL = Argument(
    metavar="IMAGE...",
    help=f"Pictures ({_FORMATS}; {_ARRAYS}); folders, lists (.csv, .tsv, .txt) and tar files of pictures; {_STANDARD}",
)
Images = Annotated[list[str], _SEVERAL]
ImagesIfAny = Annotated[list[str] | None, _SEVERAL]
_PLAIN = {"LA": "L", "La": "L", "RGBA": "RGB", "RGBa": "RGB", "PA": "RGB", "CMYK": "RGB"}


def given_picture(image: str) -> str | Picture:
    """The path as it is, its picture read once; for `-` the picture in standard input.

    Errors of a picture are raised before weights are fetched. Raises: ImageError.
    """
    from featmap.images.formats import is_named_array
    from featmap.images.pictures import read_picture

    if image == STANDARD_INPUT:
        return read_standard_input()
    if is_named_array(Path(image)):
        return image
    with warnings.catch_warnings():
        # Warnings about unused parts of a picture come where it is used.
        warnings.simplefilter("ignore")
        read_picture(image)
    return image


def given_pictures(images: Sequence[str]) -> list[str | Picture]:
    """Paths as they are, and the picture in standard input for `-`. Raises: InputError: `-` is given twice."""
    if images.count(STANDARD_INPUT) > 1:
        raise InputError("Standard input holds one picture; '-' is given twice.", "Give the other by its path.")
    return [read_standard_input() if image == STANDARD_INPUT else image for image in images]


def read_standard_input() -> Picture:
    """The picture in standard input, within the limits of files. Raises: ImageError."""
    from featmap.images.formats import LARGEST_BYTES, check_bytes
    from featmap.images.pictures import picture_in

    stream: Any = sys.stdin
    if stream is None or stream.closed or stream.isatty():
        what = "closed" if stream is None or stream.closed else "a terminal"
        raise ImageMissing(f"'-' reads a picture from standard input, which is {what}.", REMEDY)
    data = stream.buffer.read(LARGEST_BYTES + 1)
    if not data:
        raise ImageMissing("'-' reads a picture from standard input, which is empty.", REMEDY)
    check_bytes(len(data), NAME)
    with notes():
        picture: Any = picture_in(io.BytesIO(data), NAME)
    if picture.mode in _PLAIN:
        # Warnings about unused parts were given already.
        picture = picture.convert(_PLAIN[picture.mode])
    # Pictures in memory are named by this attribute.
    picture.filename = NAME
    return picture
