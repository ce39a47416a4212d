"""What an index says of itself: the network, its preprocessing and layers, and what is kept; plain data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from math import prod
from typing import Any

import numpy as np

from featmap.errors import NoSuchChannel, NotKept, nearest
from featmap.geometry import Box
from featmap.geometry.place import place_of
from featmap.network.address import Address
from featmap.network.preprocess import Preprocessing
from featmap.version import __version__

FORMAT = 1
_SHOWN = 8


@dataclass(frozen=True)
class IndexedLayer:
    """One indexed layer: its full address, its maps `first` to `first + channels` of all, and its geometry.

    `boxes` holds, for every group of channels with the same view, the input rows of every row and the input columns of
    every column ("axes": the same along each axis of a signal or volume); `group` the group of every channel. `bounds`
    are those of its nonlinearity. `correlated` is the number of positions per image over which maps are correlated,
    `tail` the number of largest values that are kept per map; 0 is none. `input_size` is that of the network's images,
    rows and columns. `rectified`: its maps are 0 on a half line of their input, as behind ReLU. `magnitudes`: its
    values are complex, and all that is kept is of their magnitudes. Both are None in an index that was built before
    this was kept.
    """

    address: str
    first: int
    channels: int
    size: tuple[int, ...]
    field: dict[str, Any]
    bounds: tuple[float, float]
    group: tuple[int, ...]
    boxes: tuple[dict[str, Any], ...]
    correlated: int
    tail: int
    input_size: tuple[int, ...]
    rectified: bool | None = None
    magnitudes: bool | None = None

    @property
    def title(self) -> str:
        """The address, with what is measured where that is not the values."""
        return self.said(self.address)

    def said(self, address: str) -> str:
        """The address of a map of the layer, or of the layer, with what is measured where that is not the values."""
        return f"magnitudes of {address}" if self.magnitudes else address

    @property
    def numbers_of(self) -> dict[str, str]:
        """What is measured, for plain data: nothing is said of values."""
        return {"numbers_of": "magnitudes"} if self.magnitudes else {}

    @property
    def maps(self) -> slice:
        """The layer's part of everything that is kept per map."""
        return slice(self.first, self.first + self.channels)

    @property
    def places(self) -> int:
        """How many units a map has."""
        return prod(self.size)

    def unit(self, place: int) -> tuple[int, ...]:
        """The position along each axis of a map, from its number in the flattened map."""
        return place_of(place, self.size)

    def spans(self, channel: int) -> list[list[list[int]]]:
        """Along each axis of a channel's map the start and stop of what every place sees of the input."""
        sides = self.boxes[self.group[channel]]
        return sides["axes"] if "axes" in sides else [sides["rows"], sides["columns"]]

    def box(self, channel: int, unit: Sequence[int]) -> Box:
        """The input pixels that can influence a unit."""
        seen = [spans[at] for spans, at in zip(self.spans(channel), unit, strict=True)]
        return Box(*(start for start, _ in seen), *(stop for _, stop in seen))

    def field_box(self, channel: int, unit: Sequence[int]) -> Box:
        """The same uncut: it may reach beyond the image. Where units do not move uniformly it is `box`."""
        cut = self.box(channel, unit)
        size, stride, offset = (self.field[name] for name in ("size", "stride", "offset"))
        if not all(isinstance(step, int) for step in (*size, *stride, *offset)):
            return cut
        starts = [first + at * step for first, at, step in zip(offset, unit, stride, strict=True)]
        uncut = Box(*starts, *(start + count for start, count in zip(starts, size, strict=True)))
        # Behind a concatenation some channels see less than the layer's field.
        return uncut if cut == uncut.clip(*self.input_size) else cut

    def check_channel(self, channel: int) -> None:
        """Raises: NoSuchChannel."""
        if not 0 <= channel < self.channels:
            raise NoSuchChannel(
                f"'{self.address}/{channel}': there is no channel {channel}; {self.address} has {self.channels} "
                "feature maps.",
                f"Ask for a channel from 0 to {self.channels - 1}.",
            )

    def to_dict(self) -> dict[str, Any]:
        """The layer as plain data; bounds that do not exist are null."""
        bounds = [None if np.isinf(bound) else bound for bound in self.bounds]
        names = ("size", "input_size", "group", "boxes")
        lists = {name: list(getattr(self, name)) for name in names}
        return {**vars(self), **lists, "bounds": bounds}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> IndexedLayer:
        """The layer that `to_dict` wrote."""
        low, high = data["bounds"]
        bounds = (-np.inf if low is None else low, np.inf if high is None else high)
        lists: dict[str, Any] = {
            "bounds": bounds,
            "size": tuple(data["size"]),
            "input_size": tuple(data["input_size"]),
            "group": tuple(data["group"]),
            "boxes": tuple(data["boxes"]),
        }
        return cls(**{**data, **lists})


