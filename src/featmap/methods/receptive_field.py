"""What a layer, or one unit, can see of the image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from featmap.errors import AddressSyntaxError, InputError
from featmap.geometry import Box, ReceptiveField, Status
from featmap.graph.receptive.fields import receptive_fields
from featmap.graph.receptive.unit_box import unit_box
from featmap.images.inputs import Inputs, content_of
from featmap.images.listing import Images
from featmap.images.pictures import array_picture
from featmap.network.address import Address
from featmap.network.network import CapturedNetwork
from featmap.result import Result


@dataclass(frozen=True, repr=False)
class FieldAnswer(Result):
    """What a layer or one unit can see.

    `field` holds for the layer: size, stride and offset in input pixels, (rows, columns). `box` and `status` are the
    unit's where one was named, else `None` and the layer's. Those of a signal or volume have one axis or three.
    """

    address: str
    field: ReceptiveField
    box: Box | None
    status: Status
    input_shape: tuple[int, ...]

    def __repr__(self) -> str:
        return str(self)

    def _data(self) -> dict[str, Any]:
        answer = {"address": self.address, **self.field.as_dict(), "status": str(self.status)}
        if self.box is not None:
            answer["box"] = self.box.as_list()
        return {**answer, "input_shape": list(self.input_shape)}


def receptive_field(network: CapturedNetwork, address: str | Address) -> FieldAnswer:
    """What a layer or a unit can see; see `featmap.Network.receptive_field`."""
    place = network.place(address)
    if not network.takes_images:
        shape = " x ".join(map(str, network.input_shape))
        raise InputError(
            f"'{place.address}': {network.name} takes inputs of shape {shape}, which are not images: none of its "
            "operators slides over them.",
            "Ask for sizes and costs (plan), or for its values (maps).",
        )
    if place.node not in network.graph.made_of_image:
        raise InputError(
            f"'{place.address}' sees nothing of the image: it is made of {_others(network, place.node)}.",
            "Ask for a value that the image reaches; `featmap plan` lists what each layer sees.",
        )
    field = receptive_fields(network.sized)[place.node]
    if place.address.unit is None:
        return FieldAnswer(str(place.address), field, None, field.status, network.input_shape)
    unit = unit_box(network.sized, place.node, place.address.unit, place.address.channel)
    return FieldAnswer(str(place.address), field, unit.box, unit.status, network.input_shape)


def _others(network: CapturedNetwork, node: int) -> str:
    """What a value is made of beside the image."""
    behind = network.graph.ancestors([node])
    names = [str(network.graph[index].args[0]) for index in network.graph.inputs if index in behind]
    return f"the input{'s' * (len(names) > 1)} {' and '.join(map(repr, names))}" if names else "weights alone"


@dataclass(frozen=True, eq=False)
class FieldDrawing(Result):
    """A unit's box on a picture as the network sees it.

    `box` is in the network's input pixels, those of `picture`. `picture_box` is in the pixels of the picture that was
    given, of `picture_size` (rows, columns): all that is read for the box; empty where it covers only padding.
    """

    address: str
    box: Box
    status: Status
    picture: Image.Image
    picture_box: Box
    picture_size: tuple[int, int]

    @property
    def picture_words(self) -> str:
        """Rows and columns of the picture that are read for the box."""
        box = self.picture_box
        if box.is_empty:
            return "nothing, the unit sees padding alone"
        return box.words

    def _data(self) -> dict[str, Any]:
        answer = {"address": self.address, "box": self.box.as_list(), "status": str(self.status)}
        return {**answer, "picture_box": self.picture_box.as_list(), "picture_size": list(self.picture_size)}


def draw_field(network: CapturedNetwork, image: Images, address: str | Address) -> FieldDrawing:
    """A unit's box on a picture; see `featmap.Network.draw_field`."""
    if network.takes_images and not network.takes_pictures:
        raise InputError(
            f"{network.name} takes no pictures, on which a box could be drawn.",
            "Ask for the box itself (field without a picture), or draw the projection of the unit (project).",
        )
    inputs = Inputs(network, image)
    _check_one(len(inputs))
    content, record = content_of(inputs.entries[0]), network.preprocessing
    if isinstance(content, Tensor):
        return _on_tensor(network, inputs[0].values, address)
    picture = array_picture(content) if isinstance(content, np.ndarray) else content
    framed = record.framed(picture.convert("RGB"))
    answer, unit = _of_unit(network.at((network.input_shape[0], framed.height, framed.width)), address)
    size = picture.height, picture.width
    return FieldDrawing(answer.address, unit, answer.status, framed, record.placed(size).picture_box(unit), size)


def _on_tensor(network: CapturedNetwork, values: Tensor, address: str | Address) -> FieldDrawing:
    """The same on preprocessed values, which are shown as they are: the picture that was given is the network's."""
    network = network.at(tuple(values.shape[1:]))
    answer, unit = _of_unit(network, address)
    picture = network.preprocessing.shown(values[0]).convert("RGB")
    return FieldDrawing(answer.address, unit, answer.status, picture, unit, (picture.height, picture.width))


def _check_one(pictures: int) -> None:
    if pictures != 1:
        raise InputError(f"{pictures} pictures were given; a drawing shows one.", "Give one picture.")


def _of_unit(network: CapturedNetwork, address: str | Address) -> tuple[FieldAnswer, Box]:
    answer = receptive_field(network, address)
    if answer.box is None:
        raise AddressSyntaxError(f"'{address}' names no unit.", "Name one: LAYER:STAGE/CHANNEL@ROW,COLUMN.")
    return answer, answer.box
