"""The health of maps: dead, nearly dead, never positive, constant, saturated, redundant, by their statistics.

Only maps whose nonlinearity is 0 on a half line (ReLU, ReLU6, Hardswish, a clamp at 0 ...) can be dead: sums, scores
and maps behind GELU may well be below 0 everywhere, which is counted separately and is not a fault.

dead            rectified, and 0 at every position of every image
nearly dead     rectified, and above 0 on less than 1% of the images
never positive  not dead, and never above 0, at any position of any image
constant        the same value everywhere, and not dead
saturated       at a bound of the nonlinearity (ReLU6, sigmoid, tanh ...) at 99% of the positions or more
redundant       two maps whose correlation over positions is 0.95 or more, or -0.95 or less
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from featmap.errors import SettingError
from featmap.statistics.comoments import CoMoments
from featmap.statistics.maps import UNBOUNDED, Bounds
from featmap.statistics.per_map import PerMap

Pair = tuple[int, int, float]
"""Two channels and their correlation."""


@dataclass(frozen=True)
class Thresholds:
    """Thresholds: shares of images (`nearly_dead`) and of positions (`saturated`), a correlation."""

    nearly_dead: float = 0.01
    saturated: float = 0.99
    redundant: float = 0.95

    def check(self) -> None:
        """Raises: SettingError."""
        for name, value in vars(self).items():
            if not isinstance(value, int | float) or not 0 <= value <= 1:
                raise SettingError(f"{name} is {value!r}.", "Give a number from 0 to 1.")


KINDS = ("dead", "nearly_dead", "constant", "saturated")
"""What is a fault, and can be bounded."""
COUNTED = ("dead", "nearly_dead", "never_positive", "constant", "saturated")


@dataclass(frozen=True, eq=False)
class MapHealth:
    """What is true of each of some maps, arrays (map)."""

    dead: NDArray[np.bool_]
    nearly_dead: NDArray[np.bool_]
    never_positive: NDArray[np.bool_]
    constant: NDArray[np.bool_]
    saturated: NDArray[np.bool_]

    def channels(self, kind: str) -> tuple[int, ...]:
        """The numbers of the maps of a kind, such as `dead`."""
        return tuple(np.flatnonzero(getattr(self, kind)).tolist())


def health(
    found: PerMap,
    images: int,
    places: int,
    *,
    rectified: bool,
    bounds: Bounds = UNBOUNDED,
    thresholds: Thresholds | None = None,
) -> MapHealth:
    """The health of the maps of one layer, whose statistics are over so many images of so many positions each.

    `rectified` says whether its nonlinearity is 0 on a half line, `bounds` where it saturates (infinite: nowhere).
    """
    thresholds = thresholds or Thresholds()
    never = found.positive == 0
    # Hardswish is below 0 before it is 0: a map that never rises above 0 may still carry information.
    dead = never & (found.minimum == 0) & (found.maximum == 0) & rectified
    at_bound = found.at_bound / (images * places) >= thresholds.saturated
    return MapHealth(
        dead=dead,
        # Divided, not multiplied: 7 of 100 are 0.07, but 0.07 * 100 is more than 7.
        nearly_dead=rectified & ~never & (found.positive_images / images < thresholds.nearly_dead),
        never_positive=never & ~dead,
        constant=~dead & (found.minimum == found.maximum),
        saturated=at_bound & bool(np.isfinite(bounds).any()),
    )


def redundant_pairs(comoments: CoMoments, least: float) -> tuple[Pair, ...]:
    """The pairs of channels that vary together or opposite, the closest first."""
    correlation = comoments.correlation()
    # Rounding leaves the correlation of two equal maps slightly below 1, that of others slightly off 0.
    rows, columns = np.nonzero(np.triu(np.abs(correlation) >= max(least - 1e-12, 1e-12), k=1))
    found = [(int(one), int(other), float(correlation[one, other])) for one, other in zip(rows, columns, strict=True)]
    return tuple(sorted(found, key=lambda pair: (-round(abs(pair[2]), 12), pair[:2])))
