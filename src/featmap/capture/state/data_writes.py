"""The refusal of writes to a tensor's `.data`, which torch does not record, so that the graph would miss them."""

from __future__ import annotations

import sys
from typing import Any

from torch import Tensor
from torch.overrides import TorchFunctionMode

from featmap.capture.size_reads import calling_line
from featmap.errors import CaptureRefused


class DataWrites(TorchFunctionMode):
    """While active, `tensor.data = other` outside torch is refused."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__name__", "") == "__set__" and getattr(func, "__self__", None) is Tensor.data:
            writer = calling_line(sys._getframe(1))  # pyright: ignore[reportPrivateUsage]
            if writer is not None:
                raise CaptureRefused(
                    f"The forward sets a tensor's .data, which no graph can hold ({writer}).",
                    "Compute with a new tensor instead: functional.conv2d(x, self.conv.weight * mask).",
                )
        return func(*args, **(kwargs or {}))
