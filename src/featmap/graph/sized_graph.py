"""A graph at one input size: shape, axes, geometry and cost of every value.

At the captured size the shapes are the captured ones. At another size torch itself computes them, operator by operator,
on tensors without memory; arguments that are valid for the captured size only are translated first, or the model has to
be captured again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any, TypeVar

import torch

from featmap.errors import FeatmapError, InputError
from featmap.geometry.axis.window import check_fits
from featmap.geometry.setting import axis_words
from featmap.graph.graph import Graph, Node, Reference, Spec, TensorSpec, Weight, map_arguments, spec_of
from featmap.graph.operators.base.call import NO_AXES, Axes, Call, shape_of
from featmap.graph.operators.base.operator import NotResizable, Operator
from featmap.graph.operators.base.regions import Region, Rules
from featmap.graph.operators.table import operator_of, printed_name
from featmap.graph.receptive.places import Places

Fact = TypeVar("Fact")
_SIZES_KEPT = 8
"""torch takes longer to compute the shapes of a small network than to run it on eight images."""


class SizedGraph:
    """A graph together with shape and axes of every value."""

    def __init__(self, graph: Graph, specs: Sequence[Spec] | None = None) -> None:
        self.graph = graph
        self.specs: list[Spec] = [node.spec for node in graph] if specs is None else list(specs)
        self.axes: list[Axes] = []
        self._calls: dict[int, Call] = {}
        self._regions: dict[int, Region] = {}
        self._derived: dict[Callable[[SizedGraph], Any], Any] = {}
        self._sizes: dict[tuple[int, ...], SizedGraph] = {}
        for node in graph:
            self.axes.append(self._nowhere)
            if node.index < len(self.specs):
                self.axes[-1] = self.axes_at(node)

    def with_value(self, node: Node, spec: Spec) -> SizedGraph:
        """The graph up to a node, whose own value has this shape; this graph knows what the node reads."""
        found = SizedGraph(self.graph, [])
        found.specs = [*self.specs[: node.index], spec]
        found.axes = [*self.axes[: node.index], self._nowhere]
        found.axes[node.index] = found.axes_at(node)
        return found

    def axes_at(self, node: Node) -> Axes:
        """The axes of a node's value, from shapes and axes of what it reads and its own shape."""
        if node.is_input:
            return self._input_axes(node)
        return self._fitted(self.operator(node).axes(self.call(node))) if node.depends_on_input else self._nowhere

    def _input_axes(self, node: Node) -> Axes:
        rank, count = len(shape_of(node.spec)), self.graph.map_axes
        if node.index == self.graph.image_input and self.graph.image_axes is not None:
            return Axes(0 if rank else None, self.graph.image_axes)
        # Other inputs of the rank of maps hold maps as well.
        return self._fitted(Axes(0 if rank else None, tuple(range(2, rank)) if rank == count + 2 else ()))

    @cached_property
    def _nowhere(self) -> Axes:
        return self._fitted(NO_AXES)

    def _fitted(self, axes: Axes) -> Axes:
        """The axes with one entry per axis of the network's maps: pictures among volumes have no planes."""
        count, missing = len(axes.spatial), self.graph.map_axes - len(axes.spatial)
        if not missing:
            return axes
        spatial = axes.spatial if count == 2 and missing == 1 else ()
        return Axes(axes.batch, (None,) * (self.graph.map_axes - len(spatial)) + spatial)

    def operator(self, node: Node) -> Operator:
        return operator_of(node)

    def call(self, node: Node) -> Call:
        # What a call reads precedes it and does not change; its own shape and axes are looked up on demand.
        if node.index not in self._calls:
            self._calls[node.index] = Call(self.graph, node, self.specs, self.axes)
        return self._calls[node.index]

    def shape(self, index: int) -> tuple[int, ...]:
        return shape_of(self.specs[index])

    def size(self, index: int) -> tuple[int, ...]:
        """The size of a value's maps, rows and columns of pictures; 1 along each axis that the value has not."""
        shape = self.shape(index)
        return tuple(1 if axis is None else shape[axis] for axis in self.axes[index].spatial)

    def reads(self, index: int) -> Iterator[tuple[int, Rules]]:
        """The values that a node reads and that depend on the input, each with one rule per axis of its maps."""
        node = self.graph[index]
        if node.is_input:
            return
        call, operator = self.call(node), self.operator(node)
        for operand in call.operands:
            if operand.index is not None and operand.depends_on_input:
                yield operand.index, operator.rules(call, operand)

    def region(self, index: int) -> Region:
        """How a node's value is computed where a part of the input changed."""
        if index not in self._regions:
            node = self.graph[index]
            self._regions[index] = self.operator(node).region(self.call(node))
        return self._regions[index]

    def derived(self, fact: Callable[[SizedGraph], Fact]) -> Fact:
        """What a function says of this graph, computed once."""
        if fact not in self._derived:
            self._derived[fact] = fact(self)
        return self._derived[fact]

    @property
    def labels(self) -> range:
        """The axes of maps by number, also those that the image has not."""
        return range(self.graph.map_axes)

    @property
    def image_labels(self) -> tuple[int, ...]:
        """The axes of maps that the image has."""
        spatial = self.axes[self.graph.image_input].spatial
        return tuple(label for label in self.labels if spatial[label] is not None)

    @property
    def image_size(self) -> tuple[int, ...]:
        """The size of the image along its own axes: rows and columns of a picture."""
        size = self.size(self.graph.image_input)
        return tuple(size[label] for label in self.image_labels)

    @cached_property
    def places(self) -> Places:
        """What every position of every value reads of the image, even where rows and columns are not plain axes."""
        return Places(self)

    def macs(self, index: int) -> int | None:
        """Multiply-adds of one node, `None` where the operator's cost is unknown."""
        node = self.graph[index]
        if node.is_input or not node.depends_on_input:
            return 0
        return self.operator(node).macs(self.call(node))

    def resized(self, shape: tuple[int, ...]) -> SizedGraph:
        """The same graph for another shape of the image input.

        Raises: NotResizable: the graph holds, or may hold, numbers that were computed from the captured size.
        DoesNotFit: an operator cannot take what it gets at this size; `error.reached` is the part up to there.
        """
        found = self._sizes.pop(shape, None) or self._resized(shape)
        self._sizes[shape] = found  # at the end: the first was asked for longest ago
        first, *others = self._sizes
        if len(others) >= _SIZES_KEPT:
            self._sizes.pop(first, None)
        return found

    def _resized(self, shape: tuple[int, ...]) -> SizedGraph:
        captured = shape_of(self.graph[self.graph.image_input].spec)
        if shape == captured:
            return SizedGraph(self.graph)
        if self.graph.size_reads and shape[1:] != captured[1:]:
            raise NotResizable(f"a size may have been read at {self.graph.size_reads[0]}")
        return _Resizing(self, shape).run()


