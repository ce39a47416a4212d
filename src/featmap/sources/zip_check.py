"""The check that all readers see the same members in a zip archive.

Python, which checks an archive, and torch, which reads it, may find its directory at different positions, and may pick
different ones of two members of the same name. Then torch could read something that was not checked.
"""

from __future__ import annotations

import struct
import zipfile
from typing import IO, Any

_END = struct.Struct("<4s4H2LH")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR_64 = struct.Struct("<4sLQL")


def ambiguity(archive: zipfile.ZipFile, file: IO[bytes]) -> str | None:
    """Why readers may see different members, or None; `archive` is the one in `file`."""
    # torch ignores case.
    names = {name.lower() for name in archive.namelist()}
    if len(names) != len(archive.namelist()):
        return "it holds two members of the same name"
    position = file.tell()
    try:
        end = file.seek(0, 2) - _END.size - len(archive.comment)
        stated = _stated_start(file, end)
    finally:
        file.seek(position)
    return None if stated == archive.start_dir else "its table of members is not where the archive says that it is"


def _stated_start(file: IO[bytes], end: int) -> int | None:
    """The offset of the archive's directory according to the records at the archive's end."""
    mark, *_, start, _ = _record(file, _END, end)
    if mark != b"PK\x05\x06":
        return None
    locator_at = end - _LOCATOR_64.size
    if locator_at < 0:
        return start
    mark, _, large_end, _ = _record(file, _LOCATOR_64, locator_at)
    if mark != b"PK\x06\x07":
        return start
    # An archive of more than 4 GB has another record just before.
    if large_end != locator_at - _END_64.size:
        return None
    mark, *_, large_start = _record(file, _END_64, large_end)
    return large_start if mark == b"PK\x06\x06" and start in (large_start, 0xFFFFFFFF) else None


def _record(file: IO[bytes], form: struct.Struct, at: int) -> tuple[Any, ...]:
    file.seek(at)
    return form.unpack(file.read(form.size))
