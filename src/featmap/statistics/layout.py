"""The layout of maps in memory that compiled passes read: float32, channels last."""

from __future__ import annotations

import torch
from jaxtyping import Float, Float32
from torch import Tensor


def laid_out(maps: Float[Tensor, "image channel row column"]) -> Float32[Tensor, "image channel row column"]:
    """Maps (image, channel, row, column) on the CPU as compiled passes read them: float32, channels last.

    Keep the tensor alive as long as its address is read.
    """
    if maps.dtype != torch.float32:
        maps = maps.float()
    return maps.contiguous(memory_format=torch.channels_last)
