"""The axes of a network's feature maps: how many there are, and which axes of the image they are.

Convolutions decide it, else pools and resizes: over one axis the maps are those of signals, over two of pictures, over
three of volumes. An image of four axes has maps of rows and columns, whatever else is computed on the way.
"""

from __future__ import annotations

from dataclasses import replace

from featmap.graph.graph import Graph
from featmap.graph.operators.base.call import NO_AXES, Call, shape_of
from featmap.graph.operators.table import operator_of


def with_map_axes(graph: Graph) -> Graph:
    """The graph with the axes of its maps."""
    rank = len(shape_of(graph[graph.image_input].spec)) if graph.inputs else 0
    count = _count(rank, _worked_over(graph, "convolution"), _worked_over(graph, "pool", "resize"))
    if count is None:
        return replace(graph, map_axes=2, image_axes=(None, None))
    # Images without an axis of channels have the axes of maps directly behind that of images.
    own = min(count, rank - 1)
    return replace(graph, map_axes=count, image_axes=(None,) * (count - own) + tuple(range(rank - own, rank)))


def _count(rank: int, convolved: set[int], others: set[int]) -> int | None:
    """The number of axes of maps; None where nothing works over any."""
    if rank == 4:
        # Volumes without an axis of channels.
        return 3 if convolved == {3} else 2
    found = (convolved or others) & ({1, 2, 3} if rank > 1 else set())
    return max(found, default=None)


def _worked_over(graph: Graph, *kinds: str) -> set[int]:
    """Over how many axes the operators of some kinds work that depend on the image."""
    specs, axes = [node.spec for node in graph], [NO_AXES] * len(graph)
    nodes = [node for node in graph if node.depends_on_input and operator_of(node).kind in kinds]
    counts = (operator_of(node).works_over(Call(graph, node, specs, axes)) for node in nodes)
    return {count for count in counts if count is not None}
