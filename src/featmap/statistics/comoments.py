"""Co-moments of the maps of a layer: counts, means and sums of products of deviations from the mean, in float64.

Parts are merged by the formula of Chan, Golub and LeVeque (1979), so many parts give what one pass over all would.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float, Float32, Float64
from torch import Tensor

from featmap.statistics.array_types import Doubles
from featmap.statistics.layout import laid_out
from featmap.statistics.positions import chosen_places

_ROWS_AT_ONCE = 1024


@dataclass(frozen=True, eq=False)
class CoMoments:
    """The `mean` (channel) and summed `products` (channel, channel) of deviations from it over `count` positions."""

    count: int
    mean: Float64[Doubles, " channel"]
    products: Float64[Doubles, "channel channel"]

    @classmethod
    def none(cls, channels: int) -> CoMoments:
        return cls(0, np.zeros(channels), np.zeros((channels, channels)))

    def merged(self, other: CoMoments) -> CoMoments:
        """The co-moments of both together."""
        if not self.count or not other.count:
            return other if not self.count else self
        count = self.count + other.count
        apart = other.mean - self.mean
        products = self.products + other.products
        products += np.outer(apart, apart) * (self.count * other.count / count)
        return CoMoments(count, self.mean + apart * (other.count / count), products)

    def correlation(self) -> Float64[Doubles, "channel channel"]:
        """Pearson's correlation of all pairs of channels; that of a constant channel with any, even itself, is 0."""
        # Rounding leaves a small variance, positive or negative, where there is none.
        spread = np.sqrt(np.maximum(np.diag(self.products), 0.0))
        scale = np.abs(self.mean) * np.sqrt(max(self.count, 1))
        is_constant = spread <= 1e-9 * scale
        divisor = np.where(is_constant, 1.0, spread)
        found = np.clip(self.products / divisor / divisor[:, None], -1.0, 1.0)
        found[is_constant] = 0.0
        found[:, is_constant] = 0.0
        return found


class CoMomentsOfMaps:
    """Collects co-moments over `places` positions of each map, evenly spread, and different for every image."""

    def __init__(self, channels: int, places: int) -> None:
        self.places = places
        self._shift: Tensor | None = None
        self._waiting: list[Tensor] = []
        self._count_waiting = self._count = 0
        self._sum = torch.zeros(channels, dtype=torch.float64)
        self._products = torch.zeros(channels, channels, dtype=torch.float64)

    def add(self, maps: Float[Tensor, "image channel row column"], first: int) -> None:
        """Adds maps (image, channel, row, column); the images' numbers, from `first` on, decide the positions."""
        self.add_rows(self.rows(maps, first))

    def rows(self, maps: Float[Tensor, "image channel row column"], first: int) -> Float32[Tensor, "position channel"]:
        """A copy of the values that `add` would add, (position, channel); changes nothing here."""
        if maps.device.type == "cpu":
            return self._rows_here(maps, first)
        rows = maps.detach().float().permute(0, 2, 3, 1).flatten(0, 2)
        every = maps.shape[2] * maps.shape[3]
        starts = range(0, len(rows), every)
        taken = [chosen_places(every, self.places, first + image) + start for image, start in enumerate(starts)]
        return rows.index_select(0, torch.as_tensor(np.concatenate(taken)).to(rows.device))

    def _rows_here(
        self, maps: Float[Tensor, "image channel row column"], first: int
    ) -> Float32[Tensor, "position channel"]:
        maps = laid_out(maps)
        images, channels, rows, columns = maps.shape
        found = torch.empty(images * self.places, channels)
        _compiled()(maps.data_ptr(), images, rows * columns, channels, first, self.places, found.data_ptr())
        return found

    def add_rows(self, rows: Float32[Tensor, "position channel"]) -> None:
        """Adds values (position, channel)."""
        self._waiting.append(rows)
        self._count_waiting += len(rows)
        if self._count_waiting >= _ROWS_AT_ONCE:
            self._multiply()

    def _multiply(self) -> None:
        rows = torch.cat(self._waiting).double()
        if self._shift is None:
            # Deviations from a value near the mean lose no digits.
            self._shift = rows.mean(dim=0)
            self._sum, self._products = self._sum.to(rows.device), self._products.to(rows.device)
        rows -= self._shift
        self._products.addmm_(rows.T, rows)
        self._sum += rows.sum(dim=0)
        self._count += len(rows)
        self._waiting, self._count_waiting = [], 0

    def found(self) -> CoMoments:
        """The co-moments of everything that was added."""
        if self._waiting:
            self._multiply()
        if self._shift is None:
            return CoMoments.none(len(self._sum))
        total, products = self._sum.cpu().numpy(), self._products.cpu().numpy()
        products = products - np.outer(total, total) / self._count
        return CoMoments(self._count, self._shift.cpu().numpy() + total / self._count, products)


@lru_cache(maxsize=1)
def _compiled() -> Callable[..., None]:
    # numba takes a second to import.
    from featmap.statistics.comoments_pass import gather

    return gather
