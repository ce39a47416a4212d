"""The files in a tar file, including links and files after a damaged part; each damaged part is reported.

Python's own reader stops silently at a damaged header in the middle. Here the next intact header is searched for, as
GNU tar does.
"""

from __future__ import annotations

import posixpath
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")
"""The suffixes of tar files; the first is not compressed, the last needs Python 3.14."""
_BLOCK = tarfile.BLOCKSIZE
_REST_BYTES = 2**30


@dataclass(frozen=True)
class Held:
    """A member by its name: `info` is the file that holds its data; where there is none, `problem` says why.

    `damage` says that this is not a member, but a damaged part of the tar file.
    """

    name: str
    info: tarfile.TarInfo | None
    problem: str = ""
    damage: bool = False


def held(opened: tarfile.TarFile) -> Iterator[Held]:
    """The members that are not folders; symbolic links come last, in the order of their targets.

    Raises: what the decompression raises.
    """
    files: dict[str, tarfile.TarInfo] = {}
    links: list[tarfile.TarInfo] = []
    for member in _members(opened):
        if isinstance(member, str):
            yield Held(member, None, member, damage=True)
        elif member.isfile():
            files[_plain(member.name)] = member
            yield Held(member.name, member)
        elif member.islnk():
            target = files.get(_plain(member.linkname))
            if target is not None:
                files[_plain(member.name)] = target
            yield _linked(member.name, target, member.linkname)
        elif member.issym():
            links.append(member)
        elif not member.isdir():
            yield Held(member.name, None, f"'{member.name}' is not a file, but a pipe or a device.")
    found = [one for link in links for one in _led_to(link, files)]
    yield from sorted(found, key=lambda one: one.info.offset if one.info else -1)


def _members(opened: tarfile.TarFile) -> Iterator[tarfile.TarInfo | str]:
    """The members, and a description of each damaged part of the file."""
    damaged: int | None = None
    while True:
        at = opened.offset
        is_cut_off = False
        try:
            member = opened.next()
        except tarfile.TarError:
            member, is_cut_off = None, True
        if member is not None:
            if damaged is not None:
                yield f"bytes {damaged} to {member.offset} are damaged; images may be lost there"
                damaged = None
            yield member
            continue
        block = _block(opened, at)
        if not block and damaged is None and not is_cut_off:
            return
        if not block:
            yield f"it is damaged or cut off from byte {at if damaged is None else damaged}; images may be lost there"
            return
        if damaged is None and not block.strip(b"\0"):
            _read_on(opened)
            return
        damaged = at if damaged is None else damaged
        opened.offset = at + _BLOCK


def _block(opened: tarfile.TarFile, at: int) -> bytes:
    assert opened.fileobj is not None
    opened.fileobj.seek(at)
    return opened.fileobj.read(_BLOCK)


def _read_on(opened: tarfile.TarFile) -> None:
    """Reads what follows the end, so that a compressed file's checksum is checked."""
    assert opened.fileobj is not None
    left = _REST_BYTES
    while left > 0 and (part := opened.fileobj.read(2**20)):
        left -= len(part)


def _plain(name: str) -> str:
    return posixpath.normpath(name)


def _linked(name: str, target: tarfile.TarInfo | None, text: str) -> Held:
    return Held(name, target, "" if target else f"'{name}' is a link to '{text}', which the tar file does not hold.")


def _led_to(link: tarfile.TarInfo, files: dict[str, tarfile.TarInfo]) -> list[Held]:
    """The file that a symbolic link points to, or all files in the folder that it points to."""
    target = _plain(posixpath.join(posixpath.dirname(link.name), link.linkname))
    inside = [name for name in files if name.startswith(f"{target}/")]
    if target in files or not inside:
        return [_linked(link.name, files.get(target), link.linkname)]
    return [Held(posixpath.join(link.name, posixpath.relpath(name, target)), files[name]) for name in inside]


def data_of(opened: tarfile.TarFile, info: tarfile.TarInfo) -> bytes:
    """The bytes of a file in a tar file."""
    file = opened.extractfile(info)
    assert file is not None
    return file.read()


def data_by_name(tar: Path, name: str) -> bytes:
    """The bytes of a member, found by scanning the tar file. Raises: KeyError: there is none."""
    with tarfile.open(tar) as opened:
        for one in held(opened):
            if one.name == name and one.info is not None:
                return data_of(opened, one.info)
    raise KeyError(f"there is no member '{name}'")
