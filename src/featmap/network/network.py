"""The captured network that all methods share: graph at one input size, names, layers, tensors, preprocessing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import prod
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from featmap.capture.capture import capture
from featmap.errors import InputError
from featmap.geometry.setting import axis_words
from featmap.graph.graph import Graph, TensorSpec
from featmap.graph.operators.base.channels import channel_axis
from featmap.graph.operators.base.operator import NotResizable
from featmap.graph.operators.table import is_known, operator_of
from featmap.graph.sized_graph import SizedGraph
from featmap.network.address import Address
from featmap.network.layers import CapturedLayer, find_layers
from featmap.network.names import Names
from featmap.network.preprocess import Preprocessing, default_preprocessing
from featmap.network.resolve import Place, Resolver
from featmap.network.tensors import LiveTensors

Recapture = Callable[[tuple[int, ...]], "CapturedNetwork"]


@dataclass(frozen=True)
class CapturedNetwork:
    """A network ready for use.

    `captured` is the graph at the size at which it was captured, `sized` at the wanted size. `tensors` are the weights
    by name. `recapture` captures the model at another input shape, for graphs that hold sizes as constants; `None`
    where only the graph itself is available. `classes` are the names of the scores that it returns, where known.
    """

    name: str
    captured: SizedGraph
    tensors: Mapping[str, Tensor]
    preprocessing: Preprocessing
    recapture: Recapture | None = None
    sized_as: SizedGraph | None = None
    weights_source: str = "the module's own"
    other_inputs: Mapping[int, Tensor] = field(default_factory=dict[int, Tensor])
    classes: tuple[str, ...] | None = None

    @property
    def graph(self) -> Graph:
        return self.captured.graph

    @property
    def sized(self) -> SizedGraph:
        return self.sized_as or self.captured

    @cached_property
    def names(self) -> Names:
        return Names(self.graph)

    @cached_property
    def layers(self) -> tuple[CapturedLayer, ...]:
        return find_layers(self.captured, self.names)

    @cached_property
    def resolver(self) -> Resolver:
        return Resolver(self.sized, self.names, self.layers)

    @property
    def takes_images(self) -> bool:
        """Whether the input is an image: a signal, a picture or a volume, the pixels of receptive fields."""
        return bool(self.sized.axes[self.graph.image_input].in_space)

    @property
    def takes_pictures(self) -> bool:
        """Whether the input is (image, channel, row, column), of which regions can be recomputed."""
        axes, rank = self.sized.axes[self.graph.image_input], len(self.input_shape) + 1
        return rank == 4 and axes.spatial == (2, 3)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one image: (channel, row, column), (channel, position) of a signal."""
        return self.sized.shape(self.graph.image_input)[1:]

    @property
    def scores(self) -> tuple[int, int] | None:
        """The node that holds one score per class, and their number; None where the network returns something else."""
        outputs = self.graph.outputs
        node = outputs[0] if len(outputs) == 1 else None
        shape = () if node is None else self.sized.shape(node)
        is_vector = tuple(shape[:1]) == (1,) and all(size == 1 for size in shape[2:])
        return (node, prod(shape)) if node is not None and is_vector else None

    @property
    def input_spec(self) -> TensorSpec:
        """Shape and dtype of the image input, with its axis of images."""
        spec = self.sized.specs[self.graph.image_input]
        assert isinstance(spec, TensorSpec)
        return spec

    @property
    def channels(self) -> int | None:
        """The channels of an image; None where images have no such axis, as some signals have none."""
        axis = channel_axis(self.sized.axes[self.graph.image_input], len(self.input_shape) + 1)
        return None if axis is None else self.input_shape[axis - 1]

    @property
    def input_words(self) -> str:
        """The axes of an input in words: image, channel, row, column."""
        labels = self.sized.image_labels
        places = [words.cell for words in axis_words(len(labels))] if labels else []
        others = len(self.input_shape) - len(places)
        return ", ".join(["image", *(["channel"] if others == 1 else ["value"] * others), *places])

    def shown(self, values: Tensor) -> Image.Image | None:
        """A picture of preprocessed values (channel, row, column); None of signals and volumes."""
        return self.preprocessing.shown(values) if self.takes_pictures else None

    @cached_property
    def unknown_operators(self) -> tuple[str, ...]:
        """Operators on a path from the input that are not in the table, and so are treated as reading everything."""
        names = (node.operator for node in self.graph if node.depends_on_input and not is_known(node))
        return tuple(dict.fromkeys(names))

    def place(self, address: str | Address) -> Place:
        """The place that an address names in this network."""
        return self.resolver.place(address)

    def layer_places(self) -> tuple[Place, ...]:
        """Every layer's activation, or its last stage where it has none."""
        return tuple(self.resolver.stage_of(layer) for layer in self.layers)

    def at(self, input_shape: tuple[int, ...]) -> CapturedNetwork:
        """The same network for another size of the image.

        The captured graph is reused unless it holds numbers that were computed from the captured size; then the model
        is captured again. Raises: InputError: a layer cannot take what this size gives.
        """
        shape = tuple(input_shape)
        if shape == self.input_shape:
            return self
        self._check_shape(shape)
        record = self.preprocessing.at(self.input_shape, shape)
        try:
            return replace(self, sized_as=self.captured.resized((1, *shape)), preprocessing=record)
        except NotResizable as reason:
            if self.recapture is None:
                raise InputError(
                    f"{self.name} was captured for {_sizes(self.input_shape)} and may hold numbers computed from that "
                    f"size ({reason}); it cannot be asked about {_sizes(shape)}.",
                    "Export the model again at the wanted size.",
                ) from None
            return replace(self.recapture(shape), preprocessing=record, classes=self.classes)

    def _check_shape(self, shape: tuple[int, ...]) -> None:
        expected = self.input_shape
        channels = None if self.takes_images and self.channels is None else expected[0]
        if len(shape) == len(expected) and channels in (None, shape[0]) and min(shape) >= 1:
            return
        if channels is None:
            raise InputError(
                f"{self.name} takes inputs of shape {_sizes(expected)}; got {_sizes(shape)}.",
                f"Give {len(expected)} size{'s' * (len(expected) != 1)} from 1 on.",
            )
        places = [words.cells for words in axis_words(len(expected) - 1)] if len(expected) in (2, 3, 4) else []
        raise InputError(
            f"{self.name} takes images of {channels} channels, shape {_sizes(expected)}; got {_sizes(shape)}.",
            f"Give the shape as {' x '.join(['channels', *places])}, with {channels} channels.",
        )


