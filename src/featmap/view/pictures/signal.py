"""Pictures of answers about signals: curves one below the other over the same positions; and slices in grey."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from featmap.geometry import Box
from featmap.methods.shared.occlusion import share_words
from featmap.methods.shared.projection import NOTHING
from featmap.view.drawing.curve import COLOURS, PAPER, SECOND, ZERO, curve_pixels, lay_curve
from featmap.view.drawing.panel import MARGIN_PX
from featmap.view.drawing.text import FAINT, INK, extent, number, plural, shortened, wrapped, write
from featmap.view.pictures.occlusion import check_colours
from featmap.view.sheets.header import FRAME, LINE_PX, TEXT_PX, TITLE_PX

WIDTH_PX, HEIGHT_PX = 920, 170
MARK = (255, 243, 205)
"""Behind the positions that a unit can see."""


def grey_picture(values: NDArray[Any]) -> Image.Image:
    """A slice (channel, row, column) in greys, from its least value to its largest; the mean over its channels."""
    mean = np.asarray(values, np.float64).mean(axis=0)
    finite = mean[np.isfinite(mean)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    shares = np.nan_to_num((mean - low) / ((high - low) or 1.0))
    return Image.fromarray(np.rint(255 * np.clip(shares, 0, 1)).astype(np.uint8))


def occluded_signal(
    values: NDArray[Any], heat: NDArray[np.float64], score: float, title: str, words: Sequence[str], *, colours: str
) -> Image.Image:
    """A signal (channel, position), and below it at every position the mean drop of the windows over it.

    `colours`: what the full height stands for, the whole "score" or the largest "effect" in this signal.
    """
    check_colours(colours)
    largest = float(np.abs(heat).max(initial=0.0))
    limit = (largest if colours == "effect" else max(largest, abs(score))) or 1.0
    stands = "the whole score" if limit == abs(score) and largest < limit else "the largest value shown"
    said = ("above 0: the score falls; below: it rises", f"full height is {stands}, {number(limit)}")
    if not largest:
        said = ("no window changes the score",)
    share = f"; largest {number(largest)}, {share_words(largest / abs(score))}" if score and largest else ""
    drops = curve_pixels(heat, -limit, limit, HEIGHT_PX, WIDTH_PX, SECOND)
    rows = [(signal_pixels(values), _signal_words(values)), (drops, (*words[2:], f"{'; '.join(said)}{share}"))]
    return stacked(title, words[:2], rows)


def projected_signal(
    image: NDArray[Any], whole: NDArray[Any], box: Box, title: str, words: tuple[Sequence[str], Sequence[str]]
) -> Image.Image:
    """A signal (channel, position) with what a unit sees of it marked, and below it the projection."""
    seen = around(box, image.shape[1])
    image, whole, inside = image[:, seen.slices[0]], whole[:, seen.slices[0]], box.shift(-seen.starts[0])
    shown = signal_pixels(whole, inside, is_centred=bool(whole.any()))
    largest = float(np.abs(whole).max(initial=0.0))
    meaning = f"full height is {number(largest)}, the line is 0" if largest else NOTHING
    sees = "nothing but padding" if box.is_empty else box.words
    rows = [
        (signal_pixels(image, inside), (*words[0], f"marked: {sees}; shown: {seen.words}", *_signal_words(image))),
        (shown, (*words[1], meaning)),
    ]
    return stacked(title, (), rows)


def around(box: Box, count: int) -> Box:
    """The positions that are drawn: those of a box and as many on either side, or all where that is not much less."""
    margin = max(box.size[0], _LEAST_MARGIN)
    if box.is_empty or 4 * (box.size[0] + 2 * margin) > 3 * count:
        return Box.full((count,))
    return Box(box.starts[0] - margin, box.axes[0].stop + margin).clip(count)


_LEAST_MARGIN = 32


def signal_pixels(values: NDArray[Any], box: Box | None = None, *, is_centred: bool = False) -> NDArray[np.uint8]:
    """The channels of a signal (channel, position) as curves over one another, with a box of positions marked."""
    finite = np.where(np.isfinite(values), values, 0.0)
    low, high = min(float(finite.min()), 0.0), max(float(finite.max()), 0.0)
    if is_centred:
        high = max(-low, high)
        low = -high
    pixels = np.full((HEIGHT_PX, WIDTH_PX, 3), PAPER, np.uint8)
    if box is not None and not box.is_empty:
        count = values.shape[1]
        first, last = box.axes[0].start * WIDTH_PX // count, -(-box.axes[0].stop * WIDTH_PX // count)
        pixels[:, first : max(last, first + 1)] = MARK
    zero = HEIGHT_PX - 1 - round(-low / ((high - low) or 1.0) * (HEIGHT_PX - 1))
    pixels[zero] = ZERO
    for channel, curve in enumerate(values[: len(COLOURS)]):
        lay_curve(pixels, curve, low, high, COLOURS[channel])
    return pixels


def _signal_words(values: NDArray[Any]) -> tuple[str, ...]:
    finite = values[np.isfinite(values)]
    span = extent(float(finite.min()), float(finite.max())) if finite.size else "no finite value"
    channels = len(values)
    first = f", the first {len(COLOURS)} are drawn" if channels > len(COLOURS) else ""
    return (f"signal of {plural(values.shape[1], 'position')}, {plural(channels, 'channel')}{first}: {span}",)


def stacked(title: str, lines: Sequence[str], rows: Sequence[tuple[NDArray[np.uint8], Sequence[str]]]) -> Image.Image:
    """Drawings of one width below one another, each with its sentences below it."""
    width = rows[0][0].shape[1]
    said = [line for text in lines for line in wrapped(text, width, TEXT_PX)]
    texts = [[line for text in words for line in wrapped(text, width, TEXT_PX)] for _, words in rows]
    height = sum(pixels.shape[0] + 18 + LINE_PX * len(below) for (pixels, _), below in zip(rows, texts, strict=True))
    top = MARGIN_PX + TITLE_PX + 12 + LINE_PX * len(said)
    page = Image.new("RGB", (width + 2 * MARGIN_PX, top + height + MARGIN_PX), "white")
    draw = ImageDraw.Draw(page)
    shown = shortened(title, width, TITLE_PX, bold=True)
    write(draw, (MARGIN_PX, MARGIN_PX + TITLE_PX - 3), shown, TITLE_PX, INK, bold=True)
    for number_, line in enumerate(said):
        write(draw, (MARGIN_PX, MARGIN_PX + TITLE_PX + 14 + LINE_PX * number_), line, TEXT_PX, FAINT)
    for (pixels, _), below in zip(rows, texts, strict=True):
        edges = (MARGIN_PX - 1, top - 1, MARGIN_PX + width, top + pixels.shape[0])
        draw.rectangle(edges, outline=FRAME)
        page.paste(Image.fromarray(pixels), (MARGIN_PX, top))
        top += pixels.shape[0]
        for line in below:
            write(draw, (MARGIN_PX, top + 17), line, TEXT_PX, FAINT)
            top += LINE_PX
        top += 18
    page.info.update(
        Title=title, Description="; ".join((title, *lines, *(text for _, words in rows for text in words)))
    )
    return page
