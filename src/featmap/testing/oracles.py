"""Slow, plain answers written from the definitions, against which every fast one is tested."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from featmap.geometry import Box
from featmap.graph.graph import Graph, Reference, Weight, map_arguments


@dataclass(frozen=True)
class SupportMask:
    """The pixels on which a unit depends, as a mask (row, column), with one axis of signals and three of volumes."""

    mask: Tensor

    @property
    def box(self) -> Box:
        """The smallest box around them."""
        found = self.mask.nonzero()
        if not len(found):
            return Box.empty(self.mask.ndim)
        return Box(*found.amin(0).tolist(), *(found.amax(0) + 1).tolist())

    @property
    def fills_box(self) -> bool:
        """Whether every pixel of the box is one of them."""
        return int(self.mask.sum()) == prod(self.box.size)


def gradient_support(module: nn.Module, image: Tensor, channel: int, *unit: int) -> SupportMask:
    """The pixels with a gradient at one unit of the module's output; `image` is (1, channel, row, column), float64."""
    image = image.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(module(image)[(0, channel, *unit)], image, materialize_grads=True)
    return SupportMask((gradient[0] != 0).any(dim=0))


def scrambled_outside(image: Tensor, box: Box, generator: torch.Generator) -> Tensor:
    """The image with every pixel outside the box replaced by noise."""
    noise = torch.rand(image.shape, generator=generator, dtype=image.dtype) * 100
    noise[(..., *box.slices)] = image[(..., *box.slices)]
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
            changed[(0, slice(None), *box.slices)] = baseline[(slice(None), *box.slices)]
            with torch.no_grad():
                outputs.append(module(changed))
        found.append(outputs)
    return found


def node_values(
    graph: Graph, weights: Mapping[str, Tensor], image: Tensor, replaced: Mapping[int, Callable[..., Any]] | None = None
) -> list[Any]:
    """Every value of a captured graph with one input for one image (1, channel, row, column).

    Node by node as captured: nothing folded, freed, overwritten, rearranged or left out. Where the image requires
    gradients, every value is connected to it. `replaced` are functions that replace the operators of some nodes.
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
            target = torch.ops.aten.reshape.default if node.target is torch.ops.aten.view.default else node.target
            target = (replaced or {}).get(node.index, target)
            values.append(target(*map_arguments(node.args, tensor), **kwargs))
    return values


class _Rectified(torch.autograd.Function):
    """A rectifier whose backward follows a rule; torch itself decides where the gradient passes."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, operator: Any, rule: str) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        with torch.enable_grad():
            given = x.detach().requires_grad_()
            made = operator(given)
            (mask,) = torch.autograd.grad(made.sum(), given)
        ctx.save_for_backward(mask)
        ctx.rule = rule
        return made.detach()

    @staticmethod
    def backward(ctx: Any, *signals: Tensor) -> tuple[Tensor, None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        (mask,), (signal,) = ctx.saved_tensors, signals
        signal = signal if ctx.rule == "gradient" else signal.clamp_min(0)
        return (signal if ctx.rule == "deconvnet" else signal * mask), None, None


def ruled_values(
    graph: Graph, weights: Mapping[str, Tensor], image: Tensor, rule: str, rectifiers: Collection[int]
) -> list[Any]:
    """Every value of a graph as `node_values`, with a rule at the rectifiers (by node) in the backward."""

    def rectified(node: Any) -> Any:
        return lambda x, *rest, **named: _Rectified.apply(x, lambda y: node.target(y, *rest, **named), rule)

    replaced = {index: rectified(graph[index]) for index in rectifiers}
    return node_values(graph, weights, image, replaced)


def deconvnet_of_chain(layers: Sequence[nn.Module], image: Tensor, unit: tuple[int, int, int], start: float) -> Tensor:
    """Zeiler and Fergus' projection through a chain of convolutions, ReLUs and maximum pools, layer by layer.

    The signal starts at a unit (channel, row, column) of the last layer's value. Backwards: a ReLU rectifies the
    signal, a pool puts every value at its switch (adding where they meet), a convolution
    filters with its transposed filters. Returns: (channel, row, column) of the image.
    """
    inputs: list[Tensor] = []
    value = image
    for layer in layers:
        inputs.append(value)
        value = layer(value)
    signal = torch.zeros_like(value)
    signal[(0, *unit)] = start
    for layer, given in zip(reversed(layers), reversed(inputs), strict=True):
        if isinstance(layer, nn.ReLU):
            signal = signal.clamp_min(0)
        elif isinstance(layer, nn.MaxPool2d):
            signal = _unpooled(layer, given, signal)
        else:
            assert isinstance(layer, nn.Conv2d)
            signal = _laid_filters(layer, given, signal)
    return signal[0]


def _unpooled(layer: nn.MaxPool2d, given: Tensor, signal: Tensor) -> Tensor:
    """Every value at its switch, one by one."""
    _, switches = nn.functional.max_pool2d(
        given, layer.kernel_size, layer.stride, layer.padding, layer.dilation, layer.ceil_mode, return_indices=True
    )
    made = torch.zeros_like(given)
    for channel, row, column in torch.nonzero(signal[0]).tolist():
        place = divmod(int(switches[0, channel, row, column]), given.shape[3])
        made[0, channel, place[0], place[1]] += signal[0, channel, row, column]
    return made


def _laid_filters(layer: nn.Conv2d, given: Tensor, signal: Tensor) -> Tensor:
    """Every value times its filter, added to what the filter read, one by one."""
    (top, left), (down, right), (step, across) = layer.padding, layer.stride, layer.dilation  # type: ignore[misc]
    weight, (height, width) = layer.weight.detach(), layer.kernel_size
    made = nn.functional.pad(torch.zeros_like(given), (left, left, top, top))  # type: ignore[arg-type]
    per_group, outputs = weight.shape[1], layer.out_channels // layer.groups
    for channel, row, column in torch.nonzero(signal[0]).tolist():
        first = channel // outputs * per_group
        for i in range(height):
            for j in range(width):
                place = row * down + i * step, column * right + j * across  # type: ignore[operator]
                made[0, first : first + per_group, place[0], place[1]] += (
                    weight[channel, :, i, j] * signal[0, channel, row, column]
                )
    return made[:, :, top : top + given.shape[2], left : left + given.shape[3]]  # type: ignore[operator, misc]
