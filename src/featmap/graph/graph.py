"""The graph of a captured network: immutable nodes, the values they read, and the weights they use.

A `Graph` is the list of a model's operators in the order in which they run, free of in-place writes. It holds no
tensors of its own: weights are looked up by name in the table that belongs to the user's module.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import torch


@dataclass(frozen=True, slots=True)
class Reference:
    """An argument that is the value of another node."""

    index: int


@dataclass(frozen=True, slots=True)
class Weight:
    """An argument that is a parameter, a buffer or a constant of the model, by its name there."""

    name: str


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """Shape and dtype of a value."""

    shape: tuple[int, ...]
    dtype: torch.dtype

    @property
    def count(self) -> int:
        """The number of elements of the value."""
        count = 1
        for size in self.shape:
            count *= size
        return count

    @property
    def size_bytes(self) -> int:
        return self.count * self.dtype.itemsize


Spec = TensorSpec | tuple["TensorSpec | None", ...] | None


@dataclass(frozen=True, slots=True)
class ModuleCall:
    """One call of a module: its path, the number of the call (from 1), and its class."""

    path: str
    number: int
    type_name: str


@dataclass(frozen=True)
class Node:
    """One operator call.

    `stack` lists the module calls that it runs in, outermost first. `spec` is the value's shape as captured (a tuple
    of them for operators that return several). `depends_on_input` is false for values made of weights alone.
    """

    index: int
    operator: str
    target: Callable[..., Any] | None
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    stack: tuple[ModuleCall, ...]
    spec: Spec
    inputs: tuple[int, ...]
    weights: tuple[str, ...]
    depends_on_input: bool

    @property
    def is_input(self) -> bool:
        return self.operator == "input"

    @property
    def owner(self) -> ModuleCall:
        """The module call whose forward makes this operator call."""
        return self.stack[-1] if self.stack else ModuleCall("", 1, "")

    @property
    def base_name(self) -> str:
        """The operator's plain name: `relu` for `aten.relu.default`, `own.relu` for `own.relu.default`."""
        parts = self.operator.split(".")
        return parts[1] if parts[0] == "aten" else ".".join(parts[:2])

    def moved(self, index: int, to: Callable[[int], int]) -> Node:
        """The same call at another index of another graph; `to` maps the values that it reads."""

        def moved(leaf: Reference | Weight) -> Reference | Weight:
            return Reference(to(leaf.index)) if isinstance(leaf, Reference) else leaf

        args = map_arguments(self.args, moved)
        kwargs = {name: map_arguments(value, moved) for name, value in self.kwargs.items()}
        return replace(self, index=index, args=args, kwargs=kwargs, **read_by(args, kwargs))


@dataclass(frozen=True)
class WeightSpec:
    """A tensor that belongs to the model: `parameter`, `buffer` or `constant`, its shape and dtype."""

    kind: str
    spec: TensorSpec


