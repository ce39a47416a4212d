"""An oracle of an index: naive answers to every question, from all maps, in plain numpy.

Every value is what the captured graph gives node by node for one image alone, rounded once to float32, as an index
holds it. With networks in float64 the answers are equal in every digit of a maximum, a position or a count: the order
of a sum matters far below that rounding.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from featmap.network.network import CapturedNetwork
from featmap.run.as_maps import as_maps
from featmap.testing.oracles import node_values

Floats = NDArray[np.floating[Any]]
Choose = Callable[[int, int], Sequence[int]]
"""The positions that count, given how many a map has and an image's number."""


@dataclass(frozen=True, eq=False)
class IndexOracle:
    """All maps (image, channel, row, column) of a dataset by address, and the label of every image, '' for none."""

    maps: dict[str, NDArray[np.float32]]
    labels: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, network: CapturedNetwork, images: Tensor, addresses: Iterable[str], labels: Sequence[str] = ()
    ) -> IndexOracle:
        """The maps of images (image, channel, row, column), one full run for each."""
        nodes = {address: network.place(address).node for address in addresses}
        found: dict[str, list[NDArray[np.float32]]] = {address: [] for address in nodes}
        dtype = network.sized.specs[network.graph.image_input].dtype  # type: ignore[union-attr]
        for image in images:
            with torch.no_grad():
                values = node_values(network.graph, network.tensors, image[None].to(dtype))
            for address, node in nodes.items():
                found[address].append(as_maps(network.sized, node, values[node])[0].float().numpy().copy())
        return cls({address: np.stack(maps) for address, maps in found.items()}, tuple(labels) or ("",) * len(images))

    @property
    def images(self) -> int:
        """How many images there are."""
        return len(self.labels)

    def values(self, address: str, channel: int) -> NDArray[np.float64]:
        """All values of one map, (image, position)."""
        maps = self.maps[address]
        return maps[:, channel].reshape(len(maps), -1).astype(np.float64)

    def maximum(self, address: str) -> NDArray[np.float32]:
        """The largest value (image, channel)."""
        return _apart(self.maps[address]).max(axis=2)

    def place(self, address: str) -> NDArray[np.int64]:
        """The first position of the largest value, counted row by row, (image, channel)."""
        return _apart(self.maps[address]).argmax(axis=2)

    def mean(self, address: str) -> NDArray[np.float64]:
        """The mean (image, channel)."""
        return _apart(self.maps[address]).astype(np.float64).mean(axis=2)

    def positive(self, address: str) -> NDArray[np.int64]:
        """How many values are above 0, (image, channel)."""
        return (_apart(self.maps[address]) > 0).sum(axis=2)

    def squares(self, address: str, channel: int) -> float:
        """The sum of squared distances of all values of a map from their mean."""
        values = self.values(address, channel)
        return float(((values - values.mean()) ** 2).sum())

    def at_bound(self, address: str, channel: int, bounds: tuple[float, float]) -> int:
        """How many values are at or beyond a bound."""
        low, high = (float(np.float32(bound)) for bound in bounds)
        values = self.values(address, channel)
        return int(((values <= low) | (values >= high)).sum()) if np.isfinite((low, high)).any() else 0

    def quantile(self, address: str, channel: int, share: str) -> float:
        """The smallest value with at least that share (in digits: '0.99') of all values at or below it."""
        ordered = np.sort(self.values(address, channel), axis=None)
        return float(ordered[max(math.ceil(Fraction(share) * len(ordered)), 1) - 1])

    def largest(self, address: str, channel: int, count: int) -> NDArray[np.float64]:
        """The largest values of a map, largest first."""
        return np.sort(self.values(address, channel), axis=None)[::-1][:count]

    def strongest(self, address: str, channel: int, k: int, among: Iterable[int] | None = None) -> list[int]:
        """The k images that excite a map most; of equal ones the earlier image."""
        maxima = self.maximum(address)[:, channel].tolist()
        numbers = range(self.images) if among is None else sorted(set(among))
        return sorted(numbers, key=lambda number: (-maxima[number], number))[:k]

    def correlation(self, address: str, choose: Choose | None = None) -> NDArray[np.float64]:
        """Pearson's correlation of every two maps over their positions; 0 where either is constant."""
        rows = self._places(address, choose)
        channels = rows.shape[1]
        found = np.zeros((channels, channels))
        for one in range(channels):
            for other in range(channels):
                found[one, other] = pearson(rows[:, one], rows[:, other]) or 0.0
        return found

    def _places(self, address: str, choose: Choose | None) -> NDArray[np.float64]:
        """The values at the positions that count, of all images, (position, channel)."""
        rows: list[NDArray[np.float64]] = []
        for number, maps in enumerate(_apart(self.maps[address]).astype(np.float64)):
            taken = range(maps.shape[1]) if choose is None else choose(maps.shape[1], number)
            rows += [maps[:, place] for place in taken]
        return np.array(rows)

    def kinds(
        self,
        address: str,
        bounds: tuple[float, float],
        nearly_dead: str = "0.01",
        saturated: str = "0.99",
        *,
        rectified: bool = True,
    ) -> dict[str, list[int]]:
        """The channels that are dead, nearly dead, never positive, constant and saturated; thresholds in digits."""
        names = ("dead", "nearly_dead", "never_positive", "constant", "saturated")
        found: dict[str, list[int]] = {name: [] for name in names}
        for channel in range(self.maps[address].shape[1]):
            values = self.values(address, channel)
            is_positive = bool((values > 0).any())
            is_dead = rectified and bool((values == 0).all())
            excited = int((values > 0).any(axis=1).sum())
            at_bound = Fraction(self.at_bound(address, channel, bounds), values.size)
            is_one = {
                "dead": is_dead,
                "nearly_dead": rectified and is_positive and Fraction(excited, self.images) < Fraction(nearly_dead),
                "never_positive": not is_positive and not is_dead,
                "constant": not is_dead and bool((values == values.flat[0]).all()),
                "saturated": bool(np.isfinite(bounds).any()) and at_bound >= Fraction(saturated),
            }
            for kind, holds in is_one.items():
                found[kind] += [channel] if holds else []
        return found

    def sparsity(self, address: str) -> float:
        """The share of values that are not above 0."""
        return float((self.maps[address] <= 0).mean())

    def redundant(self, address: str, least: float, choose: Choose | None = None) -> dict[tuple[int, int], float]:
        """The pairs of channels whose correlation is at least this, of either sign."""
        matrix = self.correlation(address, choose)
        pairs = ((one, other) for one in range(len(matrix)) for other in range(one + 1, len(matrix)))
        return {pair: float(matrix[pair]) for pair in pairs if abs(matrix[pair]) >= least}

    def vector(self, address: str, by: str) -> NDArray[np.float64]:
        """The vectors that images are compared by, (image, channel), in the precision that an index keeps."""
        found = self.maximum(address) if by == "maximum" else self.mean(address).astype(np.float32)
        return found.astype(np.float64)

    def distances(self, address: str, query: Floats, by: str, measure: str) -> NDArray[np.float64]:
        """The distance of every image from a vector (channel)."""
        return np.array([_distance(query, each, measure) for each in self.vector(address, by)])

    def selectivity(self, address: str, channel: int, by: str) -> tuple[str, float, float, float | None]:
        """The best label, its mean, the mean over all other labelled images, and the index, None where not defined.

        The label is "" where the means of all are the same.
        """
        activity = self.vector(address, by)[:, channel]
        names = [label for label in dict.fromkeys(self.labels) if label]
        means = {
            name: np.mean([a for a, label in zip(activity, self.labels, strict=True) if label == name])
            for name in names
        }
        best = max(names, key=lambda name: means[name])
        rest = float(np.mean([a for a, label in zip(activity, self.labels, strict=True) if label not in ("", best)]))
        highest = float(means[best])
        label = best if min(means.values()) < highest else ""
        if min(means.values()) < 0:
            return label, highest, rest, None
        return label, highest, rest, 0.0 if highest + rest == 0 else (highest - rest) / (highest + rest)


def pearson(one: Floats, other: Floats) -> float | None:
    """The correlation of two rows of numbers, None where either is constant."""
    one, other = one.astype(np.float64), other.astype(np.float64)
    if (one == one[0]).all() or (other == other[0]).all():
        return None
    first, second = one - one.mean(), other - other.mean()
    return float((first * second).sum() / math.sqrt((first**2).sum()) / math.sqrt((second**2).sum()))


def _apart(maps: NDArray[np.float32]) -> NDArray[np.float32]:
    """Maps with flattened positions, (image, channel, position)."""
    return maps.reshape(*maps.shape[:2], -1)


def _distance(query: Floats, other: Floats, measure: str) -> float:
    query = query.astype(np.float64)
    if measure == "euclidean":
        return math.sqrt(sum((a - b) ** 2 for a, b in zip(query.tolist(), other.tolist(), strict=True)))
    lengths = math.sqrt((query**2).sum()) * math.sqrt((other**2).sum())
    return 1 - float((query * other).sum()) / lengths if lengths else 1.0
