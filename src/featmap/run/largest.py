"""Which are the largest values of each channel, over many maps? Kept exactly, a fixed number per channel.

A value enters only where it exceeds what a full channel already holds, so that most maps are merely compared.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from featmap.run.threads import as_many_threads_as_torch, threads_of_torch

Floats = NDArray[np.float32]


class LargestValues:
    """The `count` largest values of each of some channels.

    `floor`: values of a channel up to this are left out, because as many larger ones are known elsewhere.

    >>> kept, maps = LargestValues(1, 2), torch.tensor([[[[3.0, 1.0], [2.0, 3.0]]]])
    >>> kept.add(maps, maps.amax((2, 3)).numpy())
    >>> kept.values()
    array([[3., 3.]], dtype=float32)
    """

    def __init__(self, channels: int, count: int, floor: Floats | None = None) -> None:
        self.count = count
        self._kept = np.empty((channels, 2 * count), np.float32)
        self._filled = np.zeros(channels, np.int64)
        self._floor = np.full(channels, -np.inf, np.float32) if floor is None else floor.astype(np.float32, copy=True)

    def add(self, maps: Tensor, maximum: Floats) -> None:
        """Takes in maps (image, channel, row, column), whose maxima (image, channel) are known."""
        # numba takes a second to import.
        from featmap.run.largest_pass import push

        if not (maximum > self._floor).any():
            return
        apart = maps.detach().permute(0, 2, 3, 1).flatten(1, 2)
        if apart.device.type != "cpu":
            # Only what may enter leaves the device.
            floor = torch.from_numpy(self._floor).to(apart.device)
            apart = apart[(apart > floor).any(dim=2)].cpu()[None]
            maximum = maximum.max(axis=0, keepdims=True)
        values = apart.float().contiguous().numpy()
        with as_many_threads_as_torch():
            push(values, maximum, self._kept, self._filled, self._floor, self.count, threads_of_torch())

    def values(self) -> Floats:
        """The largest values (channel, rank), largest first.

        As many ranks as the channel with the most has, at most `count`; NaN where a channel has fewer.
        """
        negative = -self._kept[:, : self._filled.max()]
        negative[np.arange(negative.shape[1]) >= self._filled[:, None]] = np.nan
        # NaN sorts to the end.
        negative.sort(axis=1)
        return -negative[:, : self.count]


def joined(one: Floats, other: Floats) -> Floats:
    """The largest of both, arrays (channel, rank), largest first, NaN where there are fewer; as many ranks as `one`.

    >>> joined(np.array([[5, 3, np.nan]], np.float32), np.array([[4]], np.float32))
    array([[5., 4., 3.]], dtype=float32)
    """
    from featmap.run.largest_pass import join

    found = np.empty_like(one)
    with as_many_threads_as_torch():
        join(one, other, found)
    return found
