"""The values into which signals flow from another value: through every operator that has a gradient."""

from __future__ import annotations

from featmap.graph.graph import Node
from featmap.graph.sized_graph import SizedGraph
from featmap.run.backward.whole_numbers import takes_signals


def reached_by_signals(sized: SizedGraph, target: int) -> frozenset[int]:
    """The target and all values that depend on the input and take signals from it."""
    reached: set[int] = set()
    waiting = [target] if takes_signals(sized, target) else []
    while waiting:
        index = waiting.pop()
        if index not in reached:
            reached.add(index)
            waiting += _read_with_gradient(sized, sized.graph[index])
    return frozenset(reached)


def cuts(sized: SizedGraph, target: int) -> tuple[int, ...]:
    """Where signals from a value end before they reach the image: operators without gradients, the last first."""
    reached = reached_by_signals(sized, target) | {target}
    ends = [index for index in sorted(reached, reverse=True) if _is_cut(sized, sized.graph[index])]
    return tuple(ends)


def _is_cut(sized: SizedGraph, node: Node) -> bool:
    variable = [index for index in node.inputs if sized.graph[index].depends_on_input]
    return bool(variable) and not (takes_signals(sized, node.index) and _read_with_gradient(sized, node))


def _read_with_gradient(sized: SizedGraph, node: Node) -> list[int]:
    if not sized.operator(node).passes_gradient:
        return []
    return [index for index in node.inputs if sized.graph[index].depends_on_input and takes_signals(sized, index)]
