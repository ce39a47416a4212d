"""How does a projection look? Beside what the unit could see, grey where it is 0, as strong as its largest value."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from featmap.view.enlarge import Box, Enlargement, box_words, continued
from featmap.view.header import FRAME, LINE_PX, TEXT_PX, TITLE_PX
from featmap.view.palette import paint, palette
from featmap.view.panel import GAP_PX, MARGIN_PX, Panel, side_by_side
from featmap.view.text import FAINT, INK, fitting, number, shortened, wrapped, write

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
    """What the colours of a projection with so many channels say."""
    if channels in (1, 3):
        return "grey is 0, the largest value of each projection is full colour"
    return f"the sum over the {channels} channels: white is 0, red above, blue below, the largest is full colour"


def _largest(values: NDArray[Any]) -> float:
    """The value that is full colour."""
    shown = values if values.shape[0] in (1, 3) else values.sum(axis=0)
    return float(np.abs(shown).max(initial=0.0))


def _on_field(values: NDArray[Any], box: Box, field: Box, size: tuple[int, int], enlargement: Enlargement) -> Any:
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
    """The crop of the picture that the field is, and beside it the projection.

    Arguments: values: (channel, row, column) on `box`. words: what is said below the crop and the projection.
    """
    enlargement = Enlargement.of(field, SHOWN_PX)
    picture = picture.convert("RGB")
    crop = Image.fromarray(continued(picture, field, enlargement))
    drawn = Image.fromarray(_on_field(values, box, field, picture.size, enlargement))
    largest = _largest(values)
    meaning = f"{colour_words(values.shape[0])}: {number(largest)}"
    if not largest:
        meaning = "0 everywhere: nothing reaches the image"
    seen = "it sees nothing but padding" if box[0] == box[2] else enlargement.words
    below = (*words[0], box_words(field, picture.size), seen)
    return side_by_side(title, [Panel(crop, below), Panel(drawn, (*words[1], meaning))])


@dataclass(frozen=True, eq=False)
class Shown:
    """One example of a sheet: what the unit sees of the image, and its projection."""

    picture: Image.Image
    values: NDArray[Any]
    box: Box
    field: Box


BLOCK_PX = 216
TILE_GAP_PX = 2
BETWEEN_PX = 8
ACROSS = 3
DOWN = 4
LABEL_PX = 22


def projection_sheet(
    title: str, lines: Sequence[str], maps: Sequence[tuple[str, str, Sequence[Shown]]], *, per_page: int | None = None
) -> list[Image.Image]:
    """Pages with a block for every map: the crops of its examples, and beside them their projections.

    Arguments: maps: for each its label, a note, and its examples, strongest first.
    """
    count = per_page or ACROSS * DOWN
    starts = range(0, len(maps), count)
    return [
        _page(
            f"{title}, page {at + 1} of {len(starts)}" if len(starts) > 1 else title, lines, maps[first : first + count]
        )
        for at, first in enumerate(starts)
    ]


def _page(title: str, lines: Sequence[str], maps: Sequence[tuple[str, str, Sequence[Shown]]]) -> Image.Image:
    side = math.ceil(math.sqrt(max(1, *(len(examples) for _, _, examples in maps))))
    block = _block_px(side)
    pair = 2 * block + BETWEEN_PX
    across = min(ACROSS, len(maps))
    width = across * pair + (across - 1) * GAP_PX
    text = [line for part in lines for line in wrapped(part, max(width, 3 * BLOCK_PX), TEXT_PX)]
    top = MARGIN_PX + TITLE_PX + 10 + LINE_PX * len(text) + 12
    height = math.ceil(len(maps) / across) * (block + LABEL_PX + GAP_PX) - GAP_PX
    page = Image.new("RGB", (max(width, 3 * BLOCK_PX) + 2 * MARGIN_PX, top + height + MARGIN_PX), "white")
    draw = ImageDraw.Draw(page)
    shown = shortened(title, page.width - 2 * MARGIN_PX, TITLE_PX, bold=True)
    write(draw, (MARGIN_PX, MARGIN_PX + TITLE_PX - 3), shown, TITLE_PX, INK, bold=True)
    for row, line in enumerate(text):
        write(draw, (MARGIN_PX, MARGIN_PX + TITLE_PX + 22 + LINE_PX * row), line, TEXT_PX, FAINT)
    for at, (label, note, examples) in enumerate(maps):
        left = MARGIN_PX + (at % across) * (pair + GAP_PX)
        down = top + (at // across) * (block + LABEL_PX + GAP_PX)
        write(draw, (left, down + 13), label, TEXT_PX + 1, INK, bold=True)
        room = fitting([note], pair - 90, TEXT_PX)
        write(draw, (left + pair, down + 13), room, TEXT_PX, FAINT, anchor="rs")
        _block(page, examples, side, (left, down + LABEL_PX), block + BETWEEN_PX)
    page.info.update(Title=title, Description="; ".join((title, *lines)))
    return page


def _block_px(side: int) -> int:
    return side * _tile_px(side) + (side - 1) * TILE_GAP_PX


def _tile_px(side: int) -> int:
    return max(48, (BLOCK_PX - (side - 1) * TILE_GAP_PX) // side)


def _block(page: Image.Image, examples: Sequence[Shown], side: int, corner: tuple[int, int], shift: int) -> None:
    """The crops of one map in a square, and their projections in the same order beside them."""
    tile = _tile_px(side)
    for at in range(side * side):
        left = corner[0] + (at % side) * (tile + TILE_GAP_PX)
        top = corner[1] + (at // side) * (tile + TILE_GAP_PX)
        if at >= len(examples):
            return
        for picture, across in zip(_tiles(examples[at], tile), (left, left + shift), strict=True):
            page.paste(picture, (across, top))
            ImageDraw.Draw(page).rectangle((across, top, across + tile - 1, top + tile - 1), outline=FRAME)


def _tiles(example: Shown, tile: int) -> tuple[Image.Image, Image.Image]:
    """Crop and projection of an example on a square tile; fields that are no squares keep their shape."""
    enlargement = Enlargement.of(example.field, tile)
    picture = example.picture.convert("RGB")
    both = (
        continued(picture, example.field, enlargement),
        _on_field(example.values, example.box, example.field, picture.size, enlargement),
    )
    found: list[Image.Image] = []
    for pixels in both:
        made = Image.new("RGB", (tile, tile), "white")
        part = Image.fromarray(pixels)
        if part.width < tile - 1 and part.height < tile - 1:
            factor = tile / max(part.size)
            part = part.resize((round(part.width * factor), round(part.height * factor)), Image.Resampling.NEAREST)
        made.paste(part, ((tile - part.width) // 2, (tile - part.height) // 2))
        found.append(made)
    return found[0], found[1]
