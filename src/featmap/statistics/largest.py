"""The largest values of each channel over many maps: a fixed number per channel, kept exactly.

A value enters only where it exceeds the least value of a full channel, so that most maps are only compared.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from featmap.statistics.array_types import Floats
from featmap.statistics.layout import laid_out
from featmap.threads import share_threads


class LargestValues:
    """The `count` largest values of each of some channels.

    `floor`: values of a channel up to this are left out, because enough larger ones are known elsewhere.

    >>> kept, maps = LargestValues(1, 2), torch.tensor([[[[3.0, 1.0], [2.0, 3.0]]]])
    >>> kept.add(maps, maps.amax((2, 3)).numpy())
    >>> kept.values()
    array([[3., 3.]], dtype=float32)
    """

    def __init__(self, channels: int, count: int, floor: Float32[Floats, " channel"] | None = None) -> None:
        self.count = count
        self._kept = np.empty((channels, 2 * count), np.float32)
        self._filled = np.zeros(channels, np.int64)
        self._floor = np.full(channels, -np.inf, np.float32) if floor is None else floor.astype(np.float32, copy=True)

    def add(
        self, maps: Float[Tensor, "image channel row column"], maximum: Float32[Floats, "image map"], first: int = 0
    ) -> None:
        """Adds maps (image, channel, row, column), whose maxima are in `maximum` (image, map) from map `first` on."""
        in_turn, together, _ = _compiled()
        if maps.device.type != "cpu":
            maps, maximum, first = self._entering(maps), np.full((1, len(self._floor)), np.inf, np.float32), 0
        maps = laid_out(maps)
        where = (maps.data_ptr(), maps.shape[2] * maps.shape[3], maximum, first)
        kept = (self._kept, self._filled, self._floor, self.count)
        threads = share_threads()
        if threads < 2:
            in_turn(*where, *kept)
        else:
            together(*where, *kept, threads)

    def _entering(self, maps: Float[Tensor, "image channel row column"]) -> Float32[Tensor, "1 channel position 1"]:
        """The positions of maps on another device where some channel's value may enter; only these leave the device."""
        apart = maps.detach().permute(0, 2, 3, 1).flatten(0, 2)
        floor = torch.as_tensor(self._floor).to(apart.device)
        return apart[(apart > floor).any(dim=1)].cpu().T[None, :, :, None]

    def values(self) -> Float32[Floats, "channel rank"]:
        """The largest values (channel, rank), largest first.

        There are as many ranks as the fullest channel has, at most `count`; NaN where a channel has fewer.
        """
        found = np.full((len(self._kept), min(self._filled.max(), self.count)), np.nan, np.float32)
        for channel, filled in enumerate(self._filled.tolist()):
            # In place, since the array is as large as all of them: their order has no meaning.
            values = self._kept[channel, :filled]
            values.sort()
            found[channel, : min(filled, self.count)] = values[: -self.count - 1 : -1]
        return found


def joined(
    one: Float32[Floats, "channel rank"], other: Float32[Floats, "channel other_rank"]
) -> Float32[Floats, "channel rank"]:
    """The largest values of two arrays (channel, rank), largest first, padded with NaN, with as many ranks as `one`.

    >>> joined(np.array([[5, 3, np.nan]], np.float32), np.array([[4]], np.float32))
    array([[5., 4., 3.]], dtype=float32)
    """
    join, found = _compiled()[-1], np.empty_like(one)
    join(one, other, found)
    return found


@lru_cache(maxsize=1)
def _compiled() -> tuple[Callable[..., None], Callable[..., None], Callable[..., None]]:
    # numba takes a second to import.
    from featmap.statistics.largest_pass import join, push, push_in_turn

    return push_in_turn, push, join
