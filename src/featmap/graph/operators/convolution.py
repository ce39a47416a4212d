"""What do convolutions and matrix products read, and how many multiply-adds do they take?"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

from featmap.geometry import IndexSet, Pointwise, TransposedWindow, Whole, Window
from featmap.graph.graph import TensorSpec
from featmap.graph.operators.base.call import NO_AXES, Axes, Call, Operand
from featmap.graph.operators.base.channels import ALL, ChannelSet
from featmap.graph.operators.base.operator import Operator, Rules, lined_up, node_arguments, reads_images_besides, whole


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

    def axes(self, call: Call) -> Axes:
        source: Operand = call["input"]
        if len(call["weight"].shape) == 4:
            return call.plane_axes()
        return Axes(0, None, None) if source.axes.batch == 0 else NO_AXES

    def rules(self, call: Call, operand: Operand) -> Rules:
        if not call.out_axes.has_space or operand.index != call["input"].index:
            return whole(call, operand)
        settings = self.settings(call)
        return lined_up(call, operand, settings.rule(0), settings.rule(1))

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
        words += ["transposed"] if settings.transposed and "transpose" not in call.node.operator else []
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
        transposed = bool(call.get("transposed", "transpose" in call.node.operator))
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


def short(values: tuple[Any, ...]) -> str:
    """One number where all axes share it, else one per axis."""
    return str(values[0]) if len(set(values)) == 1 else " x ".join(map(str, values))


def _padding_text(padding: tuple[tuple[int, int], ...]) -> tuple[str, ...]:
    return tuple(str(before) if before == after else f"{before}+{after}" for before, after in padding)


def _each(value: Any, count: int) -> tuple[int, ...]:
    values = tuple(value) if isinstance(value, list | tuple) else (value,)
    return values * count if len(values) == 1 else values


def _padding(value: Any, kernel: tuple[int, ...], dilation: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    if value == "valid":
        return ((0, 0),) * len(kernel)
    if value == "same":
        totals = [(size - 1) * step for size, step in zip(kernel, dilation, strict=True)]
        return tuple((total // 2, total - total // 2) for total in totals)
    return tuple((size, size) for size in _each(value, len(kernel)))


@dataclass(frozen=True)
class Linear(Operator):
    """A linear layer: pointwise in space on channels-last maps, reads the whole map where that was flattened."""

    kind: ClassVar[str] = "linear"
    is_known: ClassVar[bool] = True

    def axes(self, call: Call) -> Axes:
        axes, last = call["input"].axes, call["input"].rank - 1
        return NO_AXES if last in (axes.row, axes.column, axes.batch) else axes

    def mixes_images(self, call: Call) -> bool:
        return reads_images_besides(call, "input")

    def rules(self, call: Call, operand: Operand) -> Rules:
        if call.out_axes.has_space and operand.index == call["input"].index:
            return Pointwise(), Pointwise()
        return whole(call, operand)

    def reads_all_along(self, call: Call, operand: Operand, axis: int) -> bool:
        return operand.index == call["input"].index and axis == operand.rank - 1

    def macs(self, call: Call) -> int | None:
        return TensorSpec(call.out_shape, call["input"].spec.dtype).count * call["weight"].shape[-1]

    def resized(self, call: Call) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return node_arguments(call.node)


@dataclass(frozen=True)
class MatrixProduct(Operator):
    """A product of two matrices, as in attention: reads the whole map."""

    kind: ClassVar[str] = "matrix product"
    is_known: ClassVar[bool] = True

    def axes(self, call: Call) -> Axes:
        first = call.operands[0].axes
        return Axes(first.batch if first.batch == 0 else None, None, None)

    def mixes_images(self, call: Call) -> bool:
        """Products go image by image where all operands have the images in front and matrices behind."""
        read = [operand for operand in call.operands if operand.depends_on_input]
        ranks = {operand.rank for operand in read}
        in_front = all(operand.axes.batch == 0 for operand in read)
        return not in_front or (len(read) > 1 and (len(ranks) > 1 or min(ranks) < 3))

    def rules(self, call: Call, operand: Operand) -> Rules:
        return Whole(1), Whole(1)

    def passes_axis(self, call: Call, operand: Operand, axis: int) -> bool:
        # Of products of stacks of matrices each reads its own; each row of a product one row of the left matrix.
        left, right = self.factors(call)
        is_left = isinstance(left, Operand) and operand == left and left != right
        return len(call.out_shape) >= operand.rank > 1 and axis < operand.rank - (1 if is_left else 2)

    def factors(self, call: Call) -> tuple[Any, Any]:
        """The left and the right matrix; addmm and baddbmm have a sum as `self`."""
        for names in (("mat1", "mat2"), ("batch1", "batch2"), ("query", "key")):
            if names[0] in call.arguments:
                return call[names[0]], call[names[1]]
        return call.get("self"), call.get("other", call.get("mat2"))

    def macs(self, call: Call) -> int | None:
        left, _ = self.factors(call)
        if not isinstance(left, Operand) or not left.rank:
            return None
        return prod(call.out_shape) * left.shape[-1]

    def resized(self, call: Call) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return node_arguments(call.node)


@dataclass(frozen=True)
class Attention(MatrixProduct):
    """Scaled dot-product attention: every query meets every key, and every output sums over all values."""

    def macs(self, call: Call) -> int | None:
        queries, keys = call["query"].shape, call["key"].shape
        return (prod(queries) + prod(call.out_shape)) * keys[-2]


@dataclass(frozen=True)
class Einsum(MatrixProduct):
    """A sum of products written as an equation; its cost is known for two operands that share what is summed."""

    def passes_axis(self, call: Call, operand: Operand, axis: int) -> bool:
        return False

    def stated(self, call: Call) -> dict[str, Any]:
        return {"equation": call["equation"].replace(" ", "")}

    def mixes_images(self, call: Call) -> bool:
        """Each image by itself where one letter counts the images in every operand and first in the result."""
        sides, _, result = call["equation"].replace(" ", "").replace("...", ".").partition("->")
        pairs = zip(sides.split(","), call["tensors"], strict=True)
        read = [(term, operand) for term, operand in pairs if operand.depends_on_input]
        first = {term[:1] for term, _ in read} | {result[:1]}
        return len(first) != 1 or any(operand.axes.batch != 0 for _, operand in read)

    def macs(self, call: Call) -> int | None:
        sides, arrow, result = call["equation"].replace(" ", "").partition("->")
        terms = sides.split(",")
        shapes = [operand.shape for operand in call["tensors"]]
        if not arrow or len(terms) != 2 or "." in sides or any(len(set(term)) < len(term) for term in terms):
            return None
        pairs = (zip(term, shape, strict=True) for term, shape in zip(terms, shapes, strict=True))
        sizes = {letter: size for pair in pairs for letter, size in pair}
        summed = set(terms[0]) & set(terms[1]) - set(result)
        # What only one operand has and the result lacks is summed before anything is multiplied.
        return prod(sizes[letter] for letter in {*result, *summed}) if summed else 0


@dataclass(frozen=True)
class Distances(MatrixProduct):
    """cdist: the distance of every vector to every other; for Euclidean ones a square is added up per coordinate."""

    def macs(self, call: Call) -> int | None:
        return prod(call.out_shape) * call["x1"].shape[-1] if call["p"] == 2 else None
