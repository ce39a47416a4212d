"""Convolutions and transposed convolutions over any number of spatial axes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from featmap.geometry import IndexSet, TransposedWindow, Window
from featmap.graph.graph import Node, TensorSpec, items_of
from featmap.graph.operators.base.call import NO_AXES, Axes, Call, Operand, named_arguments
from featmap.graph.operators.base.channels import ALL, ChannelSet
from featmap.graph.operators.base.operator import Operator, Rules, lined_up, node_arguments, reads_images_besides, whole
from featmap.graph.operators.base.regions import Kernel, Weights, WindowKernel, reads_one
from featmap.graph.operators.base.roles import Role
from featmap.graph.operators.base.sides import Side, cut_boxes, offsets


@dataclass(frozen=True)
class ConvolutionSettings:
    """A convolution's settings along its spatial axes, one entry per axis; padding as (before, after)."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    dilation: tuple[int, ...]
    groups: int
    transposed: bool
    output_padding: tuple[int, ...]

    def rule(self, axis: int) -> Window | TransposedWindow:
        """The window along one spatial axis."""
        before, after = self.padding[axis]
        if self.transposed:
            return TransposedWindow(
                self.kernel[axis], self.stride[axis], before, after, self.dilation[axis], self.output_padding[axis]
            )
        return Window(self.kernel[axis], self.stride[axis], before, after, self.dilation[axis])


