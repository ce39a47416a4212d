"""Slow, plain answers written from the definitions, against which every fast one is tested."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from featmap.geometry import Box
from featmap.network.graph import Graph, Reference, Weight, map_arguments


@dataclass(frozen=True)
class Support:
    """The pixels on which a unit depends, as a mask (row, column)."""

    mask: Tensor

    @property
    def box(self) -> Box:
        """The smallest box around them."""
        rows, columns = self.mask.any(dim=1).nonzero(), self.mask.any(dim=0).nonzero()
        if not len(rows):
            return Box(0, 0, 0, 0)
        return Box(int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1)

    @property
    def fills_box(self) -> bool:
        """Whether every pixel of the box is one of them."""
        return int(self.mask.sum()) == self.box.height * self.box.width


def gradient_support(module: nn.Module, image: Tensor, channel: int, row: int, column: int) -> Support:
    """The pixels with a gradient at one unit of the module's output; `image` is (1, channel, row, column), float64."""
    image = image.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(module(image)[0, channel, row, column], image, materialize_grads=True)
    return Support((gradient[0] != 0).any(dim=0))


def scrambled_outside(image: Tensor, box: Box, generator: torch.Generator) -> Tensor:
    """The image with every pixel outside the box replaced by noise."""
    noise = torch.rand(image.shape, generator=generator, dtype=image.dtype) * 100
    noise[..., box.top : box.bottom, box.left : box.right] = image[..., box.top : box.bottom, box.left : box.right]
    return noise


def brute_force_macs(weight: Tensor, output: Tensor, source: Tensor, *, transposed: bool) -> int:
    """Multiply-adds of a convolution counted value by value: one per weight that meets an output (or input) value."""
    places = source if transposed else output
    count = 0
    for _ in range(places.shape[0]):
        for _ in range(places.shape[1]):
            count += places[0, 0].numel() * weight[0].numel()
    return count


def occluded_outputs(module: nn.Module, image: Tensor, boxes: list[list[Box]], baseline: Tensor) -> list[list[Tensor]]:
    """The module's whole output with each box of one image (1, channel, row, column) written over, one full run each.

    `baseline` is a picture (channel, row, column) that the boxes are taken from.
    """
    found: list[list[Tensor]] = []
    for line in boxes:
        outputs: list[Tensor] = []
        for box in line:
            changed = image.clone()
            rows, columns = slice(box.top, box.bottom), slice(box.left, box.right)
            changed[0, :, rows, columns] = baseline[:, rows, columns]
            with torch.no_grad():
                outputs.append(module(changed))
        found.append(outputs)
    return found


def node_values(graph: Graph, weights: Mapping[str, Tensor], image: Tensor) -> list[Any]:
    """Every value of a captured graph with one input for one image (1, channel, row, column).

    Node by node as captured: nothing folded, freed, overwritten, laid out anew or left out. Where the image asks for
    gradients, every value has its way back to it.
    """
    values: list[Any] = []

    def tensor(leaf: Reference | Weight) -> Any:
        return values[leaf.index] if isinstance(leaf, Reference) else weights[leaf.name].detach()

    for node in graph:
        if node.target is None:
            values.append(image)
        else:
            kwargs = {name: map_arguments(value, tensor) for name, value in node.kwargs.items()}
            # Under autograd some values lie in memory otherwise than captured; a view of them may not exist.
            target = torch.ops.aten.reshape.default if node.base_name == "view" else node.target
            values.append(target(*map_arguments(node.args, tensor), **kwargs))
    return values
