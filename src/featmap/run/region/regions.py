"""Which values of the untouched image the region engine needs, and how each operator call is run there."""

from __future__ import annotations

from collections.abc import Iterable

from featmap.graph.operators.base.regions import Region
from featmap.graph.sized_graph import SizedGraph


def values_to_keep(sized: SizedGraph, needed: Iterable[int]) -> set[int]:
    """The values of the untouched image that regional steps read: what windows and merges read, and means."""
    kept: set[int] = set()
    for index in needed:
        node = sized.graph[index]
        if node.is_input or not node.depends_on_input:
            continue
        region, operator = sized.region(index), sized.operator(node)
        if region == Region.MEAN:
            kept.add(index)
        if region != Region.DIRECT or operator.may_be_view:
            kept.update(source for source in node.inputs if sized.graph[source].depends_on_input)
    return {index for index in kept if not isinstance(sized.specs[index], tuple)}
