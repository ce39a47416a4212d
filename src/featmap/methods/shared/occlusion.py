"""The answer of an occlusion: scores by position, what they mean, and how they were checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from jaxtyping import Float64, Shaped
from PIL import Image
from torch import Tensor

from featmap.errors import InputError, SettingError
from featmap.methods.shared.windows import Windows, captum_average
from featmap.plain_data import PlainData
from featmap.result_array import ArrayResult
from featmap.result_collection import CollectionResult

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class OcclusionCheck:
    """How scores of some positions compare with a full run in float64.

    `largest_difference` is in units of the score, `relative` a share of the largest score among those positions.
    """

    positions: int
    largest_difference: float
    relative: float


@dataclass(frozen=True, eq=False)
class OcclusionMap(ArrayResult):
    """The scores of one image with a window over each position.

    `score` is that of the untouched image, `grid` (row position, column position) those of the occluded ones, with one
    axis for a signal and three for a volume; `drop` is score - grid. `positions` are the windows, `baseline` says what
    was written over them. `picture` is the image as the network saw it, None for signals and volumes; `values` is what
    went in. `region_ends` names the operators that were computed whole, with all that follows, since they have no way
    to compute a region of their value alone.
    """

    image: str
    target: str
    score: float
    grid: Float64[Numbers, "*position"]
    windows: Windows
    baseline: str
    image_size: tuple[int, ...]
    weights_source: str
    recomputed_share: float
    verification: OcclusionCheck | None = None
    picture: Image.Image | None = None
    region_ends: tuple[str, ...] = ()
    values: Shaped[Tensor, " channel *place"] | None = None

    @property
    def _array(self) -> Numbers:
        return self.grid

    @property
    def drop(self) -> Float64[Numbers, "*position"]:
        """The drop of the score at each position; an infinite score that does not change drops by 0."""
        same = self.grid == self.score
        return np.where(same, 0.0, self.score - np.where(same, 0.0, self.grid))

    @property
    def largest_effect(self) -> float:
        """The largest change of the score by one window, up or down."""
        return float(np.abs(self.drop).max())

    @property
    def relative_effect(self) -> float | None:
        """The largest effect as a share of the score's magnitude; None where the score is 0."""
        return self.largest_effect / abs(self.score) if self.score else None

    @property
    def positions(self) -> list[object]:
        """The box [top, left, bottom, right] of the window at each position, nested as the grid is."""
        shape = self.windows.shape
        boxes = [self.windows.box(*position).as_list() for position in np.ndindex(*shape)]
        return np.array(boxes).reshape(*shape, -1).tolist()

    @property
    def semantics(self) -> dict[str, PlainData]:
        """What was done, in words and numbers, so that nothing about an occlusion has to be guessed."""
        return {
            "window": list(self.windows.window),
            "stride": list(self.windows.stride),
            "edge_rule": "windows stay inside the image; the last one of each axis is aligned with the edge",
            "baseline": self.baseline,
            "score": self.target,
            "drop": "score of the untouched image - score with the window",
            "region_ends": list(self.region_ends),
        }

    def attribution(self, convention: str = "captum") -> Float64[Numbers, "*place"]:
        """The drops as a map over the pixels (row, column).

        `captum`: each pixel the mean drop of the windows that cover it. Captum itself cuts its last window at the edge
        instead of aligning it, so both agree where the stride divides the image less the window.
        """
        if convention != "captum":
            raise SettingError(f"The convention '{convention}' is unknown.", "Use 'captum'.")
        return captum_average(self.drop, self.windows, self.image_size)

    def _data(self) -> dict[str, Any]:
        checked = self.verification
        return {
            "image": self.image,
            "target": self.target,
            "score": self.score,
            "grid": self.grid.tolist(),
            "drop": self.drop.tolist(),
            "largest_effect": self.largest_effect,
            "relative_effect": self.relative_effect,
            "positions": self.positions,
            "semantics": self.semantics,
            "image_size": list(self.image_size),
            "recomputed_share": self.recomputed_share,
            "verification": None
            if checked is None
            else {
                "positions": checked.positions,
                "largest_difference": checked.largest_difference,
                "relative": checked.relative,
            },
            "weights": self.weights_source,
        }

    def __repr__(self) -> str:
        drop = self.drop
        box = self.windows.box(*map(int, np.unravel_index(int(drop.argmax()), drop.shape)))
        window = " x ".join(map(str, self.windows.window))
        return (
            f"OcclusionMap({self.target} of {self.image}: {self.score:.6g}; {self.windows.count} windows of "
            f"{window}; largest drop {drop.max():.4g} at {box.words}; "
            f"largest effect {share_words(self.relative_effect)})"
        )


class OcclusionMaps(CollectionResult[OcclusionMap], ArrayResult):
    """The occlusion maps of several images, in their order; of images of one size one array (image, row, column)."""

    parts_name = "occlusions"

    @property
    def _array(self) -> Numbers:
        sizes = list(dict.fromkeys(f"{part.grid.shape[0]} x {part.grid.shape[1]}" for part in self))
        if len(sizes) > 1:
            problem = f"The grids of {len(self)} images are not one array: they are {', '.join(sizes)}."
            raise InputError(problem, "Take one, maps[0], or give images of one size.")
        return np.stack([part.grid for part in self])


def share_words(share: float | None) -> str:
    """The size of an effect relative to the score.

    >>> share_words(0.0161), share_words(0.0001), share_words(None)
    ('1.6% of the score', 'below 0.1% of the score', 'of no known share: the score is 0')
    """
    if share is None:
        return "of no known share: the score is 0"
    return f"{share:.1%} of the score" if share >= _LEAST_SHARE or not share else "below 0.1% of the score"


_LEAST_SHARE = 0.001
