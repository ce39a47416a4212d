"""Which values of a graph does an output need? The others are taken away."""

from __future__ import annotations

from dataclasses import replace

from featmap.network.graph import Graph, Node, Reference, Weight, map_arguments


def pruned(graph: Graph) -> Graph:
    """The graph without values that no output reads."""
    kept = graph.ancestors([index for index in graph.outputs if index is not None]) | set(graph.inputs)
    new_index = {old: new for new, old in enumerate(sorted(kept))}
    return replace(
        graph,
        nodes=tuple(_renumbered(graph[old], new_index) for old in new_index),
        inputs=tuple(new_index[index] for index in graph.inputs),
        outputs=tuple(None if index is None else new_index[index] for index in graph.outputs),
        removed={stack: new_index[index] for stack, index in graph.removed.items() if index in new_index},
        own_gradients={new_index[index]: name for index, name in graph.own_gradients.items() if index in new_index},
        copy_of={new_index[index]: first for index, first in graph.copy_of.items() if index in new_index},
    )


def _renumbered(node: Node, new_index: dict[int, int]) -> Node:
    def moved(leaf: Reference | Weight) -> Reference | Weight:
        return Reference(new_index[leaf.index]) if isinstance(leaf, Reference) else leaf

    return replace(
        node,
        index=new_index[node.index],
        args=map_arguments(node.args, moved),
        kwargs={name: map_arguments(value, moved) for name, value in node.kwargs.items()},
        inputs=tuple(new_index[index] for index in node.inputs),
    )
