"""Figures of a report: pictures as data inside the page, described in words, scrolling where too wide."""

from __future__ import annotations

import base64
import html
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from featmap.errors import ImageMissing, SettingError
from featmap.images.formats import FORMATS
from featmap.view.formats.pictures import Png
from featmap.view.report.blocks import escaped, scrolling

KINDS = {".png": "png", ".gif": "gif", ".svg": "svg+xml", ".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp"}
WIDE_PX = 960


@dataclass(frozen=True, eq=False)
class Figure:
    """One picture, or the pages of one: the first is shown, the others unfold.

    A picture wider than the text is shown at its actual size after a click, by a checkbox that needs no script.
    """

    images: tuple[Image.Image | Path, ...]
    caption: str
    alt: str

    def html(self) -> str:
        """The pictures as data inside the page."""
        first, *others = [self._picture(image, number) for number, image in enumerate(self.images, 1)]
        more = ""
        if others:
            pages = "page 2" if len(others) == 1 else f"pages 2 to {len(self.images)}"
            more = f"<details><summary>{pages}</summary>{''.join(others)}</details>"
        words = f"<figcaption>{escaped(self.caption)}</figcaption>" if self.caption else ""
        return f"<figure>{first}{more}{words}</figure>"

    def _picture(self, image: Image.Image | Path, number: int) -> str:
        kind, data, size = _data(image)
        described = self.alt or ("" if isinstance(image, Path) else str(image.info.get("Description", "")))
        page = f", page {number} of {len(self.images)}" if len(self.images) > 1 else ""
        alt = html.escape(f"{described or self.caption or 'picture'}{page}")
        width = f' style="--width: {size[0]}" width="{size[0]}" height="{size[1]}"' if size else ""
        source = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
        picture = f'<img{width} alt="{alt}" src="{source}">'
        if size and size[0] > WIDE_PX:
            picture = f'<label title="actual size"><input type="checkbox" aria-label="actual size">{picture}</label>'
        return scrolling("picture", "picture", picture)


def _data(image: Image.Image | Path) -> tuple[str, bytes, tuple[int, int] | None]:
    """Kind, bytes and size of a picture; a drawing in SVG has no size in pixels."""
    if isinstance(image, Image.Image):
        return "png", Png().encode(image), image.size
    if image.suffix.lower() not in KINDS:
        raise SettingError(
            f"'{image}' ends in {image.suffix!r}, a report shows {', '.join(KINDS)}.", "Convert the picture."
        )
    if not image.is_file():
        raise ImageMissing(f"There is no picture '{image}'.", "Check the path.")
    if image.suffix.lower() == ".svg":
        return KINDS[".svg"], image.read_bytes(), None
    with Image.open(image, formats=FORMATS) as opened:
        return KINDS[image.suffix.lower()], image.read_bytes(), opened.size