def _sizes(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


def capture_module(
    module: nn.Module,
    inputs: tuple[Any, ...],
    kwargs: dict[str, Any],
    *,
    name: str,
    preprocessing: Preprocessing | None = None,
) -> CapturedNetwork:
    """A network captured from a module on example inputs (batch of one), with the module's own tensors."""
    with torch.inference_mode(False):
        inputs, kwargs = pytree.tree_map_only(Tensor, _plain, (inputs, kwargs))
    graph, program = capture(module, inputs, kwargs)
    sized = SizedGraph(graph)
    shape = sized.shape(graph.image_input)[1:]
    flat = [value for value in pytree.tree_leaves((inputs, kwargs)) if isinstance(value, Tensor)]
    others = {index: value for index, value in zip(graph.inputs, flat, strict=False) if index != graph.image_input}

    def again(wanted: tuple[int, ...]) -> CapturedNetwork:
        image = next(value for value in flat if tuple(value.shape[1:]) == shape)
        resized = torch.empty((image.shape[0], *wanted), dtype=image.dtype, device=image.device)

        def other(value: Any) -> Any:
            return resized if value is image else value

        new_inputs, new_kwargs = pytree.tree_map(other, (inputs, kwargs))
        return capture_module(module, new_inputs, new_kwargs, name=name, preprocessing=preprocessing)

    network = CapturedNetwork(
        name,
        sized,
        LiveTensors(program),
        preprocessing or default_preprocessing(shape, takes_pictures=sized.axes[graph.image_input].spatial == (2, 3)),
        again,
        other_inputs=others,
    )
    return for_one_image(network)


def _plain(tensor: Tensor) -> Tensor:
    """The tensor, of what torch.inference_mode made a copy, which torch.export can record."""
    return tensor.clone() if tensor.is_inference() else tensor


def for_one_image(network: CapturedNetwork) -> CapturedNetwork:
    """The network with shapes for one image, even where it was captured on several.

    Raises: InputError: it is valid for the captured number of images only.
    """
    images, *shape = network.captured.shape(network.graph.image_input)
    if images == 1:
        return network
    try:
        if not network.other_inputs:
            return replace(network, sized_as=network.captured.resized((1, *shape)))
    except (NotResizable, InputError):
        pass
    raise InputError(
        f"{network.name} was captured on {images} images at once, and its shapes are valid for that number only.",
        f"Give an example input of one image, shape (1, {', '.join(map(str, shape))}).",
    )


__all__ = ["CapturedNetwork", "capture_module", "operator_of"]
