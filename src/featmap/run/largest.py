"""Which are the largest values of each channel, over many maps? Kept exactly, a fixed number per channel.

A value enters only where it exceeds what a full channel already holds, so that most maps are merely compared.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from featmap.run.threads import as_many_threads_as_torch

Floats = NDArray[np.float32]


class LargestValues:
    """The `count` largest values of each of some channels.

    `floor`: values of a channel up to this are left out, because as many larger ones are known elsewhere.

    >>> kept = LargestValues(1, 2)
    >>> kept.add(torch.tensor([[[[3.0, 1.0], [2.0, 3.0]]]]))
    >>> kept.values()
    [array([3., 3.], dtype=float32)]
    """

    def __init__(self, channels: int, count: int, floor: Floats | None = None) -> None:
        self.count = count
        self._kept = np.empty((channels, 2 * count), np.float32)
        self._filled = np.zeros(channels, np.int64)
        self._floor = np.full(channels, -np.inf, np.float32) if floor is None else floor.astype(np.float32, copy=True)

    def add(self, maps: Tensor) -> None:
        """Takes in maps (image, channel, row, column)."""
        apart = maps.detach().permute(0, 2, 3, 1).reshape(-1, maps.shape[1])
        if apart.device.type != "cpu":
            # Only what may enter leaves the device.
            floor = torch.from_numpy(self._floor).to(apart.device)
            apart = apart[(apart > floor).any(dim=1)].cpu()
        with as_many_threads_as_torch():
            _kernel()(apart.float().contiguous().numpy(), self._kept, self._filled, self._floor, self.count)

    def values(self) -> list[Floats]:
        """The largest values of every channel, largest first; fewer than `count` where there were not as many."""
        filled = zip(self._kept, self._filled, strict=True)
        return [-np.sort(-row[:count], kind="stable")[: self.count] for row, count in filled]


@lru_cache(maxsize=1)
def _kernel() -> Any:
    from numba import njit, prange

    @njit(parallel=True, cache=True)
    def push(values, kept, filled, floor, count):  # type: ignore[no-untyped-def]
        places, channels = values.shape
        # A group of channels lies in one line of the cache.
        for group in prange((channels + 15) // 16):
            first, end = group * 16, min(group * 16 + 16, channels)
            for at in range(places):
                enters = 0
                for c in range(first, end):
                    enters += values[at, c] > floor[c]
                if enters == 0:
                    continue
                for c in range(first, end):
                    value = values[at, c]
                    if value > floor[c]:
                        kept[c, filled[c]] = value
                        filled[c] += 1
                        if filled[c] == kept.shape[1]:
                            ordered = np.partition(kept[c], count)
                            kept[c, :count] = ordered[count:]
                            filled[c] = count
                            floor[c] = ordered[count:].min()

    return push
