"""Many images through a program: in batches sized to memory, with progress, into one tensor per value."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Shaped
from torch import Tensor

from featmap.graph.graph import Node
from featmap.graph.operators.table import is_known
from featmap.graph.sized_graph import DoesNotFit
from featmap.network.network import CapturedNetwork
from featmap.network.randomness import random_numbers_apart
from featmap.run.memory import batch_size, peak_bytes
from featmap.run.program.program import NotResizable, Program

Progress = Callable[[int, int], None]
"""Called with the number of images done and in all."""


def run_batches(
    network: CapturedNetwork,
    images: Shaped[Tensor, "image ..."],
    wanted: Sequence[int],
    *,
    fold: bool = True,
    dtype: torch.dtype | None = None,
    device: torch.device | None = None,
    progress: Progress | None = None,
) -> dict[int, Tensor]:
    """The wanted values for all images (image, channel, row, column), by node, on the device of the run."""
    program = Program(network.captured, network.tensors, wanted, fold=fold, dtype=dtype, device=device)
    size = batch_size(peak_bytes(network.sized, wanted), len(images))
    if not can_batch(network, program, wanted, (size, *images.shape[1:])):
        size = 1
    with random_numbers_apart():
        return _Collector(program, images, network, size, progress).run()


def can_batch(network: CapturedNetwork, program: Program, wanted: Sequence[int], shape: tuple[int, ...]) -> bool:
    """Whether images of this shape (image, channel, row, column) run at once as they would one by one."""
    if network.other_inputs or not keeps_images_apart(network, wanted):
        # The other inputs are the captured ones, for one image.
        return False
    try:
        program.arguments_for(shape)
    except (NotResizable, DoesNotFit):
        return False
    return True


def even_part(count: int, most: int) -> int:
    """The size of equal parts of `count`, each at most `most`.

    >>> even_part(27, 10)
    9
    """
    parts = -(-count // max(most, 1))
    return -(-count // parts)


def keeps_images_apart(network: CapturedNetwork, wanted: Sequence[int]) -> bool:
    """Whether every value on the way is made of one image alone, and it is known which part belongs to which."""
    axes = network.sized.axes
    nodes = (network.graph[index] for index in network.graph.ancestors(tuple(wanted)))
    on_the_way = all(_keeps_apart(network, node) for node in nodes if node.depends_on_input and not node.is_input)
    return on_the_way and all(axes[index].batch == 0 for index in wanted)


def _keeps_apart(network: CapturedNetwork, node: Node) -> bool:
    sized = network.sized
    is_apart = is_known(node) and sized.axes[node.index].batch is not None
    return is_apart and not sized.operator(node).mixes_images(sized.call(node))


class _Collector:
    def __init__(
        self, program: Program, images: Tensor, network: CapturedNetwork, size: int, progress: Progress | None
    ) -> None:
        self.program = program
        self.images = images
        self.others = network.other_inputs
        self.size = size
        self.progress = progress
        self.collected: dict[int, Tensor] = {}

    def run(self) -> dict[int, Tensor]:
        total = len(self.images)
        for start in range(0, total, self.size):
            part = self.images[start : start + self.size]
            for index, value in self.program.run(part, self.others).items():
                self._keep(index, value, start, len(part))
            if self.progress is not None:
                self.progress(start + len(part), total)
        return self.collected

    def _keep(self, index: int, value: Tensor, start: int, count: int) -> None:
        value = value if value.ndim else value[None]
        if count == len(self.images):
            self.collected[index] = value
            return
        if index not in self.collected:
            shape = (value.shape[0] // count * len(self.images), *value.shape[1:])
            kept = torch.empty(shape, dtype=value.dtype, device=value.device)
            is_map = value.ndim == 4
            self.collected[index] = kept.contiguous(memory_format=torch.channels_last) if is_map else kept
        # The first axis may hold several parts of one image behind one another.
        parts = value.shape[0] // count
        self.collected[index][start * parts : (start + count) * parts] = value
