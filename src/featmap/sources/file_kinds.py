"""The check for files given as weights or programs that are really something else.

Reading them would fail with errors that hide the reason, or that advise the user to trust the file. Only the bytes that
distinguish the kinds are read, and nothing is executed.
"""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

from featmap.errors import ModelError

_LFS = b"version https://git-lfs.github.com/spec/"
_PAGE = re.compile(rb"\s*(?:\xef\xbb\xbf)?\s*<(?:!doctype\s+html|html|head|!--|\?xml)", re.IGNORECASE)
_OTHERS = {b"\x93NUMPY": "NumPy array (.npy)", b"\x89HDF\r\n\x1a\n": "HDF5 file (.h5)", b"GGUF": "GGUF file"}
_ANEW = "Save its arrays by name as .safetensors (safetensors.numpy.save_file), or a state dict with torch.save."
_AGAIN = "Download it again, and compare its size with the original's."
_START_BYTES = 512
_LARGEST_HEADER_BYTES = 100_000_000


def check_kind(path: Path) -> None:
    """Raises: ModelError: a Git LFS pointer, a web page, an empty file, arrays of other programs, a truncated file."""
    with path.open("rb") as file:
        start = file.read(_START_BYTES)
    if not start:
        raise ModelError(f"'{path}' is empty: 0 bytes.", _AGAIN)
    if start.startswith(_LFS):
        size = re.search(rb"size (\d+)", start)
        stands_for = f" of {int(size[1]):,} bytes" if size else ""
        raise ModelError(
            f"'{path}' is a pointer of Git LFS, which stands for a file{stands_for} that was not fetched.",
            "Run 'git lfs pull' in its repository, or download the file itself.",
        )
    if _PAGE.match(start):
        raise ModelError(
            f"'{path}' is a web page (HTML or XML), not weights or a program.",
            "Download the file itself: the address that was asked answered with a page.",
        )
    _check_whole(path, start)
    other = next((kind for sign, kind in _OTHERS.items() if start.startswith(sign)), None)
    if other is not None or _is_numpy_archive(path, start):
        raise ModelError(f"'{path}' is a {other or 'NumPy archive (.npz)'}, not weights or a program of torch.", _ANEW)


def _is_numpy_archive(path: Path, start: bytes) -> bool:
    if not start.startswith(b"PK\x03\x04"):
        return False
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    return bool(names) and all(name.endswith(".npy") for name in names)


def _check_whole(path: Path, start: bytes) -> None:
    size_bytes = path.stat().st_size
    if start.startswith(b"PK\x03\x04") and not _has_its_end(path):
        raise _cut_off(path, f"the table at the end of its archive is missing ({_size(size_bytes)})")
    if path.suffix.lower() == ".safetensors":
        _check_safetensors(path, start, size_bytes)


def _has_its_end(path: Path) -> bool:
    """Whether a zip archive ends with its own directory, not with that of an archive inside it."""
    try:
        with zipfile.ZipFile(path) as archive:
            end_bytes = 22 + len(archive.comment)
    except zipfile.BadZipFile:
        return False
    with path.open("rb") as file:
        file.seek(-end_bytes, 2)
        return file.read(4) == b"PK\x05\x06"


def _check_safetensors(path: Path, start: bytes, size_bytes: int) -> None:
    """Checks a safetensors file, which begins with the length of its header, which is JSON."""
    header_bytes = int.from_bytes(start[:8], "little")
    is_header = start[8:9] == b"{" or len(start) <= 8
    if is_header and 8 + header_bytes > size_bytes:
        raise _cut_off(path, f"its header alone takes {_size(header_bytes)}, the file has {_size(size_bytes)}")
    if not is_header or header_bytes > _LARGEST_HEADER_BYTES:
        return
    with path.open("rb") as file:
        header = file.read(8 + header_bytes)[8:]
    ends = [int(end) for end in re.findall(rb'"data_offsets"\s*:\s*\[\s*\d+\s*,\s*(\d+)\s*\]', header)]
    wanted = 8 + header_bytes + max(ends, default=0)
    if wanted > size_bytes:
        raise _cut_off(path, f"its tensors end at byte {wanted:,}, the file has {_size(size_bytes)}")


def _cut_off(path: Path, reason: str) -> ModelError:
    return ModelError(f"'{path}' is cut off: {reason}.", _AGAIN)


def _size(size_bytes: int) -> str:
    return f"{size_bytes:,} bytes"
