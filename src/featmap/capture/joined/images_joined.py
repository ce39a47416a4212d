"""Operators that join several images along the batch, and operators that split them again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from featmap.graph.graph import Graph, Node, Reference, TensorSpec
from featmap.graph.operators.base.call import named_arguments, shape_of
from featmap.graph.operators.base.operator import Operator
from featmap.graph.operators.moving.copying import RepeatedUnits, Repetition
from featmap.graph.operators.moving.cutting import Concatenate, Cut, Item, Select, SliceCut, Stack, Unbind
from featmap.graph.operators.moving.reshape import Expand, Reshape
from featmap.graph.operators.table import operator_of
from featmap.graph.sized_graph import SizedGraph

_MOST = 32
"""The most images that are joined: more of them are parts of an image rather than images."""


@dataclass(frozen=True)
class Joined:
    """A value that is several images joined, as the nodes that hold one image each.

    `parts` has a tuple of one node for each image; or, for a value that is split into several (`is_cut`), a tuple of
    nodes for each of these. `is_stacked`: the images are along a new first axis.
    """

    parts: tuple[tuple[int, ...], ...]
    is_stacked: bool = False
    is_cut: bool = False

    @staticmethod
    def of(parts: Sequence[int], *, is_stacked: bool = False) -> Joined:
        return Joined(tuple((part,) for part in parts), is_stacked)

    @property
    def every(self) -> tuple[int, ...]:
        """The nodes of all images."""
        return tuple(number for part in self.parts for number in part)

    @property
    def is_one_image(self) -> bool:
        return not self.is_cut and not self.is_stacked and len(self.parts) == 1


def may_join(graph: Graph, node: Node) -> bool:
    """Whether an operator may join more images than went in, or stack them along a new first axis."""
    if not node.depends_on_input or not isinstance(node.spec, TensorSpec) or not node.spec.shape:
        return False
    operator = operator_of(node)
    if isinstance(operator, Stack):
        return named_arguments(node)["dim"] % len(node.spec.shape) == 0
    grows = isinstance(operator, Concatenate | Expand | Repetition | RepeatedUnits)
    return grows and node.spec.shape[0] > _images(graph)


def joined_by(one: SizedGraph, node: Node, joined: Mapping[int, Joined], whole: Mapping[int, int]) -> Joined | None:
    """The images that a node joins; None where it joins none.

    Arguments: one: shapes and axes of one image's values up to here. joined, whole: the new nodes of values so far.
    """
    operator = operator_of(node)
    if isinstance(operator, Reshape):
        return _laid_behind(one, node, joined)
    sources = _tensors(node) if may_join(one.graph, node) else None
    if sources is None:
        return None
    if isinstance(operator, Concatenate | Stack):
        found = _behind_one_another(one, sources, operator, node, joined, whole)
    else:
        found = _repeated(one, sources[0], node, joined, whole)
    return found if found is not None and 1 < len(found.parts) <= _MOST else None


def _images(graph: Graph) -> int:
    """The number of images that the network was captured on."""
    return next(iter(shape_of(graph[graph.image_input].spec)), 0)


def _tensors(node: Node) -> list[int] | None:
    """The values that a node reads in order; None where weights are among them."""
    first = node.args[0] if node.args else None
    listed: Sequence[Any] = first if isinstance(first, list) else [first]
    found = [leaf.index for leaf in listed if isinstance(leaf, Reference)]
    return found if found and len(found) == len(listed) else None


def _holds_images(one: SizedGraph, index: int) -> bool:
    """Whether the first axis of a value is the batch that went in."""
    is_whole = one.shape(index)[:1] == (_images(one.graph),)
    return one.graph[index].depends_on_input and one.axes[index].batch == 0 and is_whole


def _behind_one_another(
    one: SizedGraph,
    sources: Sequence[int],
    operator: Operator,
    node: Node,
    joined: Mapping[int, Joined],
    whole: Mapping[int, int],
) -> Joined | None:
    if named_arguments(node)["dim"] % max(len(shape_of(node.spec)), 1) != 0:
        return None
    if any(one.shape(index) != one.shape(sources[0]) or not _holds_images(one, index) for index in sources):
        return None
    if isinstance(operator, Stack):
        are_whole = not any(index in joined for index in sources)
        return Joined.of([whole[index] for index in sources], is_stacked=True) if are_whole else None
    parts: list[int] = []
    for index in sources:
        known = joined.get(index)
        if known is not None and (known.is_stacked or known.is_cut):
            return None
        parts += [whole[index]] if known is None else known.every
    return Joined.of(parts)


def _repeated(
    one: SizedGraph, source: int, node: Node, joined: Mapping[int, Joined], whole: Mapping[int, int]
) -> Joined | None:
    """Copies of one image; of several images captured at once it would be unknown which copy is of which."""
    shape, after = one.shape(source), shape_of(node.spec)
    is_image = source not in joined and _holds_images(one, source) and shape[0] == 1
    if not is_image or len(after) != len(shape) or after[1:] != shape[1:]:
        return None
    return Joined.of([whole[source]] * after[0])


def _laid_behind(one: SizedGraph, node: Node, joined: Mapping[int, Joined]) -> Joined | None:
    """Stacked images that a reshape joins along the batch, or the reverse."""
    known = joined.get(node.inputs[0]) if node.inputs else None
    if known is None or known.is_cut:
        return None
    shape, after = one.shape(node.inputs[0]), shape_of(node.spec)
    count = len(known.parts)
    if known.is_stacked and after == (count * shape[0], *shape[1:]):
        return Joined(known.parts)
    if not known.is_stacked and after == (count, *shape):
        return Joined(known.parts, is_stacked=True)
    return None


def taken_apart(node: Node, joined: Joined | None, shape: tuple[int, ...]) -> Joined | None:
    """The images that a node extracts from joined ones; None where it does something else.

    Arguments: joined: what the node reads. shape: the shape of one of these images.
    """
    if joined is None or len(node.inputs) != 1:
        return None
    operator = operator_of(node)
    if isinstance(operator, Item):
        return Joined.of(joined.parts[node.args[1]]) if joined.is_cut else None
    rank = len(shape) + joined.is_stacked
    if not isinstance(operator, Unbind | Cut) or joined.is_cut or named_arguments(node).get("dim", 0) % rank != 0:
        return None
    if isinstance(operator, Unbind):
        return _unstacked(node, joined) if joined.is_stacked else None
    return None if joined.is_stacked else _cut(node, joined, shape[0])


def selected(node: Node, joined: Joined | None, shape: tuple[int, ...]) -> int | None:
    """The node of the one image that an operator takes out of several, by its place along the first axis."""
    is_one = isinstance(operator_of(node), Select) and shape[:1] == (1,)
    if joined is None or joined.is_cut or joined.is_stacked or not is_one:
        return None
    found = named_arguments(node)
    return joined.parts[found["index"]][0] if found["dim"] % len(shape) == 0 else None


def _unstacked(node: Node, joined: Joined) -> Joined | None:
    if isinstance(operator_of(node), Select):
        return Joined((joined.parts[node.args[2]],))
    return Joined(joined.parts, is_cut=True)


def _cut(node: Node, joined: Joined, images: int) -> Joined | None:
    """The whole images of a slice or of the parts of a split, in their order."""
    numbers = list(range(images * len(joined.parts)))
    if isinstance(operator_of(node), SliceCut):
        found = named_arguments(node)
        kept = numbers[slice(found.get("start"), found.get("end"), found.get("step", 1))]
        places = _whole_images(kept, images)
        return None if places is None else Joined(tuple(joined.parts[place] for place in places))
    if not isinstance(node.spec, tuple):
        return None
    cuts: list[tuple[int, ...]] = []
    for part in node.spec:
        count = 0 if part is None else part.shape[0]
        places = _whole_images(numbers[:count], images)
        if places is None:
            return None
        cuts.append(tuple(number for place in places for number in joined.parts[place]))
        numbers = numbers[count:]
    return Joined(tuple(cuts), is_cut=True)


def _whole_images(numbers: Sequence[int], images: int) -> list[int] | None:
    """Which groups of `images` numbers each these are; None where some group is incomplete."""
    places = [first // images for first in numbers[::images]]
    wanted = [place * images + number for place in places for number in range(images)]
    return places if places and wanted == list(numbers) else None
