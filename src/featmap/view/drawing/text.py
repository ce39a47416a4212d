"""Text in pictures, in the fonts that come with matplotlib, the same on every machine."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path

from PIL import ImageDraw, ImageFont

INK = (28, 30, 34)
FAINT = (92, 98, 108)
MINUS = "\N{MINUS SIGN}"


@cache
def font(size_px: int, *, bold: bool = False) -> ImageFont.FreeTypeFont:
    """The bundled DejaVu Sans at one size."""
    import matplotlib

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    path = Path(matplotlib.get_data_path(), "fonts", "ttf", name)
    return ImageFont.truetype(str(path), size_px, layout_engine=ImageFont.Layout.BASIC)


def write(
    draw: ImageDraw.ImageDraw,
    place: tuple[float, float],
    text: str,
    size_px: int,
    colour: tuple[int, int, int] = INK,
    *,
    bold: bool = False,
    anchor: str = "ls",
) -> None:
    """Writes one line; `place` is (column, row) of the anchor, which is the left end of the baseline."""
    draw.text(place, text, font=font(size_px, bold=bold), fill=colour, anchor=anchor)


def width_px(text: str, size_px: int, *, bold: bool = False) -> int:
    """The width of a line."""
    return math.ceil(font(size_px, bold=bold).getlength(text))


def number(value: float, digits: int = 3) -> str:
    """A value in few characters: significant digits, no trailing zeros, a real minus sign.

    >>> [number(value) for value in (0.0, 0.012345, 12.0, 1234.5678, 2.5e-7, float("nan"))]
    ['0', '0.0123', '12', '1235', '2.5e-7', 'NaN']
    """
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("inf" if value > 0 else f"{MINUS}inf")
    if value == 0:
        return "0"
    text = _plain(value, digits) if 1e-4 <= abs(value) < 1e6 else _scientific(value, digits)
    return text.replace("-", MINUS, 1) if value < 0 else text


def _plain(value: float, digits: int) -> str:
    places = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    text = f"{value:.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _scientific(value: float, digits: int) -> str:
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
    return f"{mantissa}e{int(exponent)}"


def extent(low: float, high: float, digits: int = 3) -> str:
    """Two ends of a range.

    >>> extent(0, 12.5)
    '0 to 12.5'
    """
    return f"{number(low, digits)} to {number(high, digits)}"


def plural(count: int, word: str) -> str:
    """A count with its noun.

    >>> plural(1, "map"), plural(2048, "map")
    ('1 map', '2048 maps')
    """
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def fitting(texts: list[str], room_px: int, size_px: int) -> str:
    """The first text that fits; nothing if none does."""
    return next((text for text in texts if width_px(text, size_px) <= room_px), "")


def wrapped(text: str, room_px: int, size_px: int, *, bold: bool = False) -> list[str]:
    """The text in lines that fit, broken at spaces; a word that is too long is cut with an ellipsis."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and width_px(longer, size_px, bold=bold) <= room_px:
            lines[-1] = longer
        else:
            lines.append(shortened(word, room_px, size_px, bold=bold))
    return lines


def shortened(text: str, room_px: int, size_px: int, *, bold: bool = False) -> str:
    """The text, cut in its middle with an ellipsis where it does not fit: both ends of an address matter."""
    if width_px(text, size_px, bold=bold) <= room_px:
        return text
    for kept in range(len(text) - 1, 1, -1):
        cut = f"{text[: kept - kept // 2]}…{text[len(text) - kept // 2 :]}"
        if width_px(cut, size_px, bold=bold) <= room_px:
            return cut
    return "…"
