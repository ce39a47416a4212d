"""Receptive fields of all values of a network far from the borders, computed in one forward pass over the graph.

After a concatenation, channels may have different fields. The field of such a value is reported as a hull until an
operator reads all channels again; if only some of them are taken, it is unknown which, and the field stays a hull.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import reduce

from featmap.geometry import IndexSet, ReceptiveField, merge
from featmap.geometry.axis.axis_field import IDENTITY
from featmap.graph.operators.base.call import Call
from featmap.graph.operators.base.channels import ALL
from featmap.graph.operators.base.operator import Operator
from featmap.graph.operators.gathering.lookup import Gathering, IndexedPlaces
from featmap.graph.operators.gathering.overlay import Overlay
from featmap.graph.operators.moving.cutting import Cut, Item, Select
from featmap.graph.operators.padding import Padding
from featmap.graph.operators.pointwise import Sum
from featmap.graph.sized_graph import SizedGraph

_FIRST_CHANNEL = IndexSet.of([0])


@dataclass(frozen=True)
class _Seen:
    """The union of the fields of all channels, and whether channels differ."""

    field: ReceptiveField
    varies: bool


def receptive_fields(sized: SizedGraph) -> list[ReceptiveField]:
    """The receptive field of every value (by node) on the image input, in input pixels."""
    return sized.derived(_receptive_fields)


def _receptive_fields(sized: SizedGraph) -> list[ReceptiveField]:
    seen: list[_Seen] = []
    for index in range(len(sized.specs)):
        seen.append(_seen(sized, index, seen))
    return [_reported(sized, index, entry) for index, entry in enumerate(seen)]


def _reported(sized: SizedGraph, index: int, seen: _Seen) -> ReceptiveField:
    """The field as it is reported for the units at a value's own places, along the axes that the image has."""
    field = replace(seen.field, is_product=False) if seen.varies else seen.field
    places = sized.places
    if index in sized.graph.made_of_image and not places.is_plain(index):
        steps = [places.axis_steps(index, label) for label in sized.labels]
        is_told = all(places.spells_all(index, label) for label in sized.labels)
        field = field.behind(*steps, is_product=field.is_product and is_told)
    return replace(field, axes=tuple(field.axes[label] for label in sized.image_labels or sized.labels))


def _seen(sized: SizedGraph, index: int, seen: list[_Seen]) -> _Seen:
    of_image = sized.graph.made_of_image
    ways = [way for way in sized.places.ways(index) if way.source in of_image]
    if not ways:
        return _Seen(ReceptiveField((IDENTITY,) * len(sized.labels)), varies=False)
    node = sized.graph[index]
    operator, call = sized.operator(node), sized.call(node)
    fields: list[ReceptiveField] = []
    even: list[ReceptiveField] = []
    varies = operator.divides_places(call) or _has_constant_channels(operator, call, [way.position for way in ways])
    for way in ways:
        behind = seen[way.source]
        field = behind.field.behind(*way.steps, is_product=behind.field.is_product and way.is_certain)
        if behind.varies and sized.places.channels(index, way, _FIRST_CHANNEL) is not ALL:
            varies = True
            if isinstance(operator, Cut | Item | Select | IndexedPlaces | Gathering):
                field = replace(field, is_product=False)
        fields.append(field)
        even += [] if behind.varies else [field]
    if isinstance(operator, Sum) and any(all(way.covers(field) for field in fields) for way in even):
        varies = False
    if _joins_channels(operator, call) and not all(_same(field, fields[0]) for field in fields):
        varies = True
    return _Seen(_joined(fields), varies)


def _has_constant_channels(operator: Operator, call: Call, positions: list[int]) -> bool:
    """Whether some channels of the value are constants, whose field is empty."""
    if isinstance(operator, Padding):
        return operator.pads_channels(call)
    tensors = 2 if isinstance(operator, Overlay) else len(call.operands)
    return _joins_channels(operator, call) and len(positions) < tensors


def _joins_channels(operator: Operator, call: Call) -> bool:
    """Whether the channels of the value may come from different operands."""
    return operator.is_along_channels(call) if isinstance(operator, Overlay) else operator.chooses_operand


def _same(first: ReceptiveField, second: ReceptiveField) -> bool:
    return first.covers(second) and second.covers(first)


def _joined(fields: list[ReceptiveField]) -> ReceptiveField:
    return fields[0] if len(fields) == 1 else merge(reduce(_without_repeats, fields, []))


def _without_repeats(kept: list[ReceptiveField], field: ReceptiveField) -> list[ReceptiveField]:
    return kept if field in kept else [*kept, field]
