"""The rate of a build beside that of a bare loop, each in a process of its own.

A loop that follows a build in one process finds memory that the build has taken from the system already, and is a
quarter faster than one that has the process to itself, as loops have.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

import featmap as fm
from benchmarks.measure import seconds
from featmap.demo.crops import PHOTOGRAPHS, photograph
from featmap.sources.zoo import import_torchvision

ROUNDS = 2
PHOTOS = {"vgg16": 320, "resnet50": 800, "squeezenet1_1": 1600}
_WARM_UP, _BATCH = 32, 16


def rate(name: str) -> list[str]:
    """A row: network, images, maps, images per second of both, the share."""
    count = PHOTOS[name]
    with tempfile.TemporaryDirectory() as folder:
        photos = Path(folder, "photos")
        _write_photographs(photos, count)
        rounds = [(_apart("bare", name, photos), _apart("build", name, photos)) for _ in range(ROUNDS)]
    theirs, ours = zip(*rounds, strict=True)
    shares = [100 * bare_s / build_s for bare_s, build_s in rounds]
    return [
        name,
        str(count),
        f"{count / statistics.median(theirs):.1f}",
        f"{count / statistics.median(ours):.1f}",
        f"{statistics.median(shares):.0f}% ({min(shares):.0f} to {max(shares):.0f})",
    ]


def module_of(name: str) -> nn.Module:
    """A network of torchvision with made-up weights, channels last."""
    import_torchvision()
    from torchvision.models import get_model

    torch.manual_seed(0)
    return get_model(name).eval().to(memory_format=torch.channels_last)


def _apart(work: str, name: str, photos: Path) -> float:
    command = [sys.executable, "-m", "benchmarks.build_rate", work, name, str(photos)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def _write_photographs(folder: Path, count: int) -> None:
    """JPEG files of 500 x 375: windows of real photographs."""
    folder.mkdir()
    random = np.random.default_rng(0)
    for number in range(count):
        whole = photograph(PHOTOGRAPHS[number % len(PHOTOGRAPHS)])
        side = min(whole.size) * 2 // 3
        left, top = (int(random.integers(0, size - side)) for size in whole.size)
        window = whole.crop((left, top, left + side, top + side)).resize((500, 375))
        window.save(folder / f"{number:05}.jpg", quality=90)


def _opened(file: Path) -> Image.Image:
    with Image.open(file) as picture:
        return picture.convert("RGB")


def _bare(name: str, files: list[Path]) -> float:
    module, preprocessing = module_of(name), fm.load(f"torchvision:{name}").preprocessing

    def loop(files: list[Path]) -> None:
        with torch.inference_mode():
            for start in range(0, len(files), _BATCH):
                values = [preprocessing(_opened(file)) for file in files[start : start + _BATCH]]
                module(torch.stack(values).contiguous(memory_format=torch.channels_last))

    loop(files[:_WARM_UP])
    return seconds(lambda: loop(files))


def _build(name: str, files: list[Path]) -> float:
    net = fm.load(f"torchvision:{name}")
    with tempfile.TemporaryDirectory() as folder:

        def build(files: list[Path], path: str) -> None:
            fm.Index.build(net, files, Path(folder, path), progress=False)

        build(files[:_WARM_UP], "warm.fmi")
        return seconds(lambda: build(files, "all.fmi"))


if __name__ == "__main__":
    _, work, name, folder = sys.argv
    files = sorted(Path(folder).glob("*.jpg"))
    print({"bare": _bare, "build": _build}[work](name, files))
