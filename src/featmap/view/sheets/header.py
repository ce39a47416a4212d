"""The header of a page of maps: title, the statements that explain the colours, and the colour bar."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from featmap.view.drawing.palette import BROKEN, Palette
from featmap.view.drawing.text import FAINT, INK, shortened, wrapped, write
from featmap.view.drawing.text import width_px as text_width_px

TITLE_PX = 18
TEXT_PX = 12
LINE_PX = 18
BAR_PX = (240, 12)
FRAME = (200, 203, 208)


@dataclass(frozen=True, eq=False)
class Legend:
    """A colour bar and the texts at its low end, at 0 and at its high end."""

    colours: Palette
    marks: tuple[str, str, str]
    broken: bool


@dataclass(frozen=True, eq=False)
class Header:
    """Title, turn of the page and statements, broken into lines for one width."""

    title: str
    turn: str
    lines: tuple[str, ...]
    legend: Legend | None
    width_px: int
    beside: bool

    @property
    def height_px(self) -> int:
        """The height of the text, and of the colour bar where that stands below it."""
        text = TITLE_PX + 8 + LINE_PX * len(self.lines)
        return text if self.beside or self.legend is None else text + _below_px(self.legend)


def lay_out(title: str, turn: str, lines: list[str], legend: Legend | None, width_px: int) -> Header:
    """The header for a page of one width: the colour bar stands at the right, or below where the page is narrow."""
    beside = width_px >= 3 * BAR_PX[0] and legend is not None
    room = width_px - BAR_PX[0] - 48 if beside else width_px
    broken = [piece for line in lines for piece in wrapped(line, room, TEXT_PX)]
    shown = shortened(title, room - _turn_px(turn), TITLE_PX, bold=True)
    return Header(shown, turn, tuple(broken), legend, width_px, beside)


def _turn_px(turn: str) -> int:
    return text_width_px(turn, TEXT_PX) + 14


def draw_header(page: Image.Image, header: Header, left: int, top: int) -> None:
    """Draws the header with its top left corner there."""
    draw = ImageDraw.Draw(page)
    baseline = top + TITLE_PX - 3
    write(draw, (left, baseline), header.title, TITLE_PX, INK, bold=True)
    after = left + text_width_px(header.title, TITLE_PX, bold=True) + 14
    write(draw, (after, baseline), header.turn, TEXT_PX, FAINT)
    for row, line in enumerate(header.lines):
        write(draw, (left, top + TITLE_PX + 8 + LINE_PX * row + 12), line, TEXT_PX, FAINT)
    if header.legend is None:
        return
    if header.beside:
        draw_legend(page, header.legend, left + header.width_px - BAR_PX[0], top + 4)
    else:
        draw_legend(page, header.legend, left, top + header.height_px - _below_px(header.legend) + 8)


def _below_px(legend: Legend) -> int:
    return 56 if legend.broken else 36


def draw_legend(page: Image.Image, legend: Legend, left: int, top: int) -> None:
    """Draws the colour bar, its marks and, where there are such values, the colour of NaN and infinity."""
    width, height = BAR_PX
    draw = ImageDraw.Draw(page)
    levels = np.rint(np.linspace(0, len(legend.colours.colours) - 1, width)).astype(np.intp)
    bar = np.broadcast_to(legend.colours.colours[levels], (height, width, 3))
    draw.rectangle((left - 1, top - 1, left + width, top + height), outline=FRAME)
    page.paste(Image.fromarray(np.ascontiguousarray(bar)), (left, top))
    _marks(draw, legend, left, top + height + 15)


def _marks(draw: ImageDraw.ImageDraw, legend: Legend, left: int, baseline: int) -> None:
    width, _ = BAR_PX
    low, middle, high = legend.marks
    for text, place, anchor in ((low, 0, "ls"), (middle, width / 2, "ms"), (high, width, "rs")):
        write(draw, (left + place, baseline), text, TEXT_PX - 1, INK, anchor=anchor)
    if legend.broken:
        text = "NaN or infinite"
        start = left + width - text_width_px(text, TEXT_PX - 1)
        draw.rectangle((start - 16, baseline + 8, start - 6, baseline + 18), fill=BROKEN)
        write(draw, (start, baseline + 17), text, TEXT_PX - 1, INK)
