"""Boxes on a photograph: outlined on the dimmed photograph, each cut out beside it.

A box may reach beyond the image, as receptive fields at the border do. The part outside is hatched: there the layers
read padding, and no pixel of the photograph.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from featmap.errors import SettingError
from featmap.view.drawing.enlarge import Box, Enlargement, box_words, continued
from featmap.view.drawing.panel import Panel, as_picture, side_by_side

PHOTOGRAPH_PX = 640
CROP_PX = 320
COLOURS = ((255, 159, 28), (64, 170, 255), (46, 204, 113), (240, 98, 192))


@dataclass(frozen=True)
class Mark:
    """A half-open box (top, left, bottom, right) in image pixels, not cut at the image, and what it is."""

    box: Box
    name: str


def box_picture(image: Image.Image | NDArray[Any], marks: Sequence[Mark], title: str = "") -> Image.Image:
    """The photograph, dimmed outside of the boxes, and each box cut out beside it.

    Small images are magnified in whole pixels, large ones averaged down; the captions say which, and they say the rows
    and columns of every box and how much of it is outside. The photograph is extended by at most half its side.

    Raises: SettingError: no box, a box without area, an array that is not a picture.

    >>> photograph = np.zeros((64, 64, 3), np.uint8)
    >>> box_picture(photograph, [Mark((-4, 8, 20, 32), "conv2:a/0@2,5")]).info["Description"]
    '; the image, 64 x 64, each pixel drawn as 9 x 9; hatched is outside; conv2:a/0@2,5; rows −4:20, columns 8:32, ...'
    """
    picture = as_picture(image)
    _check(marks)
    view = _view(picture.size, [mark.box for mark in marks])
    whole = Enlargement.of(view, PHOTOGRAPH_PX)
    panels = [Panel(_photograph(picture, marks, view, whole), _photograph_words(picture, view, whole))]
    return side_by_side(
        title, panels + [_crop(picture, mark, colour) for mark, colour in zip(marks, cycle(COLOURS), strict=False)]
    )


def _check(marks: Sequence[Mark]) -> None:
    empty = [mark for mark in marks if mark.box[0] >= mark.box[2] or mark.box[1] >= mark.box[3]]
    if empty or not marks:
        said = f"the box {empty[0].box} of {empty[0].name!r} has no area" if empty else "no box was given"
        raise SettingError(f"Nothing to draw: {said}.", "Pass boxes (top, left, bottom, right), half-open.")


def _view(size: tuple[int, int], boxes: list[Box]) -> Box:
    """The image and the parts of the boxes outside of it, up to half the image's side."""
    width, height = size
    tops, lefts, bottoms, rights = zip(*boxes, strict=True)
    top, bottom = _reach(min(tops), max(bottoms), height)
    left, right = _reach(min(lefts), max(rights), width)
    return top, left, bottom, right


def _reach(first: int, last: int, length: int) -> tuple[int, int]:
    """The range of one side that is shown: a little more than the boxes, so that their outlines are visible."""
    spare = 1 + length // 32
    before = max(first - spare, -(length // 2)) if first < 0 else 0
    after = min(last + spare, length + length // 2) if last > length else length
    return before, after


def _photograph(picture: Image.Image, marks: Sequence[Mark], view: Box, enlargement: Enlargement) -> Image.Image:
    pixels = continued(picture, view, enlargement)
    boxes = [enlargement.place(mark.box, view) for mark in marks]
    shown = np.zeros(pixels.shape[:2], bool)
    for top, left, bottom, right in boxes:
        shown[max(0, top) : max(0, bottom), max(0, left) : max(0, right)] = True
    dimmed = np.where(shown[..., None], pixels, (pixels * 0.35 + 36).astype(np.uint8))
    for box, colour in zip(boxes, cycle(COLOURS), strict=False):
        _outline(dimmed, box, colour)
    return Image.fromarray(dimmed)


def _outline(pixels: NDArray[np.uint8], box: Box, colour: tuple[int, int, int]) -> None:
    """Draws just outside of the box: a dark line keeps the bright one visible on any photograph."""
    for distance, ink in ((3, (20, 20, 20)), (2, colour)):
        frame = np.zeros(pixels.shape[:2], bool)
        _fill(frame, box, distance, value=True)
        _fill(frame, box, 0, value=False)
        pixels[frame] = ink


def _fill(mask: NDArray[np.bool_], box: Box, distance: int, *, value: bool) -> None:
    top, left, bottom, right = box
    mask[max(0, top - distance) : max(0, bottom + distance), max(0, left - distance) : max(0, right + distance)] = value


def _photograph_words(picture: Image.Image, view: Box, enlargement: Enlargement) -> tuple[str, ...]:
    outside = "; hatched is outside" if view != (0, 0, picture.height, picture.width) else ""
    return (f"the image, {picture.height} x {picture.width}, {enlargement.words}{outside}",)


def _crop(picture: Image.Image, mark: Mark, colour: tuple[int, int, int]) -> Panel:
    enlargement = Enlargement.of(mark.box, CROP_PX)
    pixels = continued(picture, mark.box, enlargement)
    return Panel(Image.fromarray(pixels), (mark.name, box_words(mark.box, picture.size), enlargement.words), colour)
