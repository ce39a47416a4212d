"""An occlusion's drops as a heat map over the picture, with their scale below it.

Full colour stands for the whole score, so that a change of 2% is drawn faintly. On demand the largest effect has full
colour, and small ones can be told apart.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from featmap.errors import SettingError
from featmap.methods.shared.occlusion import share_words
from featmap.view.drawing.palette import paint, palette
from featmap.view.drawing.panel import Panel, side_by_side
from featmap.view.drawing.text import font, number
from featmap.view.sheets.header import TEXT_PX

SHOWN_PX = 448
OPACITY = 0.62
BAR_PX = 12
GAP_PX = 6
MARKS_PX = 30
KINDS = ("score", "effect")


def check_colours(kind: str) -> None:
    """Raises SettingError for a word that names no scale of an occlusion's colours."""
    if kind not in KINDS:
        remedy = "Use 'score' for colours that reach to the whole score, or 'effect' to the largest effect."
        raise SettingError(f"There is no scale of colours {kind!r} for an occlusion.", remedy)


def occlusion_picture(
    picture: Image.Image,
    heat: NDArray[np.float64],
    score: float,
    title: str,
    words: tuple[str, ...],
    *,
    colours: str = "score",
) -> Image.Image:
    """The picture, and beside it the picture under the heat: red where the score falls, blue where it rises.

    Arguments: heat: the drop at every pixel (row, column). words: what was done, one line each. colours: what full
    colour stands for: the whole "score", so that pictures can be compared, or the largest "effect" in this one.
    """
    check_colours(colours)
    factor = max(1, SHOWN_PX // max(picture.size))
    size = (picture.width * factor, picture.height * factor)
    plain = picture.convert("RGB").resize(size, Image.Resampling.NEAREST)
    largest = float(np.abs(heat).max())
    limit = largest if colours == "effect" else max(largest, abs(score))
    painted = Image.fromarray(paint(heat, -(limit or 1.0), limit or 1.0, palette(signed=True))).resize(
        size, Image.Resampling.NEAREST
    )
    laid_over = Image.blend(plain.convert("L").convert("RGB"), painted, OPACITY)
    said = _scale_words(largest, limit, score)
    return side_by_side(title, [Panel(plain, words[:2]), Panel(_with_bar(laid_over, limit), (*words[2:], *said))])


def _scale_words(largest: float, limit: float, score: float) -> tuple[str, ...]:
    if not largest:
        return ("no window changes the score",)
    said = (f"red: the score falls, up to {number(limit)}", "blue: it rises, by as much")
    if limit == abs(score) and largest < limit:
        return (*said, f"full colour is the whole score; the largest value shown is {number(largest)}")
    share = f", {share_words(largest / abs(score))}" if score else ""
    return (*said, f"full colour is the largest value shown{share}")


def _with_bar(picture: Image.Image, limit: float) -> Image.Image:
    """The picture with a bar of its colours below it, and the drops at both ends and at 0."""
    if not limit:
        return picture
    drops = np.linspace(-1, 1, picture.width)[None].repeat(BAR_PX, 0)
    colours = Image.fromarray(paint(drops, -1, 1, palette(signed=True)))
    over_grey = Image.blend(Image.new("RGB", colours.size, "#808080"), colours, OPACITY)
    page = Image.new("RGB", (picture.width, picture.height + BAR_PX + MARKS_PX), "white")
    page.paste(picture, (0, 0))
    page.paste(over_grey, (0, picture.height + GAP_PX))
    draw = ImageDraw.Draw(page)
    bottom, middle, right = page.height - 5, picture.width // 2, picture.width - 4
    marks = ((4, number(-limit), "ls"), (middle, "0", "ms"), (right, number(limit), "rs"))
    for left, mark, anchor in marks:
        draw.text((left, bottom), mark, "#444444", font(TEXT_PX), anchor=anchor)
    return page
