"""What is done with a signal at each operator of a graph, and which forward values that takes."""

from __future__ import annotations

from collections.abc import Iterable

from featmap.geometry import Window
from featmap.graph.graph import Node
from featmap.graph.operators.base.roles import Norm, Role, Rule
from featmap.graph.operators.nonlinearity import Rectifier
from featmap.graph.operators.table import printed_name
from featmap.graph.sized_graph import SizedGraph
from featmap.run.backward.whole_numbers import is_cast_of_pixels


def role_of(sized: SizedGraph, node: Node, norm: Norm) -> Role:
    """The role of an operator of the graph."""
    if is_cast_of_pixels(sized, node):
        return Role.PASS
    return sized.operator(node).role(sized.call(node), norm)


def rectifier_of(sized: SizedGraph, node: Node) -> Rectifier:
    """The operator of a node whose role is RECTIFIER."""
    operator = sized.operator(node)
    assert isinstance(operator, Rectifier)
    return operator


def values_to_keep(sized: SizedGraph, nodes: Iterable[Node], rule: Rule, norm: Norm) -> set[int]:
    """The forward values that a signal asks for on its way back."""
    kept: set[int] = set()
    for node in nodes:
        role = role_of(sized, node, norm)
        if role == Role.RECTIFIER and rule != "deconvnet":
            kept.add(rectifier_of(sized, node).mask_source(node))
        elif role in (Role.MAXIMUM, Role.PLACEWISE, Role.WHOLE):
            kept.update(index for index in node.inputs if sized.graph[index].depends_on_input)
    return {index for index in kept if not isinstance(sized.specs[index], tuple)}


def window_rules(sized: SizedGraph, node: Node) -> tuple[int, Window, Window]:
    """What a pool or convolution reads, with its windows along rows and columns."""
    source, (rows, columns) = next(iter(sized.reads(node.index)))
    assert isinstance(rows, Window)
    assert isinstance(columns, Window)
    return source, rows, columns


def gradient_takers(sized: SizedGraph, nodes: Iterable[Node], norm: Norm) -> tuple[str, ...]:
    """What is neither linear nor a rectifier, by operator name: it takes its gradient under every rule."""
    names = {printed_name(node) for node in nodes if _takes_gradient(sized, node, norm)}
    return tuple(sorted(names))


def _takes_gradient(sized: SizedGraph, node: Node, norm: Norm) -> bool:
    by_gradient = role_of(sized, node, norm) in (Role.PLACEWISE, Role.WHOLE)
    return by_gradient and not sized.operator(node).acts_linearly(sized.call(node))
