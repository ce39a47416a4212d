"""The formats that are opened as pictures: those that are decoded without running anything, within limits.

Pillow would open more: EPS by running the file's own program in Ghostscript, others by handing them to programs of the
system. The limits are of bytes before anything is read, of pixels before they are decoded, and of the processor's time
of the reading thread whenever a decoder asks for bytes, and when it has ended. Those that ask for all bytes at once
(WebP, JPEG 2000, AVIF) cannot be stopped from within a process: their time has a bound by the bytes and pixels, and
what took too long is skipped with a word. The scans of a JPEG, which cost time without bytes or pixels, are counted
beforehand.
"""

from __future__ import annotations

import io
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from PIL import Image

from featmap.errors import ImageBroken, ImageTooLarge

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "PPM", "JPEG2000", "AVIF")
"""What is opened, by Pillow's names; of what moves the first frame. AVIF needs a Pillow that was built with it."""
WORDS = "JPEG, PNG, WebP, GIF, TIFF, BMP, PNM, JPEG 2000 or AVIF"
SUFFIXES = frozenset(
    [
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".gif", ".tif", ".tiff", ".bmp", ".dib"),
        *(".pbm", ".pgm", ".ppm", ".pnm", ".pfm", ".jp2", ".j2k", ".jpc", ".jpf", ".jpx", ".j2c", ".avif", ".avifs"),
    ]
)
"""How files of these formats are named; in folders and tars others are no images."""
OTHER_SUFFIXES = frozenset(Image.registered_extensions()) - SUFFIXES
"""How files of Pillow's other formats are named."""
LARGEST_BYTES = 2**30
LONGEST_S = 60.0
"""Time of the processor that the reading of one picture may take."""
MOST_SCANS = 100
"""Scans of a JPEG; progressive ones have about ten."""
_OTHERS = {
    b"%!PS": "EPS or PostScript, which is a program",
    b"\xc5\xd0\xd3\xc6": "EPS or PostScript, which is a program",
    b"%PDF": "PDF",
    b"\xd7\xcd\xc6\x9a": "WMF",
    b"\x01\x00\x00\x00": "EMF",
    b"8BPS": "a Photoshop file",
    b"\x00\x00\x01\x00": "an icon",
    b"icns": "an icon",
    b"DDS ": "a DDS texture",
    b"SIMPLE": "FITS",
    b"\x89HDF": "HDF5",
    b"<svg": "SVG",
    b"qoif": "QOI",
}
REMEDY = f"Give a file of {WORDS}."


def check_bytes(size: int, name: str) -> None:
    """Raises ImageTooLarge for a file of more bytes than are read."""
    if size > LARGEST_BYTES:
        raise ImageTooLarge(
            f"'{name}' has {size:,} bytes; featmap reads pictures of up to {LARGEST_BYTES:,}.",
            "Save the picture compressed, or smaller.",
        )


@contextmanager
def opened(file: BinaryIO, name: str) -> Generator[Image.Image]:
    """The picture in a stream, not decoded yet.

    Raises: ImageBroken, ImageTooLarge, also at the end where decoding took too long, and what Pillow's readers raise.
    """
    start = file.read(16)
    if start.startswith(b"\xff\xd8"):
        _check_scans(start + file.read(), name)
    file.seek(0)
    _check_kind(start, name)
    timed = Timed(file, name)
    with Image.open(cast("BinaryIO", timed), formats=FORMATS) as picture:
        picture.filename = name
        yield picture
    timed.check()


def _check_kind(start: bytes, name: str) -> None:
    for sign, words in _OTHERS.items():
        if start.startswith(sign):
            raise ImageBroken(f"'{name}' is {words}; featmap opens only what is decoded without running it.", REMEDY)


def _check_scans(data: bytes, name: str) -> None:
    """Within a scan a byte of 255 is always followed by 0 or a restart's mark, so that a scan's beginning is found."""
    scans = data.count(b"\xff\xda")
    if scans > MOST_SCANS:
        raise ImageTooLarge(
            f"'{name}' is a JPEG of {scans:,} scans; featmap decodes up to {MOST_SCANS}, because such files may be "
            "made to take very long.",
            "Save the picture again.",
        )


class Timed(io.RawIOBase):
    """A stream that ends the decoder which asks it for bytes after too long."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        super().__init__()
        self.file = file
        self.name_of_picture = name
        self.until = time.thread_time() + LONGEST_S

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes. Raises: ImageTooLarge: the reading took too long."""
        self.check()
        return self.file.read(size)

    def check(self) -> None:
        """Raises: ImageTooLarge: the reading took too long."""
        if time.thread_time() > self.until:
            raise ImageTooLarge(
                f"'{self.name_of_picture}' takes longer than {LONGEST_S:g} s to read; it may have been made to.",
                "Save the picture again, or smaller.",
            )

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Goes to a place. Raises: ImageTooLarge: the reading took too long."""
        self.check()
        return self.file.seek(offset, whence)

    def tell(self) -> int:
        """The place."""
        return self.file.tell()

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True


def is_named_picture(path: Path) -> bool:
    """Whether a file's name is that of a picture that is opened."""
    return path.suffix.lower() in SUFFIXES
