"""Tar files of images: listed with their labels, read where they lie, and found again by name."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from featmap.errors import ImageBroken, ImageTooLarge
from featmap.images.containers.tars import SUFFIXES, Held, data_by_name, data_of, held
from featmap.images.entry import Container, Entry, Other, Stored, Unreadable
from featmap.images.folders import HIDDEN, folder_label, named
from featmap.images.formats import check_bytes


@dataclass(frozen=True)
class TarMember(Stored):
    """An image inside a tar file; `offset` is where its bytes begin, `None` in a compressed one."""

    tar: Path
    name: str
    offset: int | None
    size_bytes: int

    def read(self) -> bytes:
        """The bytes of the picture. Raises: ImageTooLarge, ImageBroken, KeyError."""
        check_bytes(self.size_bytes, str(self))
        if self.offset is None:
            return data_by_name(self.tar, self.name)
        with self.tar.open("rb") as file:
            file.seek(self.offset)
            data = file.read(self.size_bytes)
        if len(data) < self.size_bytes:
            raise ImageBroken(f"'{self}' is cut off.", "Make or copy the tar file again.")
        return data

    def __str__(self) -> str:
        return f"{self.tar}!{self.name}"


def entries_in_tar(path: Path) -> Iterator[Entry | Other]:
    """The images of a tar file; where it is damaged, an entry that says so replaces what is lost."""
    members, has_image = 0, False
    try:
        with tarfile.open(path) as opened:
            for one in held(opened):
                members += not one.damage
                try:
                    entry = _member(path, opened, one)
                except Exception as error:
                    # Nothing after it can be unpacked, but its name is known.
                    if has_image:
                        yield _unreadable(path, one, error)
                    raise
                has_image = has_image or isinstance(entry, Entry)
                yield entry
    except GeneratorExit:
        raise
    # Every compression format has its own errors for damage.
    except Exception as error:
        if not has_image:
            raise ImageBroken(f"'{path}' is not a readable tar file: {error}.", "Make or copy it again.") from error
        yield _damage(path, f"it is damaged after {members:,} members ({error}); images may be lost there")


def _member(path: Path, opened: tarfile.TarFile, one: Held) -> Entry | Other:
    if one.damage:
        return _damage(path, one.problem)
    name = Path(one.name)
    if any(part.startswith(".") and part != ".." for part in name.parts):
        return Other(one.name, HIDDEN)
    problem, left_out = named(one.name, is_file=one.info is not None, instead=one.problem)
    if left_out:
        return Other(one.name, left_out)
    content = Unreadable(problem) if problem or one.info is None else _content(path, opened, one.name, one.info)
    return Entry(one.name, folder_label(name), content, f"{path.absolute()}!{one.name}", is_found=True)


def _unreadable(path: Path, one: Held, error: Exception) -> Entry:
    content = Unreadable(f"'{one.name}' cannot be read: {error}.")
    return Entry(one.name, folder_label(Path(one.name)), content, f"{path.absolute()}!{one.name}", is_found=True)


def _content(path: Path, opened: tarfile.TarFile, name: str, info: tarfile.TarInfo) -> TarMember | bytes | Unreadable:
    try:
        check_bytes(info.size, name)
        return place(path, name, info) if path.suffix.lower() == SUFFIXES[0] else data_of(opened, info)
    except (ImageTooLarge, tarfile.TarError) as error:
        words = error.problem if isinstance(error, ImageTooLarge) else f"'{name}' cannot be read: {error}."
        return Unreadable(words)


def _damage(path: Path, words: str) -> Entry:
    return Entry(f"{path.name}: {words}", "", Unreadable(f"'{path.name}': {words}."), is_found=True)


def located(tar: Path) -> dict[str, TarMember]:
    """The members of an uncompressed tar file by name, with the offsets of their data."""
    with tarfile.open(tar, "r:") as opened:
        return {one.name: place(tar, one.name, one.info) for one in held(opened) if one.info is not None}


def place(tar: Path, name: str, info: tarfile.TarInfo) -> TarMember:
    """A member of an uncompressed tar file; a sparse one has no offset, since its data is not contiguous."""
    return TarMember(tar, name, None if info.issparse() else info.offset_data, info.size)


def bytes_in_tar(tar: Path, name: str) -> bytes:
    """The bytes of a member by its name. Raises: ImageBroken, KeyError."""
    is_plain = tar.name.lower().endswith(SUFFIXES[0])
    member = _plain_members(tar, tar.stat().st_mtime_ns).get(name) if is_plain else None
    return (member or TarMember(tar, name, None, 0)).read()


@lru_cache(maxsize=4)
def _plain_members(tar: Path, changed_ns: int) -> dict[str, TarMember]:  # noqa: ARG001 - a changed file is read anew
    """Where each member of a tar file begins, so that one is found without scanning the file."""
    try:
        return located(tar)
    except (tarfile.TarError, OSError, EOFError):
        return {}


TAR_FILES = Container(SUFFIXES, entries_in_tar, bytes_in_tar, read_in_turn=SUFFIXES[1:])
