"""A small network, small images and a small index of them; its whole content, read without featmap's code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import icechunk
import numpy as np
import torch
import zarr
from PIL import Image
from torch import nn

import featmap as fm
from featmap.index.build.build import BuildReport, build_index
from featmap.index.schema.wish import Wish
from featmap.network.network import CapturedNetwork, capture_module

SHAPE = (3, 12, 12)
BLOCK = 4
WISH = Wish(block=BLOCK, top_k=7, correlation="all")
COUNT = 60


def module(seed: int = 0) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        first = (nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
        return nn.Sequential(*first, nn.Conv2d(6, 8, 3), nn.BatchNorm2d(8), nn.ReLU()).eval()


def network(seed: int = 0, preprocessing: fm.Preprocessing | None = None) -> CapturedNetwork:
    inputs = (torch.zeros(1, *SHAPE),)
    return capture_module(module(seed), inputs, {}, name="Small", preprocessing=preprocessing)


def write_images(folder: Path, count: int = COUNT, first: int = 0) -> Path:
    """Random pictures in three folders, which are their labels; returns the folder."""
    for number in range(first, first + count):
        file = folder / f"label {number % 3}" / f"{number:03}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        values = np.random.default_rng(number).integers(0, 256, (14, 13, 3), dtype=np.uint8)
        Image.fromarray(values).save(file)
    return folder


def build(images: Any, path: Path, wish: Wish = WISH, **settings: Any) -> BuildReport:
    return build_index(network(), images, path, wish, **settings)


def plain_group(path: Path) -> zarr.Group:
    """An index, opened by icechunk and zarr alone."""
    repository = icechunk.Repository.open(icechunk.local_filesystem_storage(str(path)))
    return zarr.open_group(repository.readonly_session("main").store, mode="r")


def content(path: Path) -> dict[str, Any]:
    """Every array and the description."""
    root = plain_group(path)
    arrays = {name: node[...] for name, node in root.members(max_depth=None) if isinstance(node, zarr.Array)}
    return {**arrays, "": dict(root.attrs)}


def differences(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """The names of the arrays that differ, in type, shape or any value."""
    return sorted(name for name in one.keys() | other.keys() if not _same(one.get(name), other.get(name)))


def _same(one: Any, other: Any) -> bool:
    if not isinstance(one, np.ndarray) or not isinstance(other, np.ndarray):
        return not isinstance(one, np.ndarray) and not isinstance(other, np.ndarray) and one == other
    if one.dtype != other.dtype or one.shape != other.shape:
        return False
    return np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
