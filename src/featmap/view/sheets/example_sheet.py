"""Pages of examples: a block per map with its crops and, where there are any, their projections."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray
from PIL import Image, ImageDraw

from featmap.view.drawing.enlarge import Box, Enlargement, continued
from featmap.view.drawing.hatch import hatch
from featmap.view.drawing.panel import GAP_PX, MARGIN_PX
from featmap.view.drawing.text import FAINT, INK, shortened, width_px, wrapped, write
from featmap.view.pictures.projection import on_field
from featmap.view.sheets.header import FRAME, LINE_PX, TEXT_PX, TITLE_PX


@dataclass(frozen=True, eq=False)
class Shown:
    """One example of a sheet: what the unit sees of the image, and its projection where there is one.

    `picture` is None where the image is no longer available.
    """

    picture: Image.Image | None
    values: NDArray[Any] | None
    box: Box
    field: Box


BLOCK_PX = 216
TILE_GAP_PX = 2
BETWEEN_PX = 8
ACROSS, ACROSS_SINGLE = 2, 4
"""Blocks in a row: a page of a thousand pixels keeps its text legible in a report."""
DOWN = 6
LABEL_PX = 22


def example_sheet(
    title: str, lines: Sequence[str], maps: Sequence[tuple[str, str, Sequence[Shown]]], *, per_page: int | None = None
) -> list[Image.Image]:
    """Pages with a block for every map: the crops of its examples, and beside them their projections, if they have any.

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
    is_double = any(example.values is not None for _, _, examples in maps for example in examples)
    pair = 2 * block + BETWEEN_PX if is_double else block
    across = min(ACROSS if is_double else ACROSS_SINGLE, len(maps))
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
        room = pair - width_px(note, TEXT_PX) - 12
        write(draw, (left, down + 13), shortened(label, room, TEXT_PX + 1, bold=True), TEXT_PX + 1, INK, bold=True)
        write(draw, (left + pair, down + 13), note, TEXT_PX, FAINT, anchor="rs")
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
        for picture, across in zip(_tiles(examples[at], tile), (left, left + shift), strict=False):
            page.paste(picture, (across, top))
            ImageDraw.Draw(page).rectangle((across, top, across + tile - 1, top + tile - 1), outline=FRAME)


def _tiles(example: Shown, tile: int) -> list[Image.Image]:
    """Crop and projection of an example on a square tile; fields that are not square keep their shape."""
    if example.picture is None:
        return [Image.fromarray(hatch(tile, tile))]
    enlargement = Enlargement.of(example.field, tile)
    picture = example.picture.convert("RGB")
    pixels = [continued(picture, example.field, enlargement)]
    if example.values is not None:
        pixels.append(on_field(example.values, example.box, example.field, picture.size, enlargement))
    return [_centred(Image.fromarray(part), tile) for part in pixels]


def _centred(part: Image.Image, tile: int) -> Image.Image:
    """A picture as large as fits on a white square."""
    made = Image.new("RGB", (tile, tile), "white")
    if part.width < tile - 1 and part.height < tile - 1:
        factor = tile / max(part.size)
        part = part.resize((round(part.width * factor), round(part.height * factor)), Image.Resampling.NEAREST)
    made.paste(part, ((tile - part.width) // 2, (tile - part.height) // 2))
    return made
