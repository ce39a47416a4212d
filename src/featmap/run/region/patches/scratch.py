"""Memory for gathered positions, used again as soon as nothing refers to it.

Fresh memory is dear: the system clears every page of it at first use, which takes longer than the copy itself.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from math import prod

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

_DTYPES = {torch.float32: np.float32, torch.float64: np.float64}
_LARGEST_WASTE = 2
"""A block serves what takes at least this fraction of it."""


class Scratch:
    """Blocks of memory lent to tensors; each comes back when the last tensor that lies in it is gone."""

    def __init__(self) -> None:
        self._free: list[npt.NDArray[np.uint8]] = []

    def empty(self, shape: Sequence[int], like: Tensor) -> Tensor:
        """A tensor of this shape with anything in it, of another's dtype and device."""
        dtype = _DTYPES.get(like.dtype)
        size_bytes = prod(shape) * like.element_size()
        if like.device.type != "cpu" or dtype is None or not size_bytes:
            return like.new_empty(tuple(shape))
        block = self._block(size_bytes)
        # The tensor keeps this very array alive, and so do all its views: when it goes, nobody can see the block.
        lent = block[:size_bytes].view(dtype)
        weakref.finalize(lent, self._free.append, block).atexit = False
        return torch.from_numpy(lent).view(tuple(shape))

    def _block(self, size_bytes: int) -> npt.NDArray[np.uint8]:
        fitting = [at for at, block in enumerate(self._free) if size_bytes <= len(block) <= _LARGEST_WASTE * size_bytes]
        if not fitting:
            return np.empty(size_bytes, dtype=np.uint8)
        return self._free.pop(min(fitting, key=lambda at: len(self._free[at])))
