"""Rectified values, which are 0 for a half line of inputs; only maps of such values can be dead.

A nonlinearity says itself whether it rectifies; pools, concatenations, slices and reshapes of rectified values are
rectified, too.
"""

from __future__ import annotations

from featmap.graph.graph import Node
from featmap.graph.sized_graph import SizedGraph


def rectified_values(sized: SizedGraph) -> frozenset[int]:
    """The nodes whose maps are rectified: never below the 0 that a nonlinearity gives for a half line of inputs."""
    found: set[int] = set()
    for node in sized.graph:
        if _is_rectified(sized, node, found):
            found.add(node.index)
    return frozenset(found)


def _is_rectified(sized: SizedGraph, node: Node, found: set[int]) -> bool:
    if node.is_input or not node.depends_on_input:
        return False
    operator = sized.operator(node)
    if operator.is_nonlinearity:
        return operator.is_rectified(sized.call(node))
    return operator.keeps_rectified and not node.weights and all(index in found for index in node.inputs)
