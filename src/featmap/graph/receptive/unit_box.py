"""Unit boxes: the pixels of the input that can influence one unit, by structure.

They are found by a backward pass through the graph with exact sets of places along each axis, rows and columns of a
picture, clipped to the map at every layer. Where the union of two paths is not a product of such sets, its hull is
taken and the status says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from featmap.geometry import Box, IndexSet, Status
from featmap.geometry.axis.digits import needed_through
from featmap.graph.operators.base.channels import ALL, SOME, ChannelSet, channel_axis, joined
from featmap.graph.sized_graph import SizedGraph


@dataclass(frozen=True)
class UnitBox:
    """The pixels that can influence a unit: a box in input pixels and how certain it is.

    `exact`: each pixel of the box can influence the unit and no other can. `hull`: no other can. `whole`: an operator
    on the path reads its whole map.
    """

    box: Box
    status: Status


@dataclass(frozen=True)
class Needed:
    """The positions of a value that are read: the product of `places` along each axis of the maps, in some channels.

    `is_product` is False where the true positions are fewer than that product.
    """

    places: tuple[IndexSet, ...]
    channels: ChannelSet
    is_product: bool = True
    reads_whole: bool = False

    @property
    def is_empty(self) -> bool:
        has_channels = not isinstance(self.channels, IndexSet) or bool(self.channels)
        return not (all(self.places) and has_channels)

    def join(self, other: Needed) -> Needed:
        """The union of what two readers read."""
        if self.is_empty or other.is_empty:
            return other if self.is_empty else self
        reads_whole = self.reads_whole or other.reads_whole
        channels = joined(self.channels, other.channels)
        is_product = self.is_product and other.is_product and self._joins(other)
        places = tuple(one | two for one, two in zip(self.places, other.places, strict=True))
        return Needed(places, channels, is_product, reads_whole)

    def _joins(self, other: Needed) -> bool:
        """Whether the union is again a product, for every channel that is read."""
        differing = sum(one != two for one, two in zip(self.places, other.places, strict=True))
        if not differing:
            return True
        if self.channels == other.channels and SOME is not self.channels and differing == 1:
            return True
        return self._holds(other) or other._holds(self)

    def _holds(self, other: Needed) -> bool:
        """Whether everything that the other reads is read here too."""
        if not all(one >= two for one, two in zip(self.places, other.places, strict=True)):
            return False
        if self.channels is ALL:
            return True
        if not isinstance(self.channels, IndexSet) or not isinstance(other.channels, IndexSet):
            return False
        return self.channels >= other.channels


def unit_box(
    sized: SizedGraph, node: int, unit: Sequence[int], channel: int | None = None, target: int | None = None
) -> UnitBox:
    """The box of one unit of a node's value on the image input (or on another value, `target`).

    `unit` is its position along each axis of its map. Without a channel it is the box of all channels there together.
    The box has the axes that the image has.
    """
    labels = sized.image_labels if target is None else tuple(sized.labels)
    target = sized.graph.image_input if target is None else target
    found = needed_at(sized, {node: unit_places(sized, node, unit, channel)}, target)
    if found is None or found.is_empty:
        return UnitBox(Box.empty(len(labels)), Status.EXACT)
    return UnitBox(Box.of(*(found.places[label].interval for label in labels)), _status(found))


def unit_places(sized: SizedGraph, node: int, unit: Sequence[int], channel: int | None) -> Needed:
    """The places that one unit of a value spells: its own, where the image's axes are axes of the value."""
    places, axes = sized.places, sized.axes[node]
    has_channels = places.is_plain(node) and channel_axis(axes, len(sized.shape(node))) is not None
    channels: ChannelSet = ALL if channel is None else IndexSet.of([channel]) if has_channels else SOME
    if places.is_plain(node):
        return Needed(tuple(IndexSet.of([place]) for place in unit), channels)
    flat = channel or 0
    for size, place in zip(sized.size(node), unit, strict=True):
        flat = flat * size + place
    has_channel, asked = channel is not None, IndexSet.of([flat])
    read = (places.unit_steps(node, label, has_channel=has_channel) for label in sized.labels)
    reads_whole = not has_channel and not axes.has_space and max(places.size(node)) > 1
    return Needed(tuple(needed_through(steps, asked) for steps in read), channels, reads_whole=reads_whole)


def _status(found: Needed) -> Status:
    if found.reads_whole:
        return Status.WHOLE
    is_full = found.is_product and all(places.is_contiguous for places in found.places)
    return Status.EXACT if is_full else Status.HULL


def needed_at(sized: SizedGraph, wanted: dict[int, Needed], target: int) -> Needed | None:
    """What the wanted positions of some values read of another value."""
    needed = dict(wanted)
    for index in range(max(wanted), target, -1):
        here = needed.pop(index, None)
        if here is None or here.is_empty:
            continue
        for source, reading in _read(sized, index, here):
            needed[source] = needed[source].join(reading) if source in needed else reading
    return needed.get(target)


def _read(sized: SizedGraph, index: int, here: Needed) -> list[tuple[int, Needed]]:
    node = sized.graph[index]
    operator = sized.operator(node)
    found: list[tuple[int, Needed]] = []
    for way in sized.places.ways(index):
        channels = sized.places.channels(index, way, here.channels)
        places = tuple(needed_through(steps, asked) for steps, asked in zip(way.steps, here.places, strict=True))
        chooses = operator.chooses_operand or operator.is_merge
        # Which branch of a concatenation is read at all depends on the channel.
        is_product = here.is_product and way.is_exact and not (chooses and channels is SOME)
        if here.channels is not ALL and operator.divides_places(sized.call(node)):
            is_product = False
        found.append((way.source, Needed(places, channels, is_product, here.reads_whole or way.reads_whole)))
    return found
