"""Pictures side by side: a title, each picture in a thin frame, and its caption below it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from featmap.errors import SettingError
from featmap.view.drawing.text import FAINT, INK, shortened, wrapped, write
from featmap.view.sheets.header import FRAME, LINE_PX, TEXT_PX, TITLE_PX

MARGIN_PX = 24
GAP_PX = 28
CAPTION_PX = 320
"""The least room for a caption: rows, columns and size of a box stand on one line."""


@dataclass(frozen=True, eq=False)
class Panel:
    """A picture with the sentences below it, one per paragraph, in a frame that may have a colour of its own."""

    picture: Image.Image
    caption: tuple[str, ...] = ()
    colour: tuple[int, int, int] | None = None

    @property
    def width_px(self) -> int:
        """A narrow picture leaves room for its caption."""
        return max(self.picture.width, CAPTION_PX if self.caption else 0)

    @property
    def lines(self) -> list[str]:
        """The caption in lines of the panel's width."""
        return [line for text in self.caption for line in wrapped(text, self.width_px, TEXT_PX)]


def as_picture(image: Image.Image | NDArray[Any]) -> Image.Image:
    """A colour picture from a PIL image, or from an array (row, column, channel) or (row, column) of bytes.

    Raises: SettingError: an array of another kind.
    """
    if isinstance(image, Image.Image):
        return image.convert("RGB")
    array = np.asarray(image)
    grey_or_colour = array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 3)
    if array.dtype != np.uint8 or not grey_or_colour or not array.size:
        raise SettingError(
            f"A picture needs an array (row, column, 3 channels) of uint8, got {array.dtype} {array.shape}.",
            "Scale values in 0..1 by 255 and convert them, and put the channels last.",
        )
    return Image.fromarray(array).convert("RGB")


def side_by_side(title: str, panels: Sequence[Panel]) -> Image.Image:
    """One picture of several, with their title above and their captions below.

    >>> side_by_side("crop and projection", [Panel(Image.new("RGB", (300, 200)), ("A crop.",))]).size
    (368, 309)
    """
    width = sum(panel.width_px for panel in panels) + GAP_PX * (len(panels) - 1)
    top = MARGIN_PX + (TITLE_PX + 16 if title else 0)
    height = max(panel.picture.height + 9 + LINE_PX * len(panel.lines) for panel in panels)
    page = Image.new("RGB", (width + 2 * MARGIN_PX, top + height + MARGIN_PX), "white")
    shown = shortened(title, width, TITLE_PX, bold=True)
    write(ImageDraw.Draw(page), (MARGIN_PX, MARGIN_PX + TITLE_PX - 3), shown, TITLE_PX, INK, bold=True)
    left = MARGIN_PX
    for panel in panels:
        _draw_panel(page, panel, left, top)
        left += panel.width_px + GAP_PX
    page.info.update(Title=title, Description="; ".join((title, *(text for panel in panels for text in panel.caption))))
    return page


def _draw_panel(page: Image.Image, panel: Panel, left: int, top: int) -> None:
    draw = ImageDraw.Draw(page)
    width, height = panel.picture.size
    edge = 2 if panel.colour else 1
    outer = (left - edge, top - edge, left + width + edge - 1, top + height + edge - 1)
    draw.rectangle(outer, outline=panel.colour or FRAME, width=edge)
    page.paste(panel.picture, (left, top))
    for row, line in enumerate(panel.lines):
        write(draw, (left, top + height + 21 + LINE_PX * row), line, TEXT_PX, FAINT)
