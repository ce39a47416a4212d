"""Formats of pictures: one page is one file."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from featmap.view.formats.format import Content, Format

if TYPE_CHECKING:
    from PIL import Image


class Png(Format):
    """PNG, which also holds what a picture says in words, as its title and description."""

    suffix = ".png"
    contents = (Content.PICTURE,)

    def encode(self, content: Image.Image) -> bytes:
        from PIL.PngImagePlugin import PngInfo

        info = PngInfo()
        for key in ("Title", "Description"):
            if key in content.info:
                info.add_text(key, str(content.info[key]))
        buffer = io.BytesIO()
        content.save(buffer, "PNG", pnginfo=info)
        return buffer.getvalue()
