"""One operator call as an operator sees it: its arguments by name, and shape and axes of each value.

The same call can be asked about at another input size: the shapes then differ from the captured ones.
"""

from __future__ import annotations

import operator as python_operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

from featmap.graph.graph import Graph, Node, Reference, Spec, Weight, map_arguments
from featmap.graph.schema import is_operator, schema_of


@dataclass(frozen=True, slots=True)
class Axes:
    """Which axes of a value are images and places of a map; `None` where the value has no such axis.

    `spatial` has one entry per axis of a map, the outermost first: rows and columns of a picture, planes before them
    in a volume, positions alone in a signal. It is empty where nobody knows any.
    """

    batch: int | None
    spatial: tuple[int | None, ...] = ()

    @property
    def has_space(self) -> bool:
        return bool(self.spatial) and None not in self.spatial

    @property
    def is_plane(self) -> bool:
        """Whether the value has rows and columns and no other axes of maps, as those of pictures have."""
        return len(self.spatial) == 2 and None not in self.spatial

    @property
    def known(self) -> tuple[int | None, ...]:
        """Images and the axes of maps together."""
        return (self.batch, *self.spatial)

    @property
    def in_space(self) -> tuple[int, ...]:
        """The axes of maps that the value has."""
        return tuple(axis for axis in self.spatial if axis is not None)

    def each(self, to: Callable[[int], int | None]) -> Axes:
        """The axes at the places that `to` gives for them; what has no axis gets none."""
        batch, *spatial = (None if axis is None else to(axis) for axis in self.known)
        return Axes(batch, tuple(spatial))

    def without_batch(self) -> Axes:
        """The axes of a value whose images are mixed, or none any more."""
        return Axes(None, self.spatial)

    def mixed_along(self, axis: int) -> Axes:
        """The axes of a value made by moving or mixing along one of them: images that are mixed are none any more."""
        return self.without_batch() if axis == self.batch else self


NO_AXES = Axes(None)

_OF_SHAPE_ALONE = {
    **dict.fromkeys(("expand_as", "reshape_as", "view_as", "type_as"), "other"),
    **dict.fromkeys(("copy", "fill", "zeros_like", "ones_like", "full_like", "empty_like"), "self"),
    **dict.fromkeys(("rand_like", "randn_like", "randint_like"), "self"),
    **dict.fromkeys(("new_zeros", "new_ones", "new_full", "new_empty"), "self"),
}
"""The argument of which an operator takes shape and type and no value, by the operator's name."""


@dataclass(frozen=True, slots=True)
class Operand:
    """A tensor argument: the node it comes from (`None` for a weight), its shape and axes.

    `depends_on_input` is false too where the call takes the value's shape and type alone.
    """

    index: int | None
    spec: Spec
    axes: Axes
    depends_on_input: bool
    weight: str | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        return shape_of(self.spec)

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> tuple[int | None, ...]:
        """Places along each axis of its maps; None where it has no such axis."""
        return tuple(None if axis is None else self.shape[axis] for axis in self.axes.spatial)


@dataclass(frozen=True)
class Call:
    """One operator call with its operands at hand.

    `specs` and `axes` hold shape and axes of the nodes up to this one, at the size in question; the graph's own nodes
    hold the shapes as captured.
    """

    graph: Graph
    node: Node
    specs: Sequence[Spec]
    axes: Sequence[Axes]

    @cached_property
    def arguments(self) -> Mapping[str, Any]:
        """The arguments by their schema names, defaults filled in, tensors as `Operand`."""
        found = named_arguments(self.node)
        return {name: map_arguments(value, self.operand) for name, value in found.items()}

    def __getitem__(self, name: str) -> Any:
        return self.arguments[name]

    def get(self, name: str, default: Any = None) -> Any:
        return self.arguments.get(name, default)

    def operand(self, leaf: Reference | Weight) -> Operand:
        """The tensor that an argument stands for."""
        if isinstance(leaf, Weight):
            return Operand(None, self.graph.weights[leaf.name].spec, NO_AXES, False, leaf.name)
        reads = self.graph[leaf.index].depends_on_input and leaf.index != self._unread
        return Operand(leaf.index, self.specs[leaf.index], self.axes[leaf.index], reads)

    @cached_property
    def _unread(self) -> int | None:
        """The value of which the call takes shape and type alone, if it takes its value nowhere."""
        name = _OF_SHAPE_ALONE.get(self.node.base_name)
        leaf = None if name is None else named_arguments(self.node).get(name)
        return leaf.index if isinstance(leaf, Reference) and self.node.inputs.count(leaf.index) == 1 else None

    @cached_property
    def operands(self) -> tuple[Operand, ...]:
        """The values that the call reads, in the order of `node.inputs`."""
        return tuple(self.operand(Reference(index)) for index in self.node.inputs)

    @property
    def main(self) -> Operand:
        """The first value that depends on the input."""
        return next((operand for operand in self.operands if operand.depends_on_input), self.operands[0])

    @property
    def captured_main_shape(self) -> tuple[int, ...]:
        """The shape of `main` when the model was captured."""
        index = self.main.index
        return shape_of(None if index is None else self.graph[index].spec)

    @property
    def out_shape(self) -> tuple[int, ...]:
        """The value's shape (of the first tensor where there are several)."""
        return shape_of(self.specs[self.node.index])

    @property
    def image_count(self) -> int:
        """How many images go in at the size in question."""
        return next(iter(shape_of(self.specs[self.graph.image_input])), 1)

    def made_maps(self, count: int) -> Axes:
        """The axes of what a pool or a resize over `count` axes makes, where the network's maps have these."""
        return self.map_axes(count) if count in (2, self.graph.map_axes) else self.main.axes

    def map_axes(self, count: int) -> Axes:
        """The axes of what an operator over maps of `count` axes makes: these are the last ones, whatever it reads.

        The first axis before them and the channels is images where the operand's is, or where there are as many as
        went in.
        """
        rank, main = len(self.out_shape), self.main
        has_images = rank == count + 2 and (main.axes.batch == 0 or self.out_shape[0] == self.image_count)
        return Axes(0 if has_images else None, tuple(range(rank - count, rank)))

    @property
    def out_axes(self) -> Axes:
        return self.axes[self.node.index]


def only_first_depends(graph: Graph, node: Node) -> bool:
    """Whether the first argument alone depends on the network's input, and the rest are weights."""
    depends = [index for index in node.inputs if graph[index].depends_on_input]
    return len(depends) == 1 and node.args[0] == Reference(depends[0])


def shape_of(spec: Spec) -> tuple[int, ...]:
    """The shape of a value, of the first tensor where there are several, () where there is none."""
    if isinstance(spec, tuple):
        spec = spec[0] if spec else None
    return spec.shape if spec is not None else ()


def named_arguments(node: Node) -> dict[str, Any]:
    """A call's arguments as captured, by their schema names, defaults filled in."""
    return by_name(node.target, node.args, node.kwargs)


def by_name(target: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """An operator's arguments by their schema names, defaults filled in."""
    names, defaults = schema_arguments(target)
    return {**defaults, **dict(zip(names, args, strict=False)), **kwargs}


@cache
def schema_arguments(target: Any) -> tuple[tuple[str, ...], dict[str, Any]]:
    """The argument names of an operator in order, and the defaults that it has."""
    if target is python_operator.getitem:
        return ("self", "item"), {}
    if not is_operator(target):
        return (), {}
    arguments = schema_of(target).arguments
    defaults = {argument.name: argument.default_value for argument in arguments if argument.has_default_value()}
    return tuple(argument.name for argument in arguments), defaults
