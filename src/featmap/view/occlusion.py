"""Where does an answer come from? The drops of an occlusion laid over the picture, with their scale beside it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from featmap.view.palette import paint, palette
from featmap.view.panel import Panel, side_by_side
from featmap.view.text import number

SHOWN_PX = 448
OPACITY = 0.62


def occlusion_picture(
    picture: Image.Image, heat: NDArray[np.float64], title: str, words: tuple[str, ...]
) -> Image.Image:
    """The picture, and beside it the picture under the heat: red where the score falls, blue where it rises.

    Arguments: heat: the drop at every pixel (row, column). words: what was done, one line each.
    """
    factor = max(1, SHOWN_PX // max(picture.size))
    size = (picture.width * factor, picture.height * factor)
    plain = picture.convert("RGB").resize(size, Image.Resampling.NEAREST)
    limit = float(np.abs(heat).max())
    colours = Image.fromarray(paint(heat, -(limit or 1.0), limit or 1.0, palette(signed=True))).resize(
        size, Image.Resampling.NEAREST
    )
    laid_over = Image.blend(plain.convert("L").convert("RGB"), colours, OPACITY)
    scale = (f"red: the score falls, up to {number(limit)}", "blue: it rises, by as much")
    if not limit:
        scale = ("no window changes the score",)
    return side_by_side(title, [Panel(plain, words[:2]), Panel(laid_over, (*words[2:], *scale))])
