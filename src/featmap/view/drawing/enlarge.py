"""A box of an image as a picture: enlarged in whole pixels or averaged down, hatched where it is empty.

A box may reach beyond the image; there is nothing to show there, and the picture hatches it instead of inventing
pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from featmap.view.drawing.hatch import hatch
from featmap.view.drawing.text import MINUS, plural

LARGEST_FACTOR = 64

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Enlargement:
    """Pixels of the picture per pixel of the image: a whole number, or less than 1."""

    factor: float

    @classmethod
    def of(cls, box: Box, room_px: int) -> Enlargement:
        """The largest that fits."""
        ratio = room_px / max(box[2] - box[0], box[3] - box[1])
        return cls(min(int(ratio), LARGEST_FACTOR) if ratio >= 1 else ratio)

    @property
    def words(self) -> str:
        """The caption."""
        if self.factor > 1:
            return f"each pixel drawn as {self.factor:.0f} x {self.factor:.0f}"
        return "at its own size" if self.factor == 1 else f"reduced to {self.factor:.1%} by averaging areas"

    def apply(self, picture: Image.Image) -> Image.Image:
        """The picture at its size."""
        size = (max(1, round(picture.width * self.factor)), max(1, round(picture.height * self.factor)))
        return picture.resize(size, Image.Resampling.NEAREST if self.factor >= 1 else Image.Resampling.BOX)

    def place(self, box: Box, view: Box) -> Box:
        """The position of a box of the image in the picture of the view."""
        top, left, bottom, right = (
            round((edge - start) * self.factor) for edge, start in zip(box, (*view[:2], *view[:2]), strict=True)
        )
        return top, left, bottom, right


def continued(picture: Image.Image, box: Box, enlargement: Enlargement) -> NDArray[np.uint8]:
    """The enlarged pixels of a box, hatched where the image has none."""
    height, width = (round(side * enlargement.factor) for side in (box[2] - box[0], box[3] - box[1]))
    pixels = hatch(max(1, height), max(1, width))
    inside = cut(box, picture.size)
    if inside[0] < inside[2] and inside[1] < inside[3]:
        top, left, bottom, right = inside
        part = np.asarray(enlargement.apply(picture.crop((left, top, right, bottom))))
        row, column, *_ = enlargement.place(inside, box)
        room = pixels[row : row + part.shape[0], column : column + part.shape[1]]
        room[:] = part[: room.shape[0], : room.shape[1]]
    return pixels


def cut(box: Box, size: tuple[int, int]) -> Box:
    """The part of a box inside an image of (width, height).

    >>> cut((-4, 8, 20, 32), (64, 64))
    (0, 8, 20, 32)
    """
    width, height = size
    return max(box[0], 0), max(box[1], 0), min(box[2], height), min(box[3], width)


def box_words(box: Box, size: tuple[int, int]) -> str:
    """A box in words, with the part of it outside of an image of (width, height).

    >>> box_words((-4, 8, 20, 70), (64, 64))
    'rows −4:20, columns 8:70, 24 x 62 pixels; outside of the image: 4 rows above, 6 columns right'
    """
    top, left, bottom, right = box
    width, height = size
    outside = ((-top, "row", "above"), (bottom - height, "row", "below"), (-left, "column", "left"))
    parts = [
        f"{plural(count, word)} {side}"
        for count, word, side in (*outside, (right - width, "column", "right"))
        if count > 0
    ]
    said = f"rows {top}:{bottom}, columns {left}:{right}, {bottom - top} x {right - left} pixels".replace("-", MINUS)
    return f"{said}; outside of the image: {', '.join(parts)}" if parts else said
