"""Files that are something else than their name says: the error says what they are, and never advises trust."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from featmap.errors import ModelError
from featmap.sources.archive import read_archive
from featmap.sources.weights import read_weights

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 102540417\n"
SUFFIXES = [".pth", ".pt", ".bin", ".safetensors", ".pt2"]


def refusal(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    with pytest.raises(ModelError) as caught:
        (read_archive if path.suffix == ".pt2" else read_weights)(path)
    assert "trust" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_pointer_of_git_lfs_is_named_with_its_remedy(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"weights{suffix}"
    assert refusal(path, POINTER) == (
        f"'{path}' is a pointer of Git LFS, which stands for a file of 102,540,417 bytes that was not fetched.\n\n"
        "Run 'git lfs pull' in its repository, or download the file itself."
    )


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("page", [b"<!DOCTYPE html><html>", b"\n <HTML><body>", b"<?xml version='1.0'?><Error/>"])
def test_a_web_page_is_named(tmp_path: Path, suffix: str, page: bytes) -> None:
    path = tmp_path / f"weights{suffix}"
    assert refusal(path, page) == (
        f"'{path}' is a web page (HTML or XML), not weights or a program.\n\n"
        "Download the file itself: the address that was asked answered with a page."
    )


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_empty_file_is_named(tmp_path: Path, suffix: str) -> None:
    assert " is empty: 0 bytes." in refusal(tmp_path / f"weights{suffix}", b"")


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("share", [0.02, 0.5, 0.99])
def test_a_download_that_was_cut_off_is_named(tmp_path: Path, suffix: str, share: float) -> None:
    path = tmp_path / f"weights{suffix}"
    if suffix == ".pt2":
        torch.export.save(torch.export.export(torch.nn.Conv2d(3, 4, 3), (torch.zeros(1, 3, 8, 8),)), path)
    elif suffix == ".safetensors":
        save_file({"weight": torch.zeros(1000), "bias": torch.zeros(1000)}, path)
    else:
        torch.save({"weight": torch.zeros(1000)}, path)
    whole = path.read_bytes()
    message = refusal(path, whole[: int(len(whole) * share)])
    assert " is cut off: " in message
    assert message.endswith("Download it again, and compare its size with the original's.")


def numpy_bytes(save: Callable[..., None]) -> bytes:
    buffer = io.BytesIO()
    save(buffer, np.zeros(3))
    return buffer.getvalue()


@pytest.mark.parametrize("suffix", [".npz", *SUFFIXES])
@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (numpy_bytes(np.savez), "NumPy archive (.npz)"),
        (numpy_bytes(np.savez_compressed), "NumPy archive (.npz)"),
        (numpy_bytes(np.save), "NumPy array (.npy)"),
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "HDF5 file (.h5)"),
        (b"GGUF" + bytes(100), "GGUF file"),
    ],
)
def test_arrays_of_other_programs_are_named(tmp_path: Path, suffix: str, content: bytes, kind: str) -> None:
    path = tmp_path / f"weights{suffix}"
    assert refusal(path, content) == (
        f"'{path}' is a {kind}, not weights or a program of torch.\n\n"
        "Save its arrays by name as .safetensors (safetensors.numpy.save_file), or a state dict with torch.save."
    )
