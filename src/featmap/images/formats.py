"""The picture formats that are opened: those that can be decoded without executing anything, within limits.

Pillow would open more: EPS by running the file's own program in Ghostscript, others by passing them to programs of the
system. There are limits on bytes before anything is read, on pixels before they are decoded, and on the CPU time of the
reading thread, checked whenever a decoder asks for bytes and at its end. Decoders that ask for all bytes at once (WebP,
JPEG 2000, AVIF) cannot be stopped from within a process: their time is bounded by the bytes and pixels, and pictures
that took too long are skipped with a warning. The scans of a JPEG, which cost time without bytes or pixels, are counted
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
"""The formats by Pillow's names; of animations the first frame is read. AVIF needs a Pillow built with it."""
WORDS = "JPEG, PNG, WebP, GIF, TIFF, BMP, PNM, JPEG 2000 or AVIF"
SUFFIXES = frozenset(
    [
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".gif", ".tif", ".tiff", ".bmp", ".dib"),
        *(".pbm", ".pgm", ".ppm", ".pnm", ".pfm", ".jp2", ".j2k", ".jpc", ".jpf", ".jpx", ".j2c", ".avif", ".avifs"),
    ]
)
"""The suffixes of these formats; in folders and tar files, files with other suffixes are not images."""
OTHER_SUFFIXES = frozenset(Image.registered_extensions()) - SUFFIXES
"""The suffixes of Pillow's other formats."""
ARRAY_SUFFIXES = frozenset((".wav", ".npy"))
"""The suffixes of files that hold arrays: in folders they are the images of networks that take no pictures."""
LARGEST_BYTES = 2**30
LONGEST_S = 60.0
"""CPU time that reading one picture may take."""
MOST_SCANS = 100
"""The most scans of a JPEG; progressive ones have about ten."""
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
    """Raises ImageTooLarge for a file with more bytes than are read."""
    if size > LARGEST_BYTES:
        raise ImageTooLarge(
            f"'{name}' has {size:,} bytes; featmap reads pictures of up to {LARGEST_BYTES:,}.",
            "Save the picture compressed, or smaller.",
        )


@contextmanager
def opened(file: BinaryIO, name: str) -> Generator[Image.Image]:
    """The picture in a stream, not yet decoded.

    Raises: ImageBroken, ImageTooLarge (also on exit, if decoding took too long), and what Pillow's readers raise.
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
    """Counts start-of-scan markers: within a scan a byte of 255 is always followed by 0 or a restart marker."""
    scans = data.count(b"\xff\xda")
    if scans > MOST_SCANS:
        raise ImageTooLarge(
            f"'{name}' is a JPEG of {scans:,} scans; featmap decodes up to {MOST_SCANS}, because such files may be "
            "made to take very long.",
            "Save the picture again.",
        )


class Timed(io.RawIOBase):
    """A stream that stops a decoder which still asks for bytes after too long."""

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
        """Moves to a position. Raises: ImageTooLarge: the reading took too long."""
        self.check()
        return self.file.seek(offset, whence)

    def tell(self) -> int:
        """The position."""
        return self.file.tell()

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True


def is_named_array(path: Path) -> bool:
    """Whether a file is named as one that holds a signal or an array."""
    return path.suffix.lower() in ARRAY_SUFFIXES


def is_named_picture(path: Path) -> bool:
    """Whether a file is named as a picture of a format that is opened."""
    return path.suffix.lower() in SUFFIXES
