"""A projection beside what the unit could see: grey where it is 0, full colour at its largest value."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from featmap.methods.shared.projection import NOTHING
from featmap.view.drawing.enlarge import Box, Enlargement, box_words, continued
from featmap.view.drawing.palette import paint, palette
from featmap.view.drawing.panel import Panel, side_by_side
from featmap.view.drawing.text import number

SHOWN_PX = 384
GREY = 127.5


def projection_pixels(values: NDArray[Any]) -> NDArray[np.uint8]:
    """A projection (channel, row, column) as colours (row, column, 3).

    Three channels are shown as red, green and blue around grey, which is 0, one channel in greys; the largest value of
    all, of either sign, is full colour. Of other numbers of channels the sum is shown, blue below 0, red above.

    >>> projection_pixels(np.array([[[1.0, 0.0]], [[-1.0, 0.0]], [[0.0, 0.0]]])).tolist()
    [[[255, 0, 128], [128, 128, 128]]]
    """
    largest = float(np.abs(values).max(initial=0.0)) or 1.0
    if values.shape[0] in (1, 3):
        values = np.broadcast_to(values, (3, *values.shape[1:]))
        return np.rint(GREY + GREY * (values / largest)).astype(np.uint8).transpose(1, 2, 0)
    total = values.sum(axis=0)
    limit = float(np.abs(total).max(initial=0.0)) or 1.0
    return paint(total, -limit, limit, palette(signed=True))


def colour_words(channels: int) -> str:
    """The meaning of the colours of a projection with so many channels."""
    if channels in (1, 3):
        return "grey is 0, the largest value of each projection is full colour"
    return f"the sum over the {channels} channels: white is 0, red above, blue below, the largest is full colour"


def _largest(values: NDArray[Any]) -> float:
    """The value that is full colour."""
    shown = values if values.shape[0] in (1, 3) else values.sum(axis=0)
    return float(np.abs(shown).max(initial=0.0))


def on_field(values: NDArray[Any], box: Box, field: Box, size: tuple[int, int], enlargement: Enlargement) -> Any:
    """A projection drawn on its whole field, hatched outside of the image of (width, height)."""
    width, height = size
    whole = np.zeros((values.shape[0], height, width), dtype=np.float64)
    whole[:, box[0] : box[2], box[1] : box[3]] = values
    return continued(Image.fromarray(projection_pixels(whole)), field, enlargement)


def projection_picture(
    picture: Image.Image,
    values: NDArray[Any],
    box: Box,
    field: Box,
    title: str,
    words: tuple[tuple[str, ...], tuple[str, ...]],
) -> Image.Image:
    """The crop of the picture at the field, and beside it the projection.

    Arguments: values: (channel, row, column) on `box`. words: the texts below the crop and the projection.
    """
    enlargement = Enlargement.of(field, SHOWN_PX)
    picture = picture.convert("RGB")
    crop = Image.fromarray(continued(picture, field, enlargement))
    drawn = Image.fromarray(on_field(values, box, field, picture.size, enlargement))
    largest = _largest(values)
    meaning = f"{colour_words(values.shape[0])}: {number(largest)}"
    if not values.any():
        meaning = NOTHING
    seen = "it sees nothing but padding" if box[0] == box[2] else enlargement.words
    below = (*words[0], box_words(field, picture.size), seen)
    return side_by_side(title, [Panel(crop, below), Panel(drawn, (*words[1], meaning))])
