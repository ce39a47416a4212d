"""Values that hold an image's whole numbers, as they came in, cut, turned or cast, before fractions are made of them.

torch has no gradients of whole numbers. For those of an image there is one that is meant: that of the same network on
the same numbers as real ones. So signals go through such values, and only through such.
"""

from __future__ import annotations

import torch

from featmap.graph.graph import Node, TensorSpec
from featmap.graph.sized_graph import SizedGraph


def of_pixels(sized: SizedGraph) -> frozenset[int]:
    """The nodes whose values are whole numbers made of the image's alone; none where the image has fractions."""
    return sized.derived(_of_pixels)


def _of_pixels(sized: SizedGraph) -> frozenset[int]:
    found: set[int] = set()
    for node in sized.graph:
        read = [index for index in node.inputs if sized.graph[index].depends_on_input]
        is_made_so = bool(read) and all(index in found for index in read)
        if _is_whole(sized, node.index) and (node.index == sized.graph.image_input or is_made_so):
            found.add(node.index)
    return frozenset(found)


def _is_whole(sized: SizedGraph, index: int) -> bool:
    spec = sized.specs[index]
    return isinstance(spec, TensorSpec) and spec.dtype != torch.bool and not has_gradient(spec.dtype)


def has_gradient(dtype: torch.dtype) -> bool:
    """Whether torch has gradients of values of a type: there are none of integers and booleans."""
    return dtype.is_floating_point or dtype.is_complex


def takes_signals(sized: SizedGraph, index: int) -> bool:
    """Whether signals flow into a value; of several tensors some do."""
    spec = sized.specs[index]
    return not isinstance(spec, TensorSpec) or has_gradient(spec.dtype) or index in of_pixels(sized)


def is_cast_of_pixels(sized: SizedGraph, node: Node) -> bool:
    """Whether the operator gives the image's numbers another type, but booleans."""
    spec = node.spec
    is_number = isinstance(spec, TensorSpec) and spec.dtype != torch.bool
    return sized.operator(node).is_cast and is_number and node.inputs[0] in of_pixels(sized)
