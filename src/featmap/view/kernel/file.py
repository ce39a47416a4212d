"""Files of a sliding kernel: SVG or GIF, by the suffix."""

from __future__ import annotations

import contextlib
import secrets
from pathlib import Path

from featmap.errors import OutputError
from featmap.geometry import ConvolutionArithmetic
from featmap.view.kernel.scene import kernel_scene


def save_kernel(layer: ConvolutionArithmetic, path: str | Path) -> Path:
    """Draws a convolution's sliding kernel, animated, and returns the path.

    Raises: OutputError: a suffix other than .svg and .gif, or the file cannot be written.
        SettingError: more cells than can be told apart.
    """
    path = Path(path)
    ending = path.suffix.lower()
    if ending not in (".svg", ".gif"):
        raise OutputError(
            f"'{path}' ends in {ending!r}, a sliding kernel is drawn as .svg or .gif.",
            f"Use '{path.with_suffix('.svg')}' or '{path.with_suffix('.gif')}'.",
        )
    scene = kernel_scene(layer)
    if ending == ".svg":
        from featmap.view.kernel.svg import kernel_svg

        return write(path, kernel_svg(scene).encode())
    from featmap.view.kernel.gif import kernel_gif

    return write(path, kernel_gif(scene))


def write(path: Path, content: bytes) -> Path:
    """Writes a file whole or not at all."""
    part = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        part.write_bytes(content)
        part.replace(path)
    except OSError as error:
        raise OutputError(f"'{path}' cannot be written: {error.strerror}.", "Choose another path.") from error
    finally:
        # What cannot be removed must not hide why the writing failed.
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
    return path
