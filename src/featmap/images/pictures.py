"""Pictures from files, streams, memory and arrays: decoded, upright, with bytes as values."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError

from featmap.errors import (
    FeatmapError,
    FeatmapWarning,
    ImageBroken,
    ImageMissing,
    ImageTooLarge,
    InputError,
    warn_caller,
)
from featmap.images.formats import REMEDY, check_bytes, opened
from featmap.images.png_text import without_text
from featmap.network.preprocess import LARGEST_RESIZED

LARGEST_PIXELS = LARGEST_RESIZED
"""More pixels than this (Pillow's own bound: 512 MiB of RGB) are refused as a possible decompression bomb."""


class PictureConverted(FeatmapWarning):
    """A picture holds more than is used: transparency, 16 bits per value, or CMYK inks."""


def read_picture(path: str | Path) -> Image.Image:
    """A picture from a file, upright according to its EXIF record, with bytes as values.

    Raises: ImageMissing, ImageBroken, ImageTooLarge.
    """
    path = Path(path)
    if not path.is_file():
        problem = f"'{path}' is a folder, not an image." if path.is_dir() else f"There is no image '{path}'."
        raise ImageMissing(problem, REMEDY)
    return picture_in(path, str(path))


def picture_in(file: Path | BinaryIO, name: str) -> Image.Image:
    """The picture in a file or in a stream of its bytes, upright according to its EXIF record, with bytes as values.

    Raises: ImageBroken, ImageTooLarge, with this name.
    """
    if not isinstance(file, Path):
        return _decoded(file, name)
    try:
        check_bytes(file.stat().st_size, name)
        with file.open("rb") as stream:
            return _decoded(stream, name)
    except OSError as error:
        raise ImageBroken(f"'{name}' cannot be read: {error}.", "Copy or download the picture again.") from error


def _decoded(file: BinaryIO, name: str) -> Image.Image:
    try:
        return _opened(file, name)
    except ImageBroken as error:
        if _TEXT_IS_LONG not in error.problem:
            raise
    file.seek(0)
    return _opened(io.BytesIO(without_text(file.read())), name)


def _opened(file: BinaryIO, name: str) -> Image.Image:
    with _refusing(name), ExitStack() as stack:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            found = stack.enter_context(opened(file, name))
        return upright(found, name)


def upright(picture: Image.Image, name: str) -> Image.Image:
    """A picture in the form that is used: upright by its EXIF record, with bytes as values; warns of what is dropped.

    The same for pictures by path, in memory and in a dataset. Raises: ImageBroken, ImageTooLarge.
    """
    if picture.format == "EPS" and getattr(picture, "tile", None):
        raise ImageBroken(f"'{name}' is EPS, which is a program that loading runs; featmap does not.", REMEDY)
    with _refusing(name):
        _check_size(picture, name)
        picture.load()
        in_bytes = _in_bytes(picture)
        _say_what_is_lost(in_bytes)
        return _turned(picture, in_bytes)


def _turned(picture: Image.Image, in_bytes: Image.Image) -> Image.Image:
    turn = _TURNS.get(picture.getexif().get(_ORIENTATION, 1))
    if turn is None:
        return in_bytes
    turned = in_bytes.transpose(turn)
    for record in _RECORDS:
        # Read again with this record, it would be turned again.
        turned.info.pop(record, None)
    return turned


@contextmanager
def _refusing(name: str) -> Generator[None]:
    """Turns what goes wrong with a picture into an error with its name."""
    try:
        yield
    except UnidentifiedImageError as error:
        raise ImageBroken(f"'{name}' is not an image that featmap can read.", REMEDY) from error
    except Image.DecompressionBombError as error:
        found = re.search(r"(\d+) pixels", str(error))
        raise _too_large(name, f"{int(found[1]):,}" if found else "too many") from error
    except (FeatmapError, MemoryError):
        raise
    except Exception as error:
        # Every one of Pillow's readers fails in its own way on a damaged file: AVIF's with RuntimeError, for one.
        raise ImageBroken(f"'{name}' is damaged: {error}.", "Copy or download the picture again.") from error


def _in_bytes(picture: Image.Image) -> Image.Image:
    """The picture with values from 0 to 255; Pillow would clip larger values instead of scaling them."""
    if picture.mode.startswith("I;16") or (picture.mode == "I" and picture.format in ("PNG", "PPM")):
        _say("16 bits per value are rounded to 8")
        return Image.fromarray(np.round(np.asarray(picture) / 257).astype(np.uint8))
    if picture.mode in ("I", "F"):
        return array_picture(np.asarray(picture))
    return picture.convert("RGBA") if "transparency" in picture.info else picture


def _say_what_is_lost(picture: Image.Image) -> None:
    if picture.mode == "CMYK":
        _say("the inks of CMYK become red, green and blue by a plain formula, without a colour profile")
    last = picture.getbands()[-1]
    if last in ("A", "a") and picture.getchannel(last).getextrema()[0] != 255:
        _say("transparency is left out, and what is below it is seen")


def _say(words: str) -> None:
    warn_caller(f"of some pictures {words}", PictureConverted)


def _check_size(picture: Image.Image, name: str) -> None:
    if picture.width * picture.height > LARGEST_PIXELS:
        raise _too_large(name, f"{picture.width * picture.height:,}")


def _too_large(name: str, got: str) -> ImageTooLarge:
    return ImageTooLarge(
        f"'{name}' claims {got} pixels; featmap opens up to {LARGEST_PIXELS:,}, because such files may be made to fill "
        "the memory.",
        "Scale the picture down first.",
    )


def array_picture(array: np.ndarray[Any, Any]) -> Image.Image:
    """An array (row, column) or (row, column, channel) of bytes, or floats from 0 to 1, as a picture.

    Raises: InputError.
    """
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)) or not array.size:
        raise InputError(
            f"An array of shape {array.shape} is not a picture.", "Give (row, column) or (row, column, channel)."
        )
    if array.dtype != np.uint8:
        array = _bytes(array)
    return Image.fromarray(array[..., 0] if array.ndim == 3 and array.shape[2] == 1 else array)


def _bytes(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    low, high = float(array.min()), float(array.max())
    if not (low >= 0 and high <= 1 and np.issubdtype(array.dtype, np.floating)):
        raise InputError(
            f"An array of {array.dtype} with values from {low:g} to {high:g} is not a picture.",
            "Give bytes (0 to 255) or floats from 0 to 1; for preprocessed values give a float tensor.",
        )
    return np.round(array * 255).astype(np.uint8)


_TEXT_IS_LONG = "MAX_TEXT"
"""Pillow's messages for a PNG whose text is too long for it."""
_ORIENTATION = 0x0112
_RECORDS = ("exif", "xmp", "XML:com.adobe.xmp", "Raw profile type exif")
"""Keys under which Pillow keeps records that may hold the orientation."""
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
