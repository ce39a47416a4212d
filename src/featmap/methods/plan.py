"""The plan of a network before anything runs: size, cost and receptive field of every layer.

One row per layer and per operator that stands alone; shapes without the batch axis.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

from featmap.geometry import ReceptiveField
from featmap.graph.graph import Node
from featmap.graph.operators.table import is_known, operator_of, printed_name
from featmap.graph.receptive.fields import receptive_fields
from featmap.graph.sized_graph import DoesNotFit, SizedGraph
from featmap.network.address import written
from featmap.network.differing import batch_statistics, written_state
from featmap.network.layers import CapturedLayer
from featmap.network.network import CapturedNetwork
from featmap.network.randomness import random_operators
from featmap.network.tensors import RandomTensors
from featmap.plain_data import PlainData
from featmap.result_table import TableResult
from featmap.run.memory import activation_bytes, peak_bytes, size_bytes

MAC_CONVENTION = "one multiply-add per weight and output value, biases not counted"
_SILENT = frozenset({"shape", "constant"})


@dataclass(frozen=True)
class PlanRow:
    """One layer (or operator that stands alone).

    `input_shape` and `output_shape` are (channels, rows, columns), or (features,) for vectors. `macs` is `None` where
    an operator's cost is unknown. `parameters` counts those first used here. `receptive_field` is `None` where the
    network takes no images: fields of signals and volumes are not computed; and where the value is made of other inputs
    or of weights alone (`sees_image` is False).
    """

    address: str
    operator: str
    details: str
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    parameters: int
    macs: int | None
    receptive_field: ReceptiveField | None
    stages: tuple[str, ...]
    activation_bytes: int
    sees_image: bool = True

    @property
    def feature_maps(self) -> int:
        """The number of output maps (or features)."""
        return self.output_shape[0] if self.output_shape else 1

    def to_dict(self) -> dict[str, PlainData]:
        return {
            "address": self.address,
            "operator": self.operator,
            "details": self.details,
            "input_shape": list(self.input_shape),
            "output_shape": list(self.output_shape),
            "feature_maps": self.feature_maps,
            "parameters": self.parameters,
            "macs": self.macs,
            "receptive_field": None if self.receptive_field is None else _plain_field(self.receptive_field),
            "stages": list(self.stages),
            "activation_bytes": self.activation_bytes,
        }


def _plain_field(field: ReceptiveField) -> dict[str, PlainData]:
    return cast("dict[str, PlainData]", field.as_dict())


def _weights_words(network: CapturedNetwork) -> str:
    if isinstance(network.tensors, RandomTensors):
        return f"none loaded; where values are asked for they are {network.weights_source}"
    return network.weights_source


@dataclass(frozen=True)
class PlanTotals:
    """Sums over the network.

    `parameters` counts every parameter of the model, `unused_parameters` those that evaluation never touches.
    `activation_bytes` is everything that operators make for one image, `peak_bytes` the most of it that is alive at
    one moment when each value is freed after its last reader (the input included, weights not).
    """

    parameters: int
    unused_parameters: int
    macs: int
    unknown_macs: tuple[str, ...]
    activation_bytes: int
    peak_bytes: int


@dataclass(frozen=True, repr=False)
class Plan(TableResult):
    """The table of a network at one input size; see `featmap.Network.plan`.

    `joined_images` names what the model calls once on several images joined along the batch, with their number: each
    has its own rows, `c#1` and `c#2`; `c` is the first.
    """

    model: str
    input_shape: tuple[int, ...]
    layers: tuple[PlanRow, ...]
    totals: PlanTotals
    preprocessing: str
    unknown_operators: tuple[str, ...]
    weights_source: str
    random_operators: tuple[str, ...] = ()
    joined_images: Mapping[str, int] = field(default_factory=dict[str, int])
    batch_statistics: tuple[str, ...] = ()
    written_state: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[PlanRow]:
        return iter(self.layers)

    def __len__(self) -> int:
        return len(self.layers)

    def __getitem__(self, address: str) -> PlanRow:
        asked = written(address)
        first = f"{asked}#1" if self._is_joined(asked) else asked
        for row in self.layers:
            if row.address in (address, asked, first):
                return row
        raise KeyError(f"'{address}' is not a row of this plan")

    def _is_joined(self, address: str) -> bool:
        return any(f"{address}.".startswith(f"{path}.") for path in self.joined_images)

    def __repr__(self) -> str:
        return str(self)

    def _data(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "input_shape": list(self.input_shape),
            "layers": [row.to_dict() for row in self.layers],
            "totals": {
                "parameters": self.totals.parameters,
                "unused_parameters": self.totals.unused_parameters,
                "macs": self.totals.macs,
                "macs_unknown_for": list(self.totals.unknown_macs),
                "activation_bytes": self.totals.activation_bytes,
                "peak_bytes": self.totals.peak_bytes,
            },
            "macs_convention": MAC_CONVENTION,
            "preprocessing": self.preprocessing,
            "operators_treated_as_whole": list(self.unknown_operators),
            "random_operators": list(self.random_operators),
            "joined_images": dict(self.joined_images),
            "batch_statistics": list(self.batch_statistics),
            "written_state": list(self.written_state),
            "weights": self.weights_source,
        }

    def rows(self) -> list[dict[str, PlainData]]:
        """One row per layer, without nested values but the shapes."""
        return [flat_row(row) for row in self.layers]


def flat_row(row: PlanRow) -> dict[str, PlainData]:
    """A row without nested values."""
    flat = row.to_dict()
    del flat["receptive_field"]
    known = row.receptive_field
    field = dict.fromkeys(ReceptiveField().as_dict()) if known is None else _plain_field(known)
    flat["stages"] = " ".join(row.stages)
    return {**flat, **{f"receptive_field_{name}": value for name, value in field.items()}}


def plan(network: CapturedNetwork, input_shape: tuple[int, ...] | None = None) -> Plan:
    """The network's table; see `featmap.Network.plan`."""
    try:
        return _Planner(network if input_shape is None else network.at(tuple(input_shape))).plan()
    except DoesNotFit as refusal:
        record = network.preprocessing.at(network.input_shape, tuple(input_shape or network.input_shape))
        reached = replace(network, sized_as=refusal.reached, preprocessing=record)
        raise PartialPlan(refusal.problem, refusal.remedy, refusal.reached, _Planner(reached).plan()) from refusal


