"""The lines at which a model's own code reads the size of a tensor.

A number that a model computes from a size (padding to a multiple of the stride, say) is a constant in the captured
graph. Some of torch's own Python functions do the same for the model. A graph whose model reads no sizes is valid for
every input size; otherwise the model is captured again for another size wherever such a constant could matter.
"""

from __future__ import annotations

import os
import sys
from functools import cache
from pathlib import Path
from types import FrameType, FunctionType
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from featmap.graph.graph import SizeRead

_READING = ("size", "__len__", "numel", "nelement", "stride")
_TORCH = torch.__path__[0] + os.sep
_OURS = str(Path(__file__).parent)


class SizeReads(TorchFunctionMode):
    """While active, notes every line outside torch that reads a size."""

    def __init__(self) -> None:
        super().__init__()
        self._found: dict[SizeRead, None] = {}

    @property
    def found(self) -> tuple[SizeRead, ...]:
        return tuple(self._found)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if _reads_size(func):
            self._note(sys._getframe(1))  # pyright: ignore[reportPrivateUsage]
        elif _computes_size(func, args, kwargs or {}):
            self._note(sys._getframe(1), also_in_torch=True)  # pyright: ignore[reportPrivateUsage]
        return func(*args, **(kwargs or {}))

    def _note(self, frame: FrameType | None, *, also_in_torch: bool = False) -> None:
        line = calling_line(frame, also_in_torch=also_in_torch)
        if line is not None:
            self._found[line] = None


def calling_line(frame: FrameType | None, *, also_in_torch: bool = False) -> SizeRead | None:
    """The line that calls a torch function watched by a mode; None where torch's own code calls it."""
    while frame is not None and _is_plumbing(frame.f_code.co_filename):
        frame = frame.f_back
    if frame is None or (frame.f_code.co_filename.startswith(_TORCH) and not also_in_torch):
        return None
    return SizeRead(frame.f_code.co_filename, frame.f_lineno)


def _reads_size(func: Any) -> bool:
    name = getattr(func, "__name__", "")
    return name in _READING or (name == "__get__" and getattr(func.__self__, "__name__", "") == "shape")


def _computes_size(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether one of torch's own Python functions computes a size from its input's size without a mode noticing.

    These are resizes by a factor that is converted to a size first, adaptive pools that keep an axis, and functions
    whose results are as large as a fraction of their input.
    """
    name = getattr(func, "__name__", "").lstrip("_")
    if name == "interpolate":
        given = dict(zip(_INTERPOLATE, args, strict=False)) | kwargs
        by_factor = given.get("size") is None
        return by_factor and (given.get("mode") == "area" or bool(given.get("recompute_scale_factor")))
    if name.startswith("adaptive_"):
        sizes = kwargs.get("output_size", args[1] if len(args) > 1 else 1)
        return sizes is None or (isinstance(sizes, list | tuple) and None in sizes)
    return name.startswith(_SHARES) and isinstance(func, FunctionType)


_INTERPOLATE = ("input", "size", "scale_factor", "mode", "align_corners", "recompute_scale_factor")
_SHARES = ("fractional_max_pool", "max_unpool", "unpool_output_size", "stft", "istft")


@cache
def _is_plumbing(file: str) -> bool:
    """Whether a file's frames only sit between caller and mode: torch's and our function modes, and tensors' `len`."""
    parts = ("overrides", "_export", "/export/", "/fx/", "_subclasses", "_python_dispatch", "_tensor.py")
    return file.startswith(_OURS) or (file.startswith(_TORCH) and any(part in file for part in parts))
