"""What can a layer, or one unit, see of the image?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from featmap.geometry import Box, ReceptiveField, Status
from featmap.methods.result import Result
from featmap.network.address import Address
from featmap.network.fields import receptive_fields
from featmap.network.network import CapturedNetwork
from featmap.network.unit_box import unit_box


def field_json(field: ReceptiveField) -> dict[str, Any]:
    """A receptive field as plain data; fractions as numbers, `None` where units do not move uniformly."""

    def plain(values: Any) -> list[Any]:
        return [None if value is None else int(value) if value == int(value) else float(value) for value in values]

    return {
        "size": plain(field.size),
        "stride": plain(field.stride),
        "offset": plain(field.offset),
        "status": str(field.status),
    }


@dataclass(frozen=True)
class FieldAnswer(Result):
    """What a layer or one unit can see.

    `field` holds for the layer: size, stride and offset in input pixels, (rows, columns). `box` and `status` are the
    unit's where one was named, else `None` and the layer's.
    """

    address: str
    field: ReceptiveField
    box: Box | None
    status: Status
    input_shape: tuple[int, ...]

    def to_json(self) -> dict[str, Any]:
        answer = {"address": self.address, **field_json(self.field), "status": str(self.status)}
        if self.box is not None:
            answer["box"] = self.box.as_list()
        return {**answer, "input_shape": list(self.input_shape)}


def receptive_field(network: CapturedNetwork, address: str | Address) -> FieldAnswer:
    """What a layer or a unit can see; see `featmap.Network.receptive_field`."""
    place = network.place(address)
    field = receptive_fields(network.sized)[place.node]
    if place.address.unit is None:
        return FieldAnswer(str(place.address), field, None, field.status, network.input_shape)
    unit = unit_box(network.sized, place.node, *place.address.unit, place.address.channel)
    return FieldAnswer(str(place.address), field, unit.box, unit.status, network.input_shape)
