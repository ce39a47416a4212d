"""A graph prepared to compute its wanted values for batches of images.

A `Program` is prepared once for a set of wanted values: steps planned, values made of weights alone computed, batch
norms folded, weights laid out channels last. Running it touches nothing of the user's: weights are only read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from jaxtyping import Shaped
from torch import Tensor

from featmap.graph.graph import Graph, Node, Reference, TensorSpec, Weight, map_arguments
from featmap.graph.operators.base.operator import NotResizable
from featmap.graph.operators.convolution import Convolution, ConvolutionSettings, PlainConvolution
from featmap.graph.operators.table import operator_of
from featmap.graph.sized_graph import SizedGraph, resized_arguments
from featmap.run.program.constants import Constants, Weights
from featmap.run.program.dtypes import in_dtype, tensor_in_dtype
from featmap.run.program.steps import Step, plan_steps

_POINTWISE = ([1, 1], [0, 0], [1, 1], 1)
"""Stride, padding, dilation and groups of a convolution where they are not given."""


class Program:
    """The way to the wanted values.

    `weights` are the user's own tensors by name. `fold=False` computes every value on the way as the model does.
    """

    def __init__(
        self,
        sized: SizedGraph,
        weights: Weights,
        wanted: Iterable[int],
        *,
        fold: bool = True,
        dtype: torch.dtype | None = None,
        device: torch.device | None = None,
    ) -> None:
        self.captured = sized
        self.graph: Graph = sized.graph
        self.wanted = tuple(dict.fromkeys(wanted))
        self.device = device or _device(weights)
        self.dtype = dtype
        self.steps = plan_steps(self.graph, self.wanted, fold=fold)
        self._passing_steps = plan_steps(self.graph, self.wanted, fold=fold, keep_wanted=False)
        with torch.no_grad():
            self.constants = Constants(self.graph, weights, self._placed, dtype)
            self.bound = {step.node.index: self._bound_weights(step) for step in self.steps}
        self.pointwise = {step.node.index for step in self.steps if self._is_pointwise(step.node)}
        self.settings = {index: self._settings(index) for index, bound in self.bound.items() if bound is not None}
        self._arguments: dict[tuple[int, ...], list[tuple[tuple[Any, ...], dict[str, Any]]]] = {}

    @property
    def image_dtype(self) -> torch.dtype:
        """The dtype in which images go in."""
        spec = self.graph[self.graph.image_input].spec
        assert isinstance(spec, TensorSpec)
        return self.dtype if self.dtype is not None and spec.dtype.is_floating_point else spec.dtype

    @property
    def signal_dtype(self) -> torch.dtype:
        """The dtype of signals on their way back to the images, which may be whole numbers themselves."""
        own = self.image_dtype
        return own if own.is_floating_point else self.dtype or torch.get_default_dtype()

    def run(self, images: Shaped[Tensor, "image ..."], others: Mapping[int, Tensor] | None = None) -> dict[int, Any]:
        """The wanted values for a batch of images (image, channel, row, column), by node.

        Raises: NotResizable: the graph holds for the captured number or size of images alone.
        """
        # Not inference mode: its tensors could not be used by autograd, nor changed in place, by the user later.
        with torch.no_grad():
            values = self._inputs(images, others or {})
            for step, (args, kwargs) in zip(self.steps, self.arguments_for(tuple(images.shape)), strict=True):
                values[step.result] = self.call_step(step, args, kwargs, values)
                for index in step.frees:
                    values.pop(index, None)
            return {index: self._value(index, values) for index in self.wanted}

    def each(
        self, images: Shaped[Tensor, "image ..."], others: Mapping[int, Tensor] | None = None
    ) -> Iterator[tuple[int, Any]]:
        """Every wanted value as soon as it is made, with its node; it is let go after its last reader.

        What is read from a value has to be read before the next one is asked for: later steps write over it.
        Raises: NotResizable: the graph holds for the captured number or size of images alone.
        """
        values = self._inputs(images, others or {})
        left = set(self.wanted)
        for step, (args, kwargs) in zip(self._passing_steps, self.arguments_for(tuple(images.shape)), strict=True):
            with torch.no_grad():
                values[step.result] = self.call_step(step, args, kwargs, values)
            if step.result in left:
                left.remove(step.result)
                yield step.result, values[step.result]
            for index in step.frees:
                if index not in left:
                    values.pop(index, None)
        for index in left:
            yield index, self._value(index, values)

    def _inputs(self, images: Tensor, others: Mapping[int, Tensor]) -> dict[int, Any]:
        images = self.placed_images(images)
        return {self.graph.image_input: images, **{index: self._placed(value) for index, value in others.items()}}

    def placed_images(self, images: Shaped[Tensor, "*axes"]) -> Shaped[Tensor, "*axes"]:
        """The images on the program's device, in its dtype, laid out channels last."""
        images = images.detach().to(device=self.device, dtype=self.image_dtype)
        return images.contiguous(memory_format=torch.channels_last) if images.ndim == 4 else images

    def _placed(self, tensor: Tensor) -> Tensor:
        return tensor_in_dtype(tensor.detach().to(device=self.device), self.dtype)

    def _value(self, index: int, values: dict[int, Any]) -> Any:
        return values[index] if index in values else self.constants.value(index)

    def call_step(self, step: Step, args: tuple[Any, ...], kwargs: dict[str, Any], values: dict[int, Any]) -> Any:
        """The value of one step, given those that it reads."""
        bound = self.bound[step.node.index]

        def tensor(leaf: Reference | Weight) -> Any:
            if isinstance(leaf, Reference) and leaf.index in values:
                return values[leaf.index]
            return self.constants.value(leaf.index) if isinstance(leaf, Reference) else self.constants.weight(leaf.name)

        if bound is not None:
            source = values[args[0].index]
            if step.node.index in self.pointwise and source.ndim == 4 and not torch.is_grad_enabled():
                # What torch takes for many images or threads; for one thread and few images it takes something slower.
                stride, padding, dilation, groups = _with_defaults(args)
                return torch.ops.aten.mkldnn_convolution.default(source, *bound, padding, stride, dilation, groups)
            return step.target(source, *bound, *map_arguments(args[3:], tensor))
        return step.target(*map_arguments(args, tensor), **{k: map_arguments(v, tensor) for k, v in kwargs.items()})

    def _bound_weights(self, step: Step) -> tuple[Tensor, Tensor | None] | None:
        """Weight and bias of a convolution, folded and laid out; None for every other step."""
        node = step.node
        if not operator_of(node).is_convolution or self._reads_input_as_weight(node):
            return None
        weight, bias = (self.constants.argument(argument) for argument in (*node.args[1:3], None)[:2])
        if step.folded is not None:
            weight, bias = self._folded(weight, bias, step.folded)
        if weight.ndim == 4:
            weight = weight.contiguous(memory_format=torch.channels_last)
        return weight, bias

    def _is_pointwise(self, node: Node) -> bool:
        """Whether a convolution is one of single places, by weights that oneDNN takes."""
        bound = self.bound[node.index]
        if bound is None or not isinstance(operator_of(node), PlainConvolution) or self.device.type != "cpu":
            return False
        weight = bound[0]
        return (
            weight.dtype == torch.float32
            and tuple(weight.shape[2:]) == (1, 1)
            and _with_defaults(node.args)[:3] == _POINTWISE[:3]
            and torch.backends.mkldnn.is_available()
            and bool(torch.backends.mkldnn.enabled)
        )

    def _settings(self, index: int) -> ConvolutionSettings:
        operator = self.captured.operator(self.graph[index])
        assert isinstance(operator, Convolution)
        return operator.settings(self.captured.call(self.graph[index]))

    def _reads_input_as_weight(self, node: Node) -> bool:
        leaves = [argument for argument in node.args[1:3] if isinstance(argument, Reference)]
        return any(self.graph[leaf.index].depends_on_input for leaf in leaves) or len(node.args) < 2

    def _folded(self, weight: Tensor, bias: Tensor | None, norm: Node) -> tuple[Tensor, Tensor]:
        # In float64: the product of scale and weight is rounded once, as the batch norm itself would round.
        scale, shift = self.constants.scale_and_shift(norm)
        kernel = weight.double() * scale.view(-1, *[1] * (weight.ndim - 1))
        offset = shift if bias is None else bias.double() * scale + shift
        return kernel.to(weight.dtype), offset.to(weight.dtype)

    def arguments_for(self, shape: tuple[int, ...]) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
        """The arguments of every step for images of this shape. Raises: NotResizable."""
        if shape not in self._arguments:
            sized = self.captured.resized(shape)
            self._arguments[shape] = [self._on_device(*resized_arguments(sized, step.node)) for step in self.steps]
        return self._arguments[shape]

    def _on_device(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if kwargs.get("device") is not None:
            kwargs = {**kwargs, "device": self.device}
        return tuple(in_dtype(args, self.dtype)), in_dtype(kwargs, self.dtype)


def _with_defaults(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Stride, padding, dilation and groups, of the arguments of aten.conv2d."""
    given = args[3:]
    return (*given, *_POINTWISE[len(given) :])


def _device(weights: Weights) -> torch.device:
    for tensor in weights.values():
        return tensor.device
    return torch.device("cpu")


__all__ = ["NotResizable", "Program", "Weights"]
