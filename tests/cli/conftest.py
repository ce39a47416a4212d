"""A folder with everything that command lines of the tests name: pictures, weights, models, and broken ones of each."""

from __future__ import annotations

import shutil
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from cli.networks import Headed, Small


@pytest.fixture(scope="session")
def _all_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    (folder / "my photos").mkdir()
    _pictures(folder)
    _weights(folder)
    program = torch.export.export(Small().eval(), (torch.zeros(1, 3, 12, 16),))
    torch.export.save(program, folder / "small.pt2")
    return folder


@pytest.fixture
def place(_all_files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with all those files in it."""
    shutil.copytree(_all_files, tmp_path / "place")
    monkeypatch.chdir(tmp_path / "place")
    return tmp_path / "place"


def picture() -> Image.Image:
    """12 rows and 16 columns of colours that are all different."""
    rows, columns, colours = np.meshgrid(np.arange(12), np.arange(16), np.arange(3), indexing="ij")
    return Image.fromarray(((rows * 61 + columns * 17 + colours * 83) % 256).astype(np.uint8))


def _pictures(folder: Path) -> None:
    colours = picture()
    colours.save(folder / "cat.png")
    colours.resize((50, 30)).save(folder / "my photos" / "the cat.JPG")
    colours.convert("L").save(folder / "grey.png")
    colours.convert("RGBA").save(folder / "alpha.png")
    (folder / "words.png").write_text("no picture at all")
    content = (folder / "cat.png").read_bytes()
    (folder / "cut.png").write_bytes(content[: len(content) // 2])
    (folder / "bomb.png").write_bytes(bomb())


def bomb() -> bytes:
    """A PNG of a hundred bytes that claims 50,000 rows and columns."""
    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, content) for name, content in parts)


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def _weights(folder: Path) -> None:
    state = Small().state_dict()
    save_file({name: tensor * 2 for name, tensor in state.items()}, folder / "doubled.safetensors")
    torch.save(state, folder / "small.pt")
    torch.save(Headed().state_dict(), folder / "of another.pth")
    torch.save(Small(), folder / "whole module.pt")
    (folder / "junk.safetensors").write_text("no weights")
    (folder / "junk.pt2").write_text("no program")