class DoesNotFit(InputError):
    """An input size that some operator cannot take; `reached` is the graph sized up to there."""

    def __init__(self, problem: str, remedy: str, reached: SizedGraph) -> None:
        super().__init__(problem, remedy)
        self.reached = reached


class _Resizing:
    """Computes the shapes for another input size."""

    def __init__(self, captured: SizedGraph, shape: tuple[int, ...]) -> None:
        self.graph = captured.graph
        self.shape = shape
        self.sized = SizedGraph(self.graph, [])

    def run(self) -> SizedGraph:
        for node in self.graph:
            try:
                spec = self._spec(node)
            except (RuntimeError, ValueError, IndexError) as error:
                raise self._refused(node, error) from error
            self.sized.specs.append(spec)
            self.sized.axes[node.index] = self.sized.axes_at(node)
        return self.sized

    def _spec(self, node: Node) -> Spec:
        if node.index == self.graph.image_input:
            assert isinstance(node.spec, TensorSpec)
            return TensorSpec(self.shape, node.spec.dtype)
        if node.is_input or not node.depends_on_input:
            self._check_constant(node)
            return node.spec
        args, kwargs = resized_arguments(self.sized, node)
        if self.sized.operator(node).kind in ("convolution", "pool"):
            self._check_window(node)
        if self.sized.operator(node).kind == "linear":
            self._check_features(node)
        spec = computed_spec(self.sized, node, args, kwargs)
        if isinstance(spec, tuple) and isinstance(node.spec, tuple) and len(spec) != len(node.spec):
            # The model's code went over the parts one by one; the graph holds as many steps as there were parts.
            raise NotResizable(f"{printed_name(node)} gives another number of parts")
        return spec

    def _check_constant(self, node: Node) -> None:
        # A tensor that the model fills itself may have the captured number of images as its size.
        if self.graph.size_reads and self.sized.operator(node).kind == "constant":
            raise NotResizable(node.operator)

    def _check_window(self, node: Node) -> None:
        sized = self.sized.with_value(node, node.spec)
        for source, rules in sized.reads(node.index):
            for rule, size, words in zip(rules, sized.size(source), axis_words(len(rules)), strict=True):
                check_fits(rule, size, words)

    def _check_features(self, node: Node) -> None:
        call = self.sized.call(node)
        given, expected = call["input"].shape[-1], call["weight"].shape[-1]
        if given != expected:
            raise InputError(f"{given:,} values arrive where its weights are made for {expected:,}.")

    def _refused(self, node: Node, error: Exception) -> FeatmapError:
        where = node.owner.path or printed_name(node)
        given = " x ".join(map(str, self.shape[1:]))
        text = error.problem if isinstance(error, FeatmapError) else str(error).split("\n")[0]
        problem = f"'{where}' cannot take what an input of {given} gives: {text}"
        return DoesNotFit(problem, "Plan an input size that fits this layer.", self.sized)


def resized_arguments(sized: SizedGraph, node: Node) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """A call's arguments for the present sizes of its operands."""
    operator, graph = sized.operator(node), sized.graph
    unchanged = all(sized.specs[index] == graph[index].spec for index in node.inputs)
    if unchanged:
        return node.args, node.kwargs
    return operator.resized(sized.call(node))


def computed_spec(sized: SizedGraph, node: Node, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Spec:
    """The shape and dtype of a call's value at the sizes of its operands, computed by torch without memory."""

    def tensor(leaf: Reference | Weight) -> Any:
        if isinstance(leaf, Weight):
            return _meta(sized.graph.weights[leaf.name].spec)
        return _meta(sized.specs[leaf.index])

    return spec_of(node.target(*map_arguments(args, tensor), **_mapped(kwargs, tensor)))  # type: ignore[misc]


def _mapped(kwargs: dict[str, Any], replace: Any) -> dict[str, Any]:
    moved = {name: map_arguments(value, replace) for name, value in kwargs.items()}
    if "device" in moved:
        moved["device"] = torch.device("meta")
    return moved


def _meta(spec: Spec) -> Any:
    if isinstance(spec, TensorSpec):
        return torch.empty(spec.shape, dtype=spec.dtype, device="meta")
    if isinstance(spec, tuple):
        return [None if part is None else torch.empty(part.shape, dtype=part.dtype, device="meta") for part in spec]
    return None
