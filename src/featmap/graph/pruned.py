"""The pruning of a graph: values that no output needs are removed."""

from __future__ import annotations

from dataclasses import replace

from featmap.graph.graph import Graph


def pruned(graph: Graph) -> Graph:
    """The graph without values that no output depends on."""
    kept = graph.ancestors([index for index in graph.outputs if index is not None]) | set(graph.inputs)
    to = {old: new for new, old in enumerate(sorted(kept))}
    return replace(
        graph,
        nodes=tuple(graph[old].moved(new, to.__getitem__) for old, new in to.items()),
        inputs=tuple(to[index] for index in graph.inputs),
        outputs=tuple(None if index is None else to[index] for index in graph.outputs),
        removed={stack: to[index] for stack, index in graph.removed.items() if index in to},
        own_gradients={to[index]: name for index, name in graph.own_gradients.items() if index in to},
        copy_of={to[index]: first for index, first in graph.copy_of.items() if index in to},
    )
