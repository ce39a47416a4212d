"""Rectified values, which are 0 on a half line of what they are made of: there alone a map can be dead.

A nonlinearity says so itself; a pool, a join, a cut or a reshape of such values keeps it.
"""

from __future__ import annotations

from featmap.graph.graph import Node
from featmap.graph.sized_graph import SizedGraph


def rectified_values(sized: SizedGraph) -> frozenset[int]:
    """The nodes whose maps are rectified: never below a nonlinearity's 0, which half of all its inputs become."""
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