@dataclass(frozen=True)
class Description:
    """All that an index says of itself.

    `network` and `preprocessing` are fingerprints. `block` images are read before each commit, `batch` run at once.
    `planned` is the number of images that were expected when it was started, 0 where unknown. `full` names the
    layers whose whole maps are kept. `notes` say why the network would not give the same numbers again.
    """

    model: str
    weights_source: str
    network: str
    preprocessing: str
    preprocessing_record: dict[str, Any]
    input_shape: tuple[int, ...]
    layers: tuple[IndexedLayer, ...]
    stage: str
    top_k: int
    table: bool
    full: tuple[str, ...]
    correlation: str
    quantile_bytes: int
    planned: int
    block: int
    batch: int
    notes: tuple[str, ...] = ()
    version: str = __version__
    format: int = FORMAT

    @property
    def maps(self) -> int:
        """How many maps of all layers there are."""
        return sum(layer.channels for layer in self.layers)

    @property
    def preprocess(self) -> Preprocessing:
        """How pictures become inputs."""
        kept = self.preprocessing_record.items()
        record: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in kept}
        return Preprocessing(**record)

    def layer(self, address: str | Address) -> IndexedLayer:
        """The indexed layer of an address; without a stage its activation, or else the last stage that is indexed.

        Raises: NotKept, with those that are.
        """
        asked = Address.parse(address)
        stages = {known.stage: layer for known, layer in self._known if known.named_call == asked.named_call}
        if not stages or asked.stage not in (None, *stages):
            raise self._not_kept(asked)
        last = next(stage for stage in ("a", "z", "conv") if stage in stages)
        return stages[asked.stage or last]

    @cached_property
    def _known(self) -> list[tuple[Address, IndexedLayer]]:
        return [(Address.parse(layer.address), layer) for layer in self.layers]

    def map(self, address: str | Address) -> tuple[IndexedLayer, int]:
        """The indexed layer and channel of a map's address. Raises: NotKept, NoSuchChannel."""
        asked = Address.parse(address)
        layer = self.layer(asked)
        if asked.channel is None or asked.unit is not None:
            problem = f"'{asked}' names no map of its own." if asked.channel is None else f"'{asked}' is one unit."
            raise NoSuchChannel(problem, f"Ask for a map: {layer.address}/0 to {layer.address}/{layer.channels - 1}.")
        layer.check_channel(asked.channel)
        return layer, asked.channel

    def _not_kept(self, asked: Address) -> NotKept:
        names = [layer.address for layer in self.layers]
        wanted = str(asked.of_layer)
        same = [name for name in names if Address.parse(name).named_call == asked.named_call]
        if same:
            return NotKept(f"'{wanted}' is not indexed; of that layer {' and '.join(same)} is.", f"Ask for {same[0]}.")
        shown = ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
        return NotKept(f"'{wanted}' is not indexed.", f"Indexed are {shown}. {nearest(wanted, names)}".strip())

    def to_dict(self) -> dict[str, Any]:
        """The description as plain data."""
        plain = {field.name: getattr(self, field.name) for field in fields(self)}
        layers = [layer.to_dict() for layer in self.layers]
        lists = {"input_shape": list(self.input_shape), "full": list(self.full), "notes": list(self.notes)}
        return {**plain, **lists, "layers": layers}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Description:
        """The description that `to_dict` wrote."""
        layers = tuple(IndexedLayer.from_dict(layer) for layer in data["layers"])
        full, shape = tuple(data["full"]), tuple(data["input_shape"])
        # Indexes that were built before there were notes have none.
        notes = tuple(data.get("notes", ()))
        lists: dict[str, Any] = {"input_shape": shape, "full": full, "layers": layers, "notes": notes}
        return cls(**{**data, **lists})
