"""Is a zip archive read in the same way by every reader?

Python, which checks an archive, and torch, which reads it, may find its table of members at different places, and take
another of two members of one name. What one of them does not see was not checked.
"""

from __future__ import annotations

import struct
import zipfile
from typing import IO, Any

_END = struct.Struct("<4s4H2LH")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR_64 = struct.Struct("<4sLQL")


def ambiguity(archive: zipfile.ZipFile, file: IO[bytes]) -> str | None:
    """Why readers may see different members, or None; the archive is the one in the file."""
    # torch does not tell capitals apart.
    names = {name.lower() for name in archive.namelist()}
    if len(names) != len(archive.namelist()):
        return "it holds two members of one name"
    position = file.tell()
    try:
        end = file.seek(0, 2) - _END.size - len(archive.comment)
        stated = _stated_start(file, end)
    finally:
        file.seek(position)
    return None if stated == archive.start_dir else "its table of members is not where the archive says that it is"


def _stated_start(file: IO[bytes], end: int) -> int | None:
    """The byte where, by the records at the archive's end, the table of its members starts."""
    mark, *_, start, _ = _record(file, _END, end)
    if mark != b"PK\x05\x06":
        return None
    locator_at = end - _LOCATOR_64.size
    if locator_at < 0:
        return start
    mark, _, large_end, _ = _record(file, _LOCATOR_64, locator_at)
    if mark != b"PK\x06\x07":
        return start
    # An archive of more than 4 GB says it once more, just before.
    if large_end != locator_at - _END_64.size:
        return None
    mark, *_, large_start = _record(file, _END_64, large_end)
    return large_start if mark == b"PK\x06\x06" and start in (large_start, 0xFFFFFFFF) else None


def _record(file: IO[bytes], form: struct.Struct, at: int) -> tuple[Any, ...]:
    file.seek(at)
    return form.unpack(file.read(form.size))
