"""Files of a sliding kernel, in the formats that can hold one."""

from __future__ import annotations

from pathlib import Path

from featmap.geometry import ConvolutionArithmetic
from featmap.view.formats.format import Content
from featmap.view.formats.table import format_for
from featmap.view.kernel.scene import kernel_scene
from featmap.view.output import write_files


def save_kernel(layer: ConvolutionArithmetic, path: str | Path) -> Path:
    """Draws a convolution's sliding kernel, animated, and returns the path.

    Raises: OutputError: a suffix of another kind, or the file cannot be written. SettingError: more cells than can be
    told apart.
    """
    form = format_for(Path(path), (Content.KERNEL,), "a sliding kernel is")
    return write_files({Path(path): form.encode(kernel_scene(layer))})[0]
