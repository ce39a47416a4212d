"""Occlusion: the score of a picture while a window is written over it, position by position.

Exact: each score is that of the full network on the occluded image, but only what a window changes, and of that what
the target needs, is computed again. After Zeiler and Fergus (2014); recomputing: Nakandala et al. (2019).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Shaped
from torch import Tensor

from featmap.errors import InputError, SettingError
from featmap.geometry.place import place_of
from featmap.images.inputs import Batch, Inputs
from featmap.images.listing import Images
from featmap.methods.shared.occlusion import Numbers, OcclusionCheck, OcclusionMap
from featmap.methods.shared.target import Activity, Scale, Score, Target, class_score, predicted, score_of
from featmap.methods.shared.windows import Baseline, Fill, Sides, Windows, fill, windows
from featmap.network.differing import note_differences
from featmap.network.network import CapturedNetwork
from featmap.network.randomness import random_numbers_apart, random_operators
from featmap.run.batches import Progress, run_batches
from featmap.run.execution import Execution
from featmap.run.full_occlusion import FullOcclusion, FullPlan, occluded
from featmap.run.occlusion import Occlusion, OcclusionPlan, channel_values, narrowed

_IMAGES_ONLY = "A window slides over pictures, signals and volumes; ask a network with convolutions or pools."


@dataclass(frozen=True)
class Cover:
    """What is written over the pixels, and where: windows of rows and columns, and their strides, in pixels."""

    window: Sides
    stride: Sides
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
        raise InputError(f"{network.name} takes inputs of shape {shape}, which are not images.", _IMAGES_ONLY)
    # All are read first: where the last of them is damaged, that is said before the first is computed.
    every = list(Inputs(network, images))
    question = _Question(network, target, cover, scale, activity, execution or Execution())
    left = [question.of_size(batch).windows.count for batch in every]
    maps: list[OcclusionMap] = []
    for number, batch in enumerate(every):
        with random_numbers_apart():
            run = _Occluding(question.of_size(batch), batch, cover.baseline)
            grid = run.grid(_shifted(progress, sum(left[:number]), sum(left)))
            made = run.result(grid)
            maps.append(replace(made, verification=run.verified(grid, verify)) if verify else made)
    return maps


def _shifted(progress: Progress | None, before: int, total: int) -> Progress | None:
    return None if progress is None else lambda done, _: progress(before + done, total)


@dataclass(frozen=True)
class _Sized:
    """A question for images of one size: `score` is None for the predicted class, which each image decides itself."""

    network: CapturedNetwork
    score: Score | None
    scale: Scale
    windows: Windows
    plan: OcclusionPlan | FullPlan


class _Question:
    """What is asked of every image; what images of one size share is found once."""

    def __init__(
        self,
        network: CapturedNetwork,
        target: Target,
        cover: Cover,
        scale: Scale,
        activity: Activity,
        execution: Execution,
    ) -> None:
        self.network = network
        self.target = target
        self.cover = cover
        self.scale: Scale = scale
        self.activity: Activity = activity
        self.execution = execution
        self._sized: dict[tuple[int, ...], _Sized] = {}

    def of_size(self, batch: Batch) -> _Sized:
        shape = tuple(batch.values.shape[1:])
        if shape not in self._sized:
            self._sized[shape] = self._planned(shape)
        return self._sized[shape]

    def _planned(self, shape: tuple[int, ...]) -> _Sized:
        network = self.network.at(shape)
        score = score_of(network, self.target, scale=self.scale, activity=self.activity)
        found = windows(network.sized.image_size, self.cover.window, self.cover.stride)
        # The predicted class is read from the same value as any other class.
        read = score or class_score(network, 0, self.scale)
        _check_draws_nothing(network, read.node, score.name if score else "The predicted class")
        note_differences(network, [read.node])
        asked = network, read.node, read.box
        if network.takes_pictures:
            plan = OcclusionPlan(*asked, found.rows, found.columns, channel=read.channel, execution=self.execution)
            return _Sized(network, score, self.scale, found, plan)
        full = FullPlan(*asked, found.axes, channel=read.channel, execution=self.execution)
        return _Sized(network, score, self.scale, found, full)


class _Occluding:
    """The occlusion of one image."""

    def __init__(self, sized: _Sized, batch: Batch, baseline: Baseline) -> None:
        self.network = sized.network
        self.name = batch.names[0]
        self.found = sized.windows
        # Some signals come without an axis of channels.
        self.image = batch.values[0].detach().reshape(-1, *self.network.sized.image_size)
        self.fill: Fill = fill(self.image, baseline)
        plan, given = sized.plan, (self.image, self.fill.picture)
        self.engine = FullOcclusion(plan, *given) if isinstance(plan, FullPlan) else Occlusion(plan, *given)
        self.score = sized.score or class_score(self.network, predicted(self.engine.untouched), sized.scale)

    @property
    def untouched(self) -> float:
        return float(self.score.read(self.engine.untouched)[0])

    def grid(self, progress: Progress | None) -> Numbers:
        grid = np.full(self.found.shape, self.untouched, dtype=np.float64)
        # The last axis by itself, all others as one.
        plane = grid.reshape(-1, grid.shape[-1])
        done = 0
        for rows, columns, value in self.engine.chunks():
            if value is not None:
                scores = self.score.read(value).double().cpu().numpy()
                plane[np.ix_(rows, columns)] = scores.reshape(len(rows), len(columns))
            done += len(rows) * len(columns)
            if progress is not None:
                progress(done, self.found.count)
        if progress is not None and done < self.found.count:
            progress(self.found.count, self.found.count)
        return grid

    def result(self, grid: Numbers) -> OcclusionMap:
        return OcclusionMap(
            image=self.name,
            target=self.score.name,
            score=self.untouched,
            grid=grid,
            windows=self.found,
            baseline=self.fill.name,
            image_size=self.network.sized.image_size,
            weights_source=self.network.weights_source,
            recomputed_share=self.engine.plan.recomputed_share(),
            picture=self.network.shown(self.image),
            values=self.image.cpu(),
            region_ends=self.engine.plan.region_ends(),
        )

    def verified(self, grid: Numbers, count: int) -> OcclusionCheck:
        """Checks some positions in float64, each by a full run."""
        chosen = np.random.default_rng(0).permutation(self.found.count)[:count]
        places = [place_of(int(at), self.found.shape) for at in chosen]
        scores = np.array(list(self._full_scores(places)))
        ours = np.array([grid[place] for place in places])
        largest = float(np.abs(scores - ours).max(initial=0.0))
        return OcclusionCheck(len(places), largest, largest / max(float(np.abs(scores).max(initial=0.0)), 1e-300))

    def _full_scores(self, places: Sequence[tuple[int, ...]]) -> Iterator[float]:
        wide = torch.complex128 if self.image.is_complex() else torch.float64
        picture = None if self.fill.picture is None else self.fill.picture.to(wide)
        for place in places:
            changed = occluded(self.image.to(wide), self.found.box(*place), picture)
            images = changed.reshape(1, *self.network.input_shape)
            value = run_batches(self.network, images, [self.score.node], fold=False, dtype=torch.float64)[
                self.score.node
            ]
            yield float(self.score.read(part_of(value, self.network, self.score))[0])


def _check_draws_nothing(network: CapturedNetwork, node: int, name: str) -> None:
    found = random_operators(network, [node])
    if found:
        raise InputError(
            f"{name} of {network.name} is random in evaluation too, at {', '.join(found)}: what a window changes "
            "cannot be told from what chance does.",
            "Switch the randomness off in the model, or ask for something that comes before it.",
        )


def part_of(value: Shaped[Tensor, "*whole"], network: CapturedNetwork, score: Score) -> Shaped[Tensor, "*part"]:
    """The part of a full value that the score reads."""
    if score.box is not None:
        value = narrowed(network.sized, score.node, value, score.box)
    return value if score.channel is None else channel_values(network.sized, score.node, value, score.channel)
