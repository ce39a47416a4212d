"""A small real data set, labelled by photograph, made from photographs that come with scikit-image.

Each photograph is cut into cells and about every fourth cell is held out. Training crops touch no held-out cell and
test crops are inside one, so no pixel is seen in both and the test accuracy is honest. The files are read from the
installed package itself, never through `skimage.data`, whose functions may download what is not there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from featmap.errors import ImageBroken, ImageMissing, MissingPackage, nearest
from featmap.geometry import Box, Interval
from featmap.images.formats import FORMATS

Split = Literal["train", "test"]

CROP_SIZE_PX = 64
SMALLEST_WINDOW_PX = 52
LARGEST_WINDOW_PX = 80
CELL_SIZE_PX = 112

FILES = {
    "astronaut": "astronaut.png",
    "brick": "brick.png",
    "camera": "camera.png",
    "cat": "chelsea.png",
    "coffee": "coffee.png",
    "coins": "coins.png",
    "grass": "grass.png",
    "gravel": "gravel.png",
    "motorcycle": "motorcycle_left.png",
    "retina": "retina.jpg",
    "rocket": "rocket.jpg",
    "stars": "hubble_deep_field.jpg",
}
PHOTOGRAPHS = tuple(FILES)


@dataclass(frozen=True)
class Crop:
    """A square window of a photograph; `label` is the photograph's index in `PHOTOGRAPHS`."""

    photograph: str
    label: int
    box: Box
    image: Image.Image


def photograph(name: str) -> Image.Image:
    """One of scikit-image's bundled photographs, in full size and as RGB (grey ones have three equal channels).

    Raises: ImageMissing: no photograph of that name, or the installed scikit-image does not include it.
    MissingPackage: scikit-image is not installed. ImageBroken: its file cannot be read.

    >>> photograph("cat").size
    (451, 300)
    """
    path = _path(name)
    try:
        with Image.open(path, formats=FORMATS) as image:
            return image.convert("RGB")
    except OSError as error:
        problem = f"'{name}': {path} cannot be read as an image."
        raise ImageBroken(problem, "Install scikit-image again.") from error


def _path(name: str) -> Path:
    if name not in FILES:
        problem = f"There is no photograph '{name}'; there are {', '.join(PHOTOGRAPHS)}."
        raise ImageMissing(problem, nearest(name, PHOTOGRAPHS))
    path = _data_folder() / FILES[name]
    if not path.is_file():
        problem = f"'{name}': the installed scikit-image brings no {FILES[name]}; it was expected in {path.parent}."
        raise ImageMissing(problem, "Install scikit-image 0.22 or newer from its wheel: pip install 'featmap[demo]'.")
    return path


def _data_folder() -> Path:
    found = find_spec("skimage")
    if found is None or not found.submodule_search_locations:
        problem = "The demo's photographs come with scikit-image, which is not installed."
        raise MissingPackage(problem, "Install it: pip install 'featmap[demo]'.")
    return Path(found.submodule_search_locations[0]) / "data"


def held_out(height: int, width: int) -> tuple[Box, ...]:
    """The cells of a photograph of this size that only test crops may show, about a quarter of its area.

    The pattern is the same for every seed, so training crops of one seed never show test crops of another.

    >>> held_out(224, 336)
    (Box(top=112, left=0, bottom=224, right=112), Box(top=112, left=224, bottom=224, right=336))
    """
    return tuple(
        Box.of(rows, columns)
        for row, rows in enumerate(_cells(height))
        for column, columns in enumerate(_cells(width))
        if (row + 2 * column) % 4 == 1
    )


def _cells(size: int) -> list[Interval]:
    count = size // CELL_SIZE_PX
    return [Interval(index * size // count, (index + 1) * size // count) for index in range(count)]


def crops(split: Split, per_photograph: int, seed: int = 0) -> tuple[Crop, ...]:
    """`per_photograph` crops of every photograph, scaled to 64 x 64 pixels, the same for the same seed.

    Position and window size (52 to 80 pixels of the photograph) are random. No training crop shares a pixel with any
    test crop, whatever the seeds.

    >>> [crop.photograph for crop in crops("test", 1)][:3]
    ['astronaut', 'brick', 'camera']
    """
    return tuple(
        crop for label, name in enumerate(PHOTOGRAPHS) for crop in _crops_of(name, label, split, per_photograph, seed)
    )


def _crops_of(name: str, label: int, split: Split, count: int, seed: int) -> Iterator[Crop]:
    whole = photograph(name)
    random = np.random.default_rng([seed, label, split == "test"])
    cells = held_out(whole.height, whole.width)
    for _ in range(count):
        box = _test_box(cells, random) if split == "test" else _train_box(whole.height, whole.width, cells, random)
        yield Crop(name, label, box, _render(whole, box))


def _test_box(cells: tuple[Box, ...], random: np.random.Generator) -> Box:
    return _window_inside(cells[random.integers(len(cells))], random)


def _train_box(height: int, width: int, cells: tuple[Box, ...], random: np.random.Generator) -> Box:
    whole = Box(0, 0, height, width)
    while True:
        box = _window_inside(whole, random)
        if all(box.intersection(cell).is_empty for cell in cells):
            return box


def _window_inside(region: Box, random: np.random.Generator) -> Box:
    size = int(random.integers(SMALLEST_WINDOW_PX, LARGEST_WINDOW_PX + 1))
    top = int(random.integers(region.top, region.bottom - size + 1))
    left = int(random.integers(region.left, region.right - size + 1))
    return Box(top, left, top + size, left + size)


def _render(whole: Image.Image, box: Box) -> Image.Image:
    corners = (box.left, box.top, box.right, box.bottom)
    return whole.resize((CROP_SIZE_PX, CROP_SIZE_PX), Image.Resampling.BILINEAR, box=corners)
