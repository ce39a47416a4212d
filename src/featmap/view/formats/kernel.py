"""Formats of a sliding kernel, animated."""

from __future__ import annotations

from typing import TYPE_CHECKING

from featmap.view.formats.format import Content, Format

if TYPE_CHECKING:
    from featmap.view.kernel.scene import Scene


class Svg(Format):
    """Vectors that move."""

    suffix = ".svg"
    contents = (Content.KERNEL,)

    def encode(self, content: Scene) -> bytes:
        from featmap.view.kernel.svg import kernel_svg

        return kernel_svg(content).encode()


class Gif(Format):
    """Frames."""

    suffix = ".gif"
    contents = (Content.KERNEL,)

    def encode(self, content: Scene) -> bytes:
        from featmap.view.kernel.gif import kernel_gif

        return kernel_gif(content)
