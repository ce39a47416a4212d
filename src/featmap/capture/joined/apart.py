"""The graph of a network that joins several images along the batch, with separate operator calls for each image.

`torch.cat([image1, image2])`, an image and its mirror image, a repeated image: the model calls its modules once for all
of them. Feature maps belong to one image, so the graph has such a call once for each image, as further calls of the
module. Where the model splits the images again (chunk, slices) nothing is left to do; what needs them together (a mean
over them, the network's output) reads them joined.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch

from featmap.capture.joined.calls_apart import numbered_apart
from featmap.capture.joined.images_joined import Joined, joined_by, may_join, selected, taken_apart
from featmap.errors import FeatmapError
from featmap.graph.graph import Graph, Node, Reference, TensorSpec, read_by
from featmap.graph.operators.base.call import NO_AXES, Axes
from featmap.graph.operators.base.operator import NotResizable
from featmap.graph.operators.table import is_known
from featmap.graph.pruned import pruned
from featmap.graph.sized_graph import SizedGraph, computed_spec, resized_arguments


def apart(graph: Graph) -> Graph:
    """The graph with an operator call for each of the joined images, where the model makes one call for all."""
    return _Apart(graph).graph() if any(may_join(graph, node) for node in graph) else graph


@dataclass(frozen=True)
class _Made:
    """The origin of a node of the new graph: the old node (None: added here), and which copy of how many it is."""

    source: int | None
    copy: int = 0
    copies: int = 1


class _Apart:
    """Rewrites a graph in one pass; `whole` maps values to their new nodes, `joined` to those of the separate images.

    `one` has shape and axes of every old value; of a value that joins several images, those of one image's part.
    """

    def __init__(self, graph: Graph) -> None:
        self.old = graph
        self.one = SizedGraph(graph, [])
        self.nodes: list[Node] = []
        self.made: list[_Made] = []
        self.whole: dict[int, int] = {}
        self.joined: dict[int, Joined] = {}

    @cached_property
    def before(self) -> SizedGraph:
        """Shapes and axes as the model joins the images."""
        return SizedGraph(self.old)

    def graph(self) -> Graph:
        for node in self.old:
            self._take(node)
        outputs = [None if index is None else self._as_whole(index, ()) for index in self.old.outputs]
        if not any(made.copies > 1 for made in self.made):
            return self.old
        removed = [
            (stack, number, _Made(index, at, len(parts)))
            for stack, index in self.old.removed.items()
            for parts in [self._values(index)]
            for at, number in enumerate(parts)
        ]
        stacks = numbered_apart(
            [(node.stack, made.copy, made.copies) for node, made in zip(self.nodes, self.made, strict=True)],
            [(stack, made.copy, made.copies) for stack, _, made in removed],
        )
        nodes = [replace(node, stack=stack) for node, stack in zip(self.nodes, stacks, strict=False)]
        later = stacks[len(nodes) :]
        return pruned(
            replace(
                self.old,
                nodes=tuple(nodes),
                inputs=tuple(self.whole[index] for index in self.old.inputs),
                outputs=tuple(outputs),
                removed={stack: number for stack, (_, number, _) in zip(later, removed, strict=True)},
                own_gradients=self._own_gradients(),
                copy_of={
                    index: made.source
                    for index, made in enumerate(self.made)
                    if made.source is not None and made.copies > 1
                },
            )
        )

    def _own_gradients(self) -> dict[int, str]:
        return {index: name for old, name in self.old.own_gradients.items() for index in self._values(old)}

    def _values(self, index: int) -> Sequence[int]:
        """The new nodes that hold an old value, whole or in parts."""
        joined = self.joined.get(index)
        return [self.whole[index]] if joined is None else joined.every

    def _take(self, node: Node) -> None:
        joined = joined_by(self.one, node, self.joined, self.whole)
        if joined is not None:
            source = next(index for index in node.inputs if self.old[index].depends_on_input)
            self._know(node, self.one.specs[source], self.one.axes[source], joined)
        elif not self._reads_joined(node) or not self._each_apart(node):
            self._keep(node)

    def _each_apart(self, node: Node) -> bool:
        return self._take_apart(node) or self._select(node) or self._copy(node)

    def _reads_joined(self, node: Node) -> bool:
        return any(index in self.joined for index in node.inputs)

    def _take_apart(self, node: Node) -> bool:
        """Whether the operator extracts some of the joined images, and so is no longer needed."""
        source = node.inputs[0]
        found = taken_apart(node, self.joined.get(source), self.one.shape(source))
        if found is None:
            return False
        spec, axes = self.one.specs[source], self.one.axes[source]
        if found.is_one_image:
            (self.whole[node.index],) = found.every
            found = None
        self._know(node, spec, axes, found)
        return True

    def _select(self, node: Node) -> bool:
        """Whether the operator selects one of the joined images, dropping the image axis."""
        source = node.inputs[0]
        part = selected(node, self.joined.get(source), self.one.shape(source))
        if part is None:
            return False
        alone = replace(node, args=(Reference(source), 0, 0), kwargs={})
        self.whole[node.index] = self._add(alone, _Made(node.index), lambda _: part)
        self._know(node, node.spec, None, None)
        return True

    def _copy(self, node: Node) -> bool:
        """Whether the operator treats each image independently; then each image gets a call of its own."""
        joined = [self.joined[index] for index in node.inputs if index in self.joined]
        count = len(joined[0].parts)
        if not is_known(node) or any(found.is_stacked or found.is_cut or len(found.parts) != count for found in joined):
            return False
        try:
            args, kwargs = resized_arguments(self.one, node)
            spec = computed_spec(self.one, node, args, kwargs)
        except (NotResizable, FeatmapError, RuntimeError, ValueError, IndexError):
            return False
        axes = self.one.with_value(node, spec).axes[node.index]
        if axes.batch != 0 or not _is_part(spec, node.spec, count):
            return False
        alone = replace(node, args=args, kwargs=kwargs, spec=spec)
        parts = [self._add(alone, _Made(node.index, at, count), self._of_image(at)) for at in range(count)]
        self._know(node, spec, axes, Joined.of(parts))
        return True

    def _of_image(self, at: int) -> Callable[[int], int]:
        return lambda index: self.joined[index].parts[at][0] if index in self.joined else self.whole[index]

    def _keep(self, node: Node) -> None:
        # After the model's own operator on joined images it is unknown which part belongs to which image.
        axes = self.before.axes[node.index] if self._reads_joined(node) else None
        self.whole[node.index] = self._add(node, _Made(node.index), lambda index: self._as_whole(index, node.stack))
        self._know(node, node.spec, axes, None)

    def _know(self, node: Node, spec: Any, axes: Axes | None, joined: Joined | None) -> None:
        self.one.specs.append(spec)
        self.one.axes.append(NO_AXES)
        self.one.axes[node.index] = self.one.axes_at(node) if axes is None else axes
        if joined is not None:
            self.joined[node.index] = joined

    def _as_whole(self, index: int, stack: tuple[Any, ...]) -> int:
        """The new node that holds a whole old value; its images are joined if they have not been yet."""
        if index not in self.whole:
            parts, spec = self.joined[index], self.old[index].spec
            arguments = ([Reference(number) for number in parts.every], 0)
            target = torch.ops.aten.stack.default if parts.is_stacked else torch.ops.aten.cat.default
            node = replace(self.old[index], operator=str(target), target=target, args=arguments, kwargs={}, spec=spec)
            self.whole[index] = self._add(replace(node, stack=stack), _Made(None), lambda number: number)
        return self.whole[index]

    def _add(self, node: Node, made: _Made, new: Callable[[int], int]) -> int:
        reads = read_by(node.args, node.kwargs)["inputs"]
        to = {index: new(index) for index in reads}  # First, since this may add nodes that join values.
        self.nodes.append(node.moved(len(self.nodes), to.__getitem__))
        self.made.append(made)
        return len(self.nodes) - 1


def _is_part(part: Any, whole: Any, count: int) -> bool:
    """Whether a value is one of `count` equal parts of another along the first axis, in every tensor of it."""
    if isinstance(part, tuple) and isinstance(whole, tuple):
        return len(part) == len(whole) and all(map(_is_part, part, whole, [count] * len(part)))
    if not isinstance(part, TensorSpec) or not isinstance(whole, TensorSpec) or not part.shape:
        return part is None and whole is None
    return (part.shape[0] * count, *part.shape[1:]) == whole.shape and part.dtype == whole.dtype