@dataclass(frozen=True)
class SizeRead:
    """A line of the model's code that reads the size of a tensor while it runs; line 0 where it is not known."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{Path(self.file).name}:{self.line}" if self.line else Path(self.file).name


@dataclass(frozen=True)
class Written:
    """An attribute or buffer that the module's forward writes in evaluation.

    `is_weight`: its former value can only have been read as a tensor, which then is a weight of that name.
    `is_recomputed`: it is computed from weights alone, so that every call writes the same.
    """

    name: str
    is_weight: bool
    is_recomputed: bool = False


@dataclass(frozen=True)
class Graph:
    """A whole captured model.

    `outputs` lists the node of every output tensor in flattened order, `None` for outputs that are not tensors;
    `unflatten` puts such a list back into the model's own structure. `removed` maps the module calls of operators
    that change nothing (dropout in evaluation) to the value that passed through. `size_reads` are the lines where
    the model's own code reads sizes, so that numbers in the graph may depend on the input's size. `own_gradients`
    names, for values whose gradient the model defines itself, what defines it. `copy_of` maps operators that the model
    calls once on several joined images, and that are here once for each image, to that call. `other_names` lists, for
    paths of modules that are registered under several names, the others. `written` is what the forward writes to its
    module in evaluation. `map_axes` is the number of axes of its feature maps: 1 of signals, 2 of pictures, 3 of
    volumes; `image_axes` lists the image input's own for each of them, None where it has none; without the
    list they are the last of an image that has an axis of channels.
    """

    nodes: tuple[Node, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int | None, ...]
    weights: dict[str, WeightSpec]
    unflatten: Callable[[list[Any]], Any] = field(compare=False)
    removed: dict[tuple[ModuleCall, ...], int] = field(default_factory=dict[tuple[ModuleCall, ...], int])
    size_reads: tuple[SizeRead, ...] = ()
    own_gradients: dict[int, str] = field(default_factory=dict[int, str])
    copy_of: dict[int, int] = field(default_factory=dict[int, int])
    other_names: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    written: tuple[Written, ...] = ()
    map_axes: int = 2
    image_axes: tuple[int | None, ...] | None = None

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes)

    def __len__(self) -> int:
        return len(self.nodes)

    def __getitem__(self, index: int) -> Node:
        return self.nodes[index]

    @cached_property
    def readers(self) -> tuple[tuple[int, ...], ...]:
        """For every node, the nodes that read its value, in order."""
        readers: list[list[int]] = [[] for _ in self.nodes]
        for node in self.nodes:
            for index in dict.fromkeys(node.inputs):
                readers[index].append(node.index)
        return tuple(map(tuple, readers))

    @cached_property
    def image_input(self) -> int:
        """The node of the input that holds images: the first with four axes, else the first."""
        for index in self.inputs:
            spec = self.nodes[index].spec
            if isinstance(spec, TensorSpec) and len(spec.shape) == 4:
                return index
        return self.inputs[0]

    @cached_property
    def made_of_image(self) -> frozenset[int]:
        """The image input and every node that reads it, directly or not; a network may have other inputs too."""
        found = {self.image_input}
        for node in self.nodes:
            if not found.isdisjoint(node.inputs):
                found.add(node.index)
        return frozenset(found)

    def ancestors(self, wanted: list[int] | tuple[int, ...]) -> frozenset[int]:
        """The wanted nodes and everything that they read, directly or not."""
        seen: set[int] = set()
        waiting = list(wanted)
        while waiting:
            index = waiting.pop()
            if index not in seen:
                seen.add(index)
                waiting.extend(self.nodes[index].inputs)
        return frozenset(seen)


def map_arguments(value: Any, replace: Callable[[Any], Any]) -> Any:
    """`value` with every `Reference` and `Weight` in it replaced, also inside lists.

    >>> map_arguments([Reference(3), 2], lambda leaf: "x")
    ['x', 2]
    """
    if isinstance(value, Reference | Weight):
        return replace(value)
    if isinstance(value, list | tuple):
        replaced = [map_arguments(item, replace) for item in items_of(value)]
        return replaced if isinstance(value, list) else tuple(replaced)
    return value


def items_of(value: Any) -> list[Any]:
    """The items of a list or tuple; anything else is its own only item.

    >>> items_of((2, 3)), items_of(2)
    ([2, 3], [2])
    """
    if isinstance(value, list | tuple):
        return list(cast("Sequence[Any]", value))
    return [value]


def spec_of(value: Any) -> Spec:
    """Shape and dtype of a (fake) tensor, or of each of several."""
    if isinstance(value, torch.Tensor):
        return TensorSpec(tuple(int(size) for size in value.shape), value.dtype)
    if isinstance(value, list | tuple):
        parts = (spec_of(item) for item in items_of(value))
        return tuple(part if isinstance(part, TensorSpec) else None for part in parts)
    return None


def read_by(args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The values and weights that a call with these arguments reads, as keyword arguments of `Node`."""
    found = list(leaves((args, kwargs)))
    return {
        "inputs": tuple(leaf.index for leaf in found if isinstance(leaf, Reference)),
        "weights": tuple(leaf.name for leaf in found if isinstance(leaf, Weight)),
    }


def leaves(value: Any) -> Iterator[Reference | Weight]:
    """All values and weights in arguments, in order."""
    if isinstance(value, Reference | Weight):
        yield value
    elif isinstance(value, list | tuple):
        for item in items_of(value):
            yield from leaves(item)
    elif isinstance(value, dict):
        yield from leaves(list(cast("dict[str, Any]", value).values()))
