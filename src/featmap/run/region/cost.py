"""The cost of recomputing regions, counted in multiply-adds and bytes before anything runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from featmap.graph.graph import TensorSpec
from featmap.graph.operators.table import printed_name
from featmap.graph.sized_graph import SizedGraph
from featmap.run.program.program import Program
from featmap.run.region.reach import Reach


@dataclass(frozen=True)
class NodeCost:
    """One operator of a recomputation: full multiply-adds per position, and the shares of them that are computed.

    `exact` counts the places that can change, `widened` those of the widths that are run. Both are 1 where the whole
    map is computed. `ends_regions`: the operator has no way to compute regions, though what it reads has regions.
    """

    index: int
    macs: int
    exact: float
    widened: float
    is_regional: bool
    ends_regions: bool


def node_costs(sized: SizedGraph, reach: Reach, target: int) -> Iterator[NodeCost]:
    """The cost of every operator on the way to the target."""
    whole: set[int] = set()
    for index in sorted(reach.needed):
        if index > target or sized.graph[index].is_input:
            continue
        in_regions = [source not in whole for source, _ in sized.reads(index)]
        has_regions = sized.region(index).is_regional
        is_whole = not has_regions or not all(in_regions)
        if is_whole:
            whole.add(index)
        macs = sized.macs(index) or 0
        exact, widened = (1.0, 1.0) if is_whole else _shares(sized, reach, index)
        yield NodeCost(index, macs, exact, widened, not is_whole, not has_regions and any(in_regions))


def _shares(sized: SizedGraph, reach: Reach, index: int) -> tuple[float, float]:
    if index not in reach.rows:
        return 0.0, 0.0
    height, width = sized.size(index)
    rows, columns = reach.rows[index], reach.columns[index]
    places = height * width * len(rows) * len(columns)
    exact = sum(i.size for i in rows.changed) * sum(i.size for i in columns.changed)
    widened = int(rows.extents.sum()) * int(columns.extents.sum())
    return exact / places, widened / places


def region_ends(sized: SizedGraph, reach: Reach, target: int) -> tuple[str, ...]:
    """What regions end at on the way to the target, by operator name: it is computed whole, with all that follows."""
    ends = (cost.index for cost in node_costs(sized, reach, target) if cost.ends_regions)
    return tuple(dict.fromkeys(printed_name(sized.graph[index]) for index in ends))


def recomputed_share(sized: SizedGraph, reach: Reach, target: int) -> float:
    """The multiply-adds of a recomputation as a share of full runs up to the target."""
    costs = list(node_costs(sized, reach, target))
    full = sum(cost.macs for cost in costs)
    return sum(cost.macs * cost.widened for cost in costs) / full if full else 1.0


def bytes_per_position(sized: SizedGraph, reach: Reach, program: Program) -> float:
    """About how many bytes one position takes at the worst moment: what goes in and out of two neighbouring steps."""
    known = {cost.index: cost.widened for cost in node_costs(sized, reach, max(reach.needed))}
    sizes: list[float] = []
    for step in program.steps:
        spec = sized.specs[step.result]
        if isinstance(spec, TensorSpec) and step.result in known:
            reads = [_bytes(sized, source) * known.get(source, 0.0) for source in step.node.inputs]
            sizes.append(_bytes(sized, step.result) * known[step.result] + 2 * sum(reads))
    return 1.5 * max(sizes, default=1.0)


def _bytes(sized: SizedGraph, index: int) -> float:
    spec = sized.specs[index]
    return float(spec.size_bytes) if isinstance(spec, TensorSpec) else 0.0
