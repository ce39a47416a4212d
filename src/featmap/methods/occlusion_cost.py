"""The cost of an occlusion, layer by layer, and the most that can be gained; counted, nothing is run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from featmap.methods.shared.target import Target, score_of
from featmap.methods.shared.windows import Sides, windows
from featmap.network.network import CapturedNetwork
from featmap.result import Result
from featmap.run.full_occlusion import FullPlan
from featmap.run.region.cost import NodeCost, node_costs, region_ends
from featmap.run.region.reach import needed_boxes, reach


@dataclass(frozen=True)
class CostRow:
    """One layer: the multiply-adds of a full run, and the shares of them that a position takes on average.

    `exact` counts the positions that can change, `recomputed` those that are computed. `is_regional` is false from the
    first operator on that reads whole maps.
    """

    address: str
    macs: int
    exact: float
    recomputed: float
    is_regional: bool


@dataclass(frozen=True, repr=False)
class OcclusionCost(Result):
    """The cost of an occlusion against one full run per position, in multiply-adds.

    `ceiling` is the most that recomputing exactly what can change gains, `expected` what the widened regions gain.
    `region_ends` names the operators that are computed whole, with all that follows, since they have no way to compute
    a region of their value alone.
    """

    layers: tuple[CostRow, ...]
    positions: int
    window: tuple[int, ...]
    stride: tuple[int, ...]
    region_ends: tuple[str, ...] = ()

    @property
    def ceiling(self) -> float:
        return self._gain("exact")

    @property
    def expected(self) -> float:
        return self._gain("recomputed")

    def _gain(self, share: str) -> float:
        computed = sum(row.macs * getattr(row, share) for row in self.layers)
        return sum(row.macs for row in self.layers) / computed if computed else float("inf")

    def __repr__(self) -> str:
        return str(self)

    def _data(self) -> dict[str, Any]:
        rows = [
            {
                "address": row.address,
                "macs": row.macs,
                "exact": row.exact,
                "recomputed": row.recomputed,
                "regional": row.is_regional,
            }
            for row in self.layers
        ]
        return {
            "layers": rows,
            "positions": self.positions,
            "window": list(self.window),
            "stride": list(self.stride),
            "ceiling": self.ceiling,
            "expected": self.expected,
            "region_ends": list(self.region_ends),
        }


def occlusion_cost(
    network: CapturedNetwork, target: Target = None, window: Sides = 16, stride: Sides = 8
) -> OcclusionCost:
    """The cost of an occlusion; see `featmap.Network.occlusion_cost`."""
    sized = network.sized
    score = score_of(network, target)
    node = score.node if score is not None else network.graph.outputs[0]
    assert node is not None
    found = windows(sized.image_size, window, stride)
    if not network.takes_pictures:
        full = FullPlan(network, node, None if score is None else score.box, found.axes)
        return OcclusionCost(_full_rows(network, node), found.count, found.window, found.stride, full.region_ends())
    needed = needed_boxes(sized, node, None if score is None else score.box)
    reached = reach(sized, found.rows, found.columns, needed)
    costs = [cost for cost in node_costs(sized, reached, node) if cost.macs]
    rows = tuple(_row(network, cost) for cost in costs)
    return OcclusionCost(rows, found.count, found.window, found.stride, region_ends(sized, reached, node))


def _full_rows(network: CapturedNetwork, node: int) -> tuple[CostRow, ...]:
    """The layers on the way to a value, all computed in full at every position."""
    sized = network.sized
    way = [index for index in sorted(sized.graph.ancestors((node,))) if sized.macs(index)]
    return tuple(_row(network, NodeCost(index, sized.macs(index) or 0, 1.0, 1.0, False, False)) for index in way)


def _row(network: CapturedNetwork, cost: NodeCost) -> CostRow:
    layer = network.resolver.layer_of.get(cost.index)
    name = layer.name if layer is not None else network.names.text(network.names.operator[cost.index])
    return CostRow(name, cost.macs, cost.exact, cost.widened, cost.is_regional)