class PartialPlan(DoesNotFit):
    """An input size that some layer cannot take; `plan` is the table up to there."""

    def __init__(self, problem: str, remedy: str, reached: SizedGraph, plan: Plan) -> None:
        super().__init__(problem, remedy, reached)
        self.plan = plan


def details_of(sized: SizedGraph, node: Node) -> str:
    """A node's settings in words; with its operator's name and the tensors that it reads enough for its value."""
    text = operator_of(node).describe(sized.call(node))
    return (
        text
        if is_known(node)
        else ", ".join(filter(None, ["unknown operator, treated as reading the whole map", text]))
    )


def with_details(sized: SizedGraph, node: Node) -> str:
    """A node's name, and its settings in brackets where it has any."""
    text = details_of(sized, node)
    return f"{printed_name(node)} ({text})" if text else printed_name(node)


class _Planner:
    def __init__(self, network: CapturedNetwork) -> None:
        self.network = network
        self.sized = network.sized
        self.graph = network.graph
        self.count = len(self.sized.specs)
        self.fields = receptive_fields(self.sized)
        self.seen_weights: set[str] = set()
        self.owned = self._constant_weights()

    def plan(self) -> Plan:
        rows = tuple(self._rows())
        return Plan(
            model=self.network.name,
            input_shape=self.network.input_shape,
            layers=rows,
            totals=self._totals(rows),
            preprocessing=self.network.preprocessing.describe(),
            unknown_operators=self.network.unknown_operators,
            weights_source=_weights_words(self.network),
            random_operators=random_operators(self.network, range(self.count)),
            joined_images=self._joined_images(),
            batch_statistics=batch_statistics(self.network, range(self.count)),
            written_state=written_state(self.network),
        )

    def _joined_images(self) -> dict[str, int]:
        """The outermost modules and operators that the model calls once for several images."""
        joined = self.network.names.joined
        inner = {path for path in joined if any(path.startswith(f"{outer}.") for outer in joined)}
        shown = {row.split("#")[0] for row in map(str, self.network.layers)}
        return {
            written(path): count
            for path, count in joined.items()
            if path not in inner and any(f"{layer}.".startswith(f"{written(path)}.") for layer in shown)
        }

    def _rows(self) -> Iterator[PlanRow]:
        layer_of = self.network.resolver.layer_of
        for node in self.graph.nodes[: self.count]:
            layer = layer_of.get(node.index)
            if layer is not None and layer.producer == node.index and max(layer.nodes) < self.count:
                yield self._layer_row(layer)
            elif layer is None and self._stands_alone(node):
                yield self._operator_row(node)

    def _stands_alone(self, node: Node) -> bool:
        if node.is_input or not node.depends_on_input:
            return False
        return operator_of(node).kind not in _SILENT or bool(self._weights(node))

    def _layer_row(self, layer: CapturedLayer) -> PlanRow:
        nodes = [self.graph[index] for index in layer.nodes]
        after = (with_details(self.sized, node) for node in nodes[1:])
        details = ", ".join(part for part in (details_of(self.sized, nodes[0]), *after) if part)
        last = layer.stages[layer.last_stage]
        return self._row(layer.name, nodes, last, details, tuple(layer.stages))

    def _operator_row(self, node: Node) -> PlanRow:
        name = self.network.names.text(self.network.names.operator[node.index])
        return self._row(name, [node], node.index, details_of(self.sized, node), ("a",))

    def _row(self, name: str, nodes: list[Node], last: int, details: str, stages: tuple[str, ...]) -> PlanRow:
        costs = [self.sized.macs(node.index) for node in nodes]
        source, sees_image = self.sized.call(nodes[0]).main.index, last in self.graph.made_of_image
        return PlanRow(
            address=name,
            operator=printed_name(nodes[0]),
            details=details,
            input_shape=self._map_shape(source),
            output_shape=self._map_shape(last),
            parameters=sum(self._first_use(node) for node in nodes),
            macs=None if None in costs else sum(cost for cost in costs if cost is not None),
            receptive_field=self.fields[last] if self.network.takes_images and sees_image else None,
            stages=stages,
            activation_bytes=sum(size_bytes(self.sized.specs[node.index]) for node in nodes),
            sees_image=sees_image,
        )

    def _map_shape(self, index: int | None) -> tuple[int, ...]:
        """(channels, rows, columns), or the shape without the batch axis for values without rows and columns."""
        if index is None:
            return ()
        shape, axes = self.sized.shape(index), self.sized.axes[index]
        if axes.has_space:
            return (self.network.resolver.channels(index), *self.sized.size(index))
        images = self.sized.shape(self.graph.image_input)[:1]
        batch = 0 if axes.batch is None and shape[:1] == images else axes.batch
        return tuple(size for axis, size in enumerate(shape) if axis != batch)

    def _weights(self, node: Node) -> list[str]:
        names = list(node.weights)
        for index in node.inputs:
            names += self.owned.get(index, [])
        return [name for name in names if self.graph.weights[name].kind == "parameter"]

    def _constant_weights(self) -> dict[int, list[str]]:
        """The weights behind every value that is computed from weights alone."""
        owned: dict[int, list[str]] = {}
        for node in self.graph:
            if not node.depends_on_input:
                inner = [name for index in node.inputs for name in owned.get(index, [])]
                owned[node.index] = [*node.weights, *inner]
        return owned

    def _first_use(self, node: Node) -> int:
        new = [name for name in dict.fromkeys(self._weights(node)) if name not in self.seen_weights]
        self.seen_weights.update(new)
        return sum(self.graph.weights[name].spec.count for name in new)

    def _totals(self, rows: tuple[PlanRow, ...]) -> PlanTotals:
        every = sum(weight.spec.count for weight in self.graph.weights.values() if weight.kind == "parameter")
        unknown = tuple(dict.fromkeys(row.address for row in rows if row.macs is None))
        outputs = [index for index in self.graph.outputs if index is not None and index < self.count]
        whole = self.count == len(self.graph)
        return PlanTotals(
            parameters=every,
            unused_parameters=every - sum(row.parameters for row in rows) if whole else 0,
            macs=sum(row.macs or 0 for row in rows),
            unknown_macs=unknown,
            activation_bytes=activation_bytes(self.sized),
            peak_bytes=peak_bytes(self.sized, outputs or [self.count - 1]),
        )
