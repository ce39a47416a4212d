"""PNG files without their text: Pillow takes an intact file with a long text for damaged.

Text that holds the picture's orientation is kept.
"""

from __future__ import annotations

import struct
import zlib

_START = b"\x89PNG\r\n\x1a\n"
_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
_LARGEST = 2**24
"""The most bytes of a text that may hold the orientation."""
_XMP = b"XML:com.adobe.xmp"


def without_text(data: bytes) -> bytes:
    """A PNG's bytes without text and colour profile, except XMP, which may hold the orientation, as plain text."""
    kept = [_START]
    at = len(_START)
    while at + 12 <= len(data):
        (size,) = struct.unpack_from(">I", data, at)
        kind, content = data[at + 4 : at + 8], data[at + 8 : at + 8 + size]
        if kind == b"iTXt" and content.startswith(_XMP + b"\0"):
            kept.append(_xmp(content))
        elif kind not in (*_TEXTS, b"iCCP"):
            kept.append(data[at : at + size + 12])
        at += size + 12
    return b"".join(kept)


def _xmp(content: bytes) -> bytes:
    """An XMP text as an uncompressed chunk; empty where it cannot be read."""
    keyword, rest = content.split(b"\0", 1)
    parts = rest[2:].split(b"\0", 2)
    if len(parts) != 3:
        return b""
    text = parts[2]
    if rest[:1] == b"\1":
        try:
            text = zlib.decompressobj().decompress(text, _LARGEST)
        except zlib.error:
            return b""
    return _chunk(b"iTXt", keyword + b"\0\0\0" + parts[0] + b"\0" + parts[1] + b"\0" + text)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
