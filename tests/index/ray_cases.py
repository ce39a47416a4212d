"""A small network and a data set partly in files and partly in memory, some of it unreadable."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

import featmap as fm
from featmap.network.network import CapturedNetwork


def network() -> CapturedNetwork:
    torch.manual_seed(0)
    body = (
        nn.Conv2d(3, 6, 3),
        nn.BatchNorm2d(6),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 5, 3),
        nn.ReLU(),
    )
    return fm.trace(nn.Sequential(*body).eval(), (3, 22, 18))._captured


def arrays(count: int, seed: int = 0) -> list[np.ndarray[Any, Any]]:
    generator = np.random.default_rng(seed)
    return [generator.integers(0, 256, (22, 18, 3), dtype=np.uint8) for _ in range(count)]


def mixed(folder: Path, count: int = 44) -> list[Any]:
    """Arrays, pictures, tensors and paths relative to the folder's parent; every seventh cannot be used."""
    folder.mkdir(exist_ok=True)
    images: list[Any] = []
    for number, array in enumerate(arrays(count)):
        path = folder / f"{number}.png"
        Image.fromarray(array).save(path)
        if number % 7 == 3:
            path.write_bytes(path.read_bytes()[:-200] if number % 2 else b"no picture")
        kinds: tuple[Any, ...] = (array, Path(folder.name) / path.name, Image.fromarray(array), _tensor(array))
        images.append((kinds[1 if number % 7 == 3 else number % 4], f"label {number % 3}"))
    images[5] = Path(folder.name) / "not there.png"
    images[6] = np.zeros((4, 4, 7))
    images[8] = (object, "")
    return images


def _tensor(array: np.ndarray[Any, Any]) -> torch.Tensor:
    return torch.from_numpy(array).permute(2, 0, 1) / 255
