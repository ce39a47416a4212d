"""Occlusion: the score of a picture while a window is written over it, position by position.

Exact: each score is that of the full network on the occluded image, but only what a window changes, and of that what
the target needs, is computed again. After Zeiler and Fergus (2014); recomputing: Nakandala et al. (2019).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from featmap.errors import InputError, SettingError
from featmap.images.pictures import Images, batch_of
from featmap.methods.shared.target import Activity, Scale, Score, Target, class_score, predicted, score_of
from featmap.methods.shared.windows import Baseline, Fill, Pair, Windows, captum_average, fill, occluded, windows
from featmap.network.differing import note_differences
from featmap.network.network import CapturedNetwork
from featmap.network.randomness import random_operators
from featmap.result import Result
from featmap.run.batches import Progress, run_batches
from featmap.run.execution import Execution
from featmap.run.occlusion import Occlusion, channel_values

Numbers = npt.NDArray[np.float64]


_IMAGES_ONLY = "Windows are rows and columns of (channel, row, column); ask a network that takes images."


@dataclass(frozen=True)
class OcclusionCheck:
    """How scores of some positions compare with a full run in float64.

    `largest_difference` is in units of the score, `relative` a share of the largest score among those positions.
    """

    positions: int
    largest_difference: float
    relative: float


@dataclass(frozen=True, eq=False)
class OcclusionMap(Result):
    """The scores of one image with a window over each position.

    `score` is that of the untouched image, `grid` (row position, column position) those of the occluded ones; `drop` is
    score - grid. `positions` are the windows, `baseline` says what was written over them. `picture` is the image as
    the network saw it, where it came as a picture. `region_ends` names the operators that were computed whole, with all
    that follows, since they have no way to compute a region of their value alone.
    """

    image: str
    target: str
    score: float
    grid: Numbers
    windows: Windows
    baseline: str
    image_size: tuple[int, int]
    weights_source: str
    recomputed_share: float
    verification: OcclusionCheck | None = None
    picture: Image.Image | None = None
    region_ends: tuple[str, ...] = ()

    @property
    def drop(self) -> Numbers:
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
    def positions(self) -> list[list[list[int]]]:
        """The box [top, left, bottom, right] of the window at each position."""
        return [
            [self.windows.box(row, column).as_list() for column in range(len(self.windows.columns))]
            for row in range(len(self.windows.rows))
        ]

    @property
    def semantics(self) -> dict[str, Any]:
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

    def attribution(self, convention: str = "captum") -> Numbers:
        """The drops as a map over the pixels (row, column).

        `captum`: each pixel the mean drop of the windows that cover it. Captum itself cuts its last window at the edge
        instead of aligning it, so both agree where the stride divides the image less the window.
        """
        if convention != "captum":
            raise SettingError(f"The convention '{convention}' is unknown.", "Use 'captum'.")
        return captum_average(self.drop, self.windows, self.image_size)

    def to_json(self) -> dict[str, Any]:
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
        row, column = np.unravel_index(int(drop.argmax()), drop.shape)
        box = self.windows.box(int(row), int(column))
        return (
            f"OcclusionMap({self.target} of {self.image}: {self.score:.6g}; {self.windows.count} windows of "
            f"{self.windows.window[0]} x {self.windows.window[1]}; largest drop {drop.max():.4g} at rows "
            f"{box.top}:{box.bottom}, columns {box.left}:{box.right}; "
            f"largest effect {share_words(self.relative_effect)})"
        )


def share_words(share: float | None) -> str:
    """The size of an effect relative to the score.

    >>> share_words(0.0161), share_words(0.0001), share_words(None)
    ('1.6% of the score', 'below 0.1% of the score', 'of no known share: the score is 0')
    """
    if share is None:
        return "of no known share: the score is 0"
    return f"{share:.1%} of the score" if share >= _LEAST_SHARE or not share else "below 0.1% of the score"


_LEAST_SHARE = 0.001


@dataclass(frozen=True)
class Cover:
    """What is written over the pixels, and where: windows of rows and columns, and their strides, in pixels."""

    window: Pair
    stride: Pair
    baseline: Baseline = 0.0


def occlude(
    network: CapturedNetwork,
    images: Images,
    target: Target,
    cover: Cover,
    *,
    scale: Scale = "logit",
    activity: Activity = "maximum",
    verify: int = 0,
    execution: Execution | None = None,
    progress: Progress | None = None,
) -> list[OcclusionMap]:
    """One occlusion map per image; see `featmap.Network.occlude`."""
    if verify < 0:
        raise SettingError(f"verify is {verify}.", "Give the number of positions to compute again, from 0 on.")
    if not network.takes_images:
        shape = " x ".join(map(str, network.input_shape))
        raise InputError(f"{network.name} takes inputs of shape {shape}, which are no images.", _IMAGES_ONLY)
    batch = batch_of(network, images)
    network = network.at(tuple(batch.values.shape[1:]))
    score = score_of(network, target, scale=scale, activity=activity)
    found = windows(int(batch.values.shape[2]), int(batch.values.shape[3]), cover.window, cover.stride)
    total = found.count * len(batch.names)
    maps: list[OcclusionMap] = []
    for number, name in enumerate(batch.names):
        image = batch.values[number].detach()
        # A model may draw random numbers in evaluation too; the user's own sequence is not disturbed.
        with torch.random.fork_rng(devices=[]):
            run = _Occluding(network, image, score, scale, found, cover.baseline, execution or Execution())
            grid = run.grid(_shifted(progress, number * found.count, total))
            made = run.result(name, grid)
            maps.append(replace(made, verification=run.verified(grid, verify)) if verify else made)
    return maps


def _shifted(progress: Progress | None, before: int, total: int) -> Progress | None:
    return None if progress is None else lambda done, _: progress(before + done, total)


class _Occluding:
    """The occlusion of one image."""

    def __init__(
        self,
        network: CapturedNetwork,
        image: Tensor,
        score: Score | None,
        scale: Scale,
        found: Windows,
        baseline: Baseline,
        execution: Execution,
    ) -> None:
        self.network = network
        self.image = image
        self.found = found
        self.fill: Fill = fill(image, baseline)
        self.score = score or self._predicted_score(scale, execution.device)
        _check_draws_nothing(network, self.score)
        note_differences(network, [self.score.node])
        self.engine = Occlusion(
            network,
            image,
            self.score.node,
            self.score.box,
            found.rows,
            found.columns,
            self.fill.picture,
            channel=self.score.channel,
            execution=execution,
        )

    def _predicted_score(self, scale: Scale, device: torch.device | None) -> Score:
        node = self.network.graph.outputs[0]
        assert node is not None
        value = run_batches(self.network, self.image[None], [node], device=device)[node]
        return class_score(self.network, predicted(value), scale)

    @property
    def untouched(self) -> float:
        return float(self.score.read(self.engine.untouched)[0])

    def grid(self, progress: Progress | None) -> Numbers:
        grid = np.full((len(self.found.rows), len(self.found.columns)), self.untouched, dtype=np.float64)
        done = 0
        for rows, columns, value in self.engine.chunks():
            if value is not None:
                scores = self.score.read(value).double().cpu().numpy()
                grid[np.ix_(rows, columns)] = scores.reshape(len(rows), len(columns))
            done += len(rows) * len(columns)
            if progress is not None:
                progress(done, self.found.count)
        if progress is not None and done < self.found.count:
            progress(self.found.count, self.found.count)
        return grid

    def result(self, name: str, grid: Numbers) -> OcclusionMap:
        return OcclusionMap(
            image=name,
            target=self.score.name,
            score=self.untouched,
            grid=grid,
            windows=self.found,
            baseline=self.fill.name,
            image_size=(int(self.image.shape[1]), int(self.image.shape[2])),
            weights_source=self.network.weights_source,
            recomputed_share=self.engine.recomputed_share(),
            picture=self.network.preprocessing.shown(self.image),
            region_ends=self.engine.region_ends(),
        )

    def verified(self, grid: Numbers, count: int) -> OcclusionCheck:
        """Checks some positions in float64, each by a full run."""
        chosen = np.random.default_rng(0).permutation(self.found.count)[:count]
        places = [divmod(int(at), len(self.found.columns)) for at in chosen]
        scores = np.array(list(self._full_scores(places)))
        ours = np.array([grid[place] for place in places])
        largest = float(np.abs(scores - ours).max(initial=0.0))
        return OcclusionCheck(len(places), largest, largest / max(float(np.abs(scores).max(initial=0.0)), 1e-300))

    def _full_scores(self, places: Sequence[tuple[int, int]]) -> Iterator[float]:
        wide = torch.complex128 if self.image.is_complex() else torch.float64
        for row, column in places:
            changed = occluded(self.image.to(wide), self.found.box(row, column), fill_as(self.fill, wide))
            value = run_batches(self.network, changed[None], [self.score.node], fold=False, dtype=torch.float64)[
                self.score.node
            ]
            yield float(self.score.read(part_of(value, self.network, self.score))[0])


def _check_draws_nothing(network: CapturedNetwork, score: Score) -> None:
    found = random_operators(network, [score.node])
    if found:
        raise InputError(
            f"{score.name} of {network.name} is random in evaluation too, at {', '.join(found)}: what a window changes "
            "cannot be told from what chance does.",
            "Switch the randomness off in the model, or ask for something that comes before it.",
        )


def fill_as(filling: Fill, dtype: torch.dtype) -> Fill:
    """The same fill in another dtype."""
    return Fill(filling.name, None if filling.picture is None else filling.picture.to(dtype))


def part_of(value: Tensor, network: CapturedNetwork, score: Score) -> Tensor:
    """The part of a full value that the score reads."""
    axes = network.sized.axes[score.node]
    if score.box is not None and axes.row is not None and axes.column is not None:
        value = value.narrow(axes.row, score.box.top, score.box.height)
        value = value.narrow(axes.column, score.box.left, score.box.width)
    return value if score.channel is None else channel_values(network.sized, score.node, value, score.channel)
