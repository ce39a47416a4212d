"""Occlusion by full runs: one per window, for images whose windows are no rows and columns of a picture.

Regions are recomputed in pictures alone (`run.occlusion`); signals and volumes, and images without an axis of channels,
run as a whole. The scores are the same, and the cost of every window is that of a full run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Shaped
from torch import Tensor

from featmap.geometry import Box, Interval
from featmap.geometry.place import place_of
from featmap.graph.operators.table import printed_name
from featmap.network.network import CapturedNetwork
from featmap.run.batches import can_batch
from featmap.run.execution import Execution
from featmap.run.memory import batch_size, peak_bytes
from featmap.run.occlusion import Chunk, channel_values, narrowed
from featmap.run.program.program import Program


class FullPlan:
    """What the occlusions of one target value share over all images of one size; see `OcclusionPlan`."""

    def __init__(
        self,
        network: CapturedNetwork,
        target: int,
        box: Box | None,
        windows: Sequence[Sequence[Interval]],
        *,
        channel: int | None = None,
        execution: Execution | None = None,
    ) -> None:
        execution = execution or Execution()
        self.network, self.sized = network, network.sized
        self.target, self.channel, self.box = target, channel, box
        self.windows = tuple(map(tuple, windows))
        self.program = Program(
            network.captured, network.tensors, [target], dtype=execution.dtype, device=execution.device
        )
        self.memory_bytes = execution.memory_bytes

    def recomputed_share(self) -> float:
        """The multiply-adds of all positions, as a share of full runs: all of them."""
        return 1.0

    def region_ends(self) -> tuple[str, ...]:
        """The operators that are computed whole: all that slide over the image."""
        nodes = (self.sized.graph[index] for index in sorted(self.sized.graph.ancestors((self.target,))))
        sliding = [node for node in nodes if not node.is_input and self.sized.operator(node).kind in _SLIDING]
        return tuple(dict.fromkeys(printed_name(node) for node in sliding if node.depends_on_input))


_SLIDING = ("convolution", "pool")


class FullOcclusion:
    """One image, one target value, all windows; see `Occlusion`.

    `image` is (channel, position) of a signal, (channel, plane, row, column) of a volume; `picture` holds what is
    written over it, and `None` writes each window's own mean.
    """

    def __init__(
        self,
        plan: FullPlan,
        image: Shaped[Tensor, " channel *place"],
        picture: Shaped[Tensor, " channel *place"] | None,
    ) -> None:
        self.plan = plan
        self.image = plan.program.placed_images(image[None])[0]
        self.picture = None if picture is None else plan.program.placed_images(picture[None])[0]
        self.untouched = self._run(self.image[None])

    def _run(self, images: Shaped[Tensor, "image channel *place"]) -> Tensor:
        """What is needed of the target's value for some images."""
        plan = self.plan
        given = images.reshape(len(images), *plan.network.input_shape)
        value = plan.program.run(given, plan.network.other_inputs)[plan.target]
        if plan.box is not None:
            value = narrowed(plan.sized, plan.target, value, plan.box)
        return value if plan.channel is None else channel_values(plan.sized, plan.target, value, plan.channel)

    def chunks(self) -> Iterator[Chunk]:
        """Positions of all axes but the last, flattened, those of the last, and the target's value for them."""
        *outer, last = self.plan.windows
        shape = tuple(map(len, outer))
        size = self._size(len(last))
        for number in range(torch.Size(shape).numel()):
            position = place_of(number, shape)
            axes = [axis[at] for axis, at in zip(outer, position, strict=True)]
            for first in range(0, len(last), size):
                part = list(range(first, min(first + size, len(last))))
                changed = [occluded(self.image, Box.of(*axes, last[at]), self.picture) for at in part]
                yield [number], part, self._run(torch.stack(changed))

    def _size(self, most: int) -> int:
        """How many windows at once."""
        plan, shape = self.plan, self.plan.network.input_shape
        per_image = peak_bytes(plan.sized, [plan.target])
        size = batch_size(per_image, most)
        if plan.memory_bytes is not None:
            size = max(1, min(size, plan.memory_bytes // max(per_image, 1)))
        return size if can_batch(plan.network, plan.program, [plan.target], (size, *shape)) else 1


def occluded(
    image: Shaped[Tensor, " channel *place"], box: Box, picture: Shaped[Tensor, " channel *place"] | None
) -> Shaped[Tensor, " channel *place"]:
    """The image with one window written over, with a picture's values or its own mean: (channel, row, column)."""
    changed = image.clone()
    region = changed[(slice(None), *box.slices)]
    if picture is None:
        region.copy_(region.mean(dim=tuple(range(1, region.ndim)), keepdim=True).expand_as(region))
    else:
        region.copy_(picture[(slice(None), *box.slices)])
    return changed
