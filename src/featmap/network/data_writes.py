"""Does a forward put other numbers into its weights? What is written past torch's record would be lost in the graph."""

from __future__ import annotations

import sys
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from featmap.errors import CaptureRefused
from featmap.network.size_reads import is_plumbing

_TORCH = torch.__path__[0]
_OURS = str(Path(__file__).parent)


class DataWrites(TorchFunctionMode):
    """While active, `tensor.data = other` outside torch is refused."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__name__", "") == "__set__" and getattr(func, "__self__", None) is Tensor.data:
            writer = _writer(sys._getframe(1))  # pyright: ignore[reportPrivateUsage]
            if writer:
                raise CaptureRefused(
                    f"The forward sets a tensor's .data, which no graph can hold ({writer}).",
                    "Compute with a new tensor instead: functional.conv2d(x, self.conv.weight * mask).",
                )
        return func(*args, **(kwargs or {}))


def _writer(frame: FrameType | None) -> str:
    """File and line that set it; nothing where torch itself does."""
    while frame is not None and (frame.f_code.co_filename.startswith(_OURS) or is_plumbing(frame.f_code.co_filename)):
        frame = frame.f_back
    if frame is None or frame.f_code.co_filename.startswith(_TORCH):
        return ""
    return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"