@dataclass(frozen=True)
class Convolution(Operator):
    """Convolution and transposed convolution over any number of spatial axes."""

    kind: ClassVar[str] = "convolution"
    is_known: ClassVar[bool] = True
    is_convolution: ClassVar[bool] = True
    is_linear: ClassVar[bool] = True
    is_fresh: ClassVar[bool] = True
    weights_are_channels: ClassVar[bool] = True

    is_transposed: ClassVar[bool] = False
    says_transposed: ClassVar[bool] = True
    """Whether the details of a transposed one say that it is, since its name does not."""

    def axes(self, call: Call) -> Axes:
        source, count = call["input"], self.works_over(call)
        if count in (2, call.graph.map_axes):
            return call.map_axes(count)
        return Axes(0) if source.axes.batch == 0 and source.rank == count + 2 else NO_AXES

    def works_over(self, call: Call) -> int:
        return len(call["weight"].shape) - 2

    def rules(self, call: Call, operand: Operand) -> Rules:
        is_input = operand.index == call["input"].index and call.node.inputs.count(operand.index or 0) == 1
        if not call.out_axes.has_space or not is_input:
            return whole(call, operand)
        settings = self.settings(call)
        return lined_up(call, operand, [settings.rule(axis) for axis in range(len(settings.kernel))])

    def passes_axis(self, call: Call, operand: Operand, axis: int) -> bool:
        return axis == 0 and operand.index == call["input"].index and operand.rank == len(call["weight"].shape)

    def reads_all_along(self, call: Call, operand: Operand, axis: int) -> bool:
        is_channel = axis == operand.rank + 1 - len(call["weight"].shape)
        return is_channel and operand.index == call["input"].index and int(call["groups"]) == 1

    def mixes_images(self, call: Call) -> bool:
        return reads_images_besides(call, "input")

    def channels(self, call: Call, position: int, wanted: ChannelSet) -> ChannelSet:
        groups = int(call["groups"])
        if groups == 1 or not isinstance(wanted, IndexSet):
            return ALL if groups == 1 else wanted
        inputs, outputs = call["input"].shape[1] // groups, call.out_shape[1] // groups
        read = {channel // outputs for channel in wanted}
        return IndexSet.of(channel for group in read for channel in range(group * inputs, (group + 1) * inputs))

    def describe(self, call: Call) -> str:
        settings = self.settings(call)
        words = [" x ".join(map(str, settings.kernel))]
        words += ["transposed"] if settings.transposed and self.says_transposed else []
        words += [f"stride {short(settings.stride)}"] if set(settings.stride) != {1} else []
        words += [f"padding {short(_padding_text(settings.padding))}"] if any(map(any, settings.padding)) else []
        words += [f"dilation {short(settings.dilation)}"] if set(settings.dilation) != {1} else []
        extra = settings.output_padding
        words += [f"output padding {short(extra)}"] if settings.transposed and any(extra) else []
        words += [f"groups {settings.groups}"] if settings.groups != 1 else []
        return ", ".join(words)

    def settings(self, call: Call) -> ConvolutionSettings:
        """The settings as captured."""
        weight: Operand = call["weight"]
        kernel = weight.shape[2:]
        count = len(kernel)
        transposed = bool(call.get("transposed", self.is_transposed))
        stride, dilation = _each(call["stride"], count), _each(call["dilation"], count)
        padding = _padding(call["padding"], kernel, dilation)
        extra = _each(call.get("output_padding", 0), count)
        return ConvolutionSettings(kernel, stride, padding, dilation, int(call["groups"]), transposed, extra)

    def macs(self, call: Call) -> int | None:
        weight: Operand = call["weight"]
        per_channel = TensorSpec(weight.shape[1:], call["weight"].spec.dtype).count
        counted = call["input"].shape if self.settings(call).transposed else call.out_shape
        return TensorSpec(counted, call["weight"].spec.dtype).count * per_channel

    def resized(self, call: Call) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return node_arguments(call.node)

    def takes_norm(self, node: Node) -> bool:
        """Whether the scale and shift of a normalisation behind it can go into its weights."""
        return not named_arguments(node).get("transposed", False)

    def windows(self, call: Call, operand: Operand) -> WindowKernel | None:
        settings = self.settings(call)
        if len(settings.kernel) != 2 or operand.index != call["input"].index or len(call.node.args) < 2:
            return None
        rows, columns = self.rules(call, operand)
        make = transposed if settings.transposed else convolved
        return WindowKernel(rows, columns, lambda weights: _kernel(make, settings, weights))

    def role_in_space(self, call: Call) -> Role | None:
        if not reads_one(call) or len(call.out_shape) != 4:
            return None
        return Role.WHOLE if self.settings(call).transposed else Role.CONVOLUTION


@dataclass(frozen=True)
class PlainConvolution(Convolution):
    """conv1d, conv2d, conv3d: never transposed."""


@dataclass(frozen=True)
class TransposedConvolution(Convolution):
    """conv_transpose1d, conv_transpose2d, conv_transpose3d."""

    is_transposed: ClassVar[bool] = True
    says_transposed: ClassVar[bool] = False

    def takes_norm(self, node: Node) -> bool:
        return False


def _kernel(make: Callable[..., Tensor], settings: ConvolutionSettings, weights: Weights) -> Kernel:
    assert weights is not None
    weight, bias = weights
    return lambda gathered, rows, columns: make(gathered, weight, bias, settings, rows, columns)


def convolved(places: Tensor, weight: Tensor, bias: Tensor | None, settings: Any, *_sides: Side) -> Tensor:
    """A convolution without padding of gathered places."""
    maps = places.permute(0, 3, 1, 2)
    return torch.conv2d(maps, weight, bias, settings.stride, 0, settings.dilation, settings.groups)


def transposed(places: Tensor, weight: Tensor, bias: Tensor | None, settings: Any, rows: Side, columns: Side) -> Tensor:
    """A transposed convolution of gathered places, cut to the boxes: (image, channel, row, column)."""
    maps = places.permute(0, 3, 1, 2)
    full = functional.conv_transpose2d(maps, weight, bias, settings.stride, 0, 0, settings.groups, settings.dilation)
    row_at, column_at = (offsets(side) for side in (rows, columns))
    needed = int(row_at.max()) + rows.width - full.shape[2], int(column_at.max()) + columns.width - full.shape[3]
    if max(needed) > 0:
        fill = functional.pad(full, (0, max(needed[1], 0), 0, max(needed[0], 0)))
        if bias is not None:
            fill[:, :, full.shape[2] :] = bias[:, None, None]
            fill[:, :, :, full.shape[3] :] = bias[:, None, None]
        full = fill
    return cut_boxes(full, row_at, rows.width, column_at, columns.width)


def short(values: tuple[Any, ...]) -> str:
    """One number where all axes share it, else one per axis."""
    return str(values[0]) if len(set(values)) == 1 else " x ".join(map(str, values))


def _padding_text(padding: tuple[tuple[int, int], ...]) -> tuple[str, ...]:
    return tuple(str(before) if before == after else f"{before}+{after}" for before, after in padding)


def _each(value: Any, count: int) -> tuple[int, ...]:
    values = tuple(items_of(value))
    return values * count if len(values) == 1 else values


def _padding(value: Any, kernel: tuple[int, ...], dilation: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    if value == "valid":
        return ((0, 0),) * len(kernel)
    if value == "same":
        totals = [(size - 1) * step for size, step in zip(kernel, dilation, strict=True)]
        return tuple((total // 2, total - total // 2) for total in totals)
    return tuple((size, size) for size in _each(value, len(kernel)))
