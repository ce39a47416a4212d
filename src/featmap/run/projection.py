"""Projection of many units of a layer: in batches sized to memory, over the forward values of one image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
import torch
from jaxtyping import Shaped
from torch import Tensor

from featmap.geometry import Box
from featmap.graph.graph import TensorSpec
from featmap.network.network import CapturedNetwork
from featmap.run.as_maps import as_maps
from featmap.run.backward.engine import BackwardEngine
from featmap.run.backward.forward import ForwardValues
from featmap.run.backward.roles import Norm, Rule
from featmap.run.backward.signal import Boxes, Signal, WholeSignal, moved, signal_at
from featmap.run.batches import can_batch, even_part
from featmap.run.magnitudes import directions, is_complex, measured
from featmap.run.memory import available_bytes
from featmap.run.program.program import Program
from featmap.run.region.reach import needed_boxes
from featmap.run.region.untouched import Untouched

LARGEST_BUDGET_BYTES = 2**29
MOST_AT_ONCE = 256
_COPIES = 6
"""So many times a unit's largest signal is held at the worst moment: what goes in, what comes out, masks, borders."""


@dataclass(frozen=True)
class Unit:
    """One unit of a layer, `place` its position along each axis of the map, and the value its signal starts from.

    Of a complex unit that is a magnitude, and `direction` what it is multiplied with: the magnitude's gradient.
    """

    channel: int
    place: tuple[int, ...]
    start: float
    direction: complex = 1.0


class Projector:
    """Projects units of one value of a network; made once for many images."""

    def __init__(
        self,
        network: CapturedNetwork,
        node: int,
        rule: Rule,
        norm: Norm,
        *,
        dtype: torch.dtype | None = None,
        device: torch.device | None = None,
        memory_bytes: int | None = None,
    ) -> None:
        self.network = network
        self.sized = network.sized
        self.node = node
        self.engine = BackwardEngine(network, node, rule, norm, dtype=dtype, device=device)
        self.memory_bytes = memory_bytes or min(available_bytes() // 4, LARGEST_BUDGET_BYTES)
        self._alone = Program(network.captured, network.tensors, [node], dtype=dtype, device=device)
        self.has_maps = self.sized.axes[node].is_plane and self.sized.axes[node].batch == 0

    def forward(self, image: Shaped[Tensor, "*axes"], box: Box | None = None) -> ForwardValues:
        """What is needed of one image (channel, row, column), for units within a box of the map."""
        return self.engine.forward(image[None], box if self.has_maps else None)

    def activations(self, image: Shaped[Tensor, "*axes"]) -> ForwardValues:
        """The feature maps of one image (channel, row, column), without what signals need."""
        return ForwardValues(Untouched(self.sized, self._alone.run(image[None], self.network.other_inputs)))

    def maps(self, forward: ForwardValues) -> Shaped[Tensor, " channel *place"]:
        """The feature maps (channel, row, column) that the units lie in, where the whole map was computed."""
        if self.has_maps:
            known = forward.untouched.places(self.node)
            assert known is not None
            return known.places.permute(2, 0, 1)
        return as_maps(self.sized, self.node, forward.whole(self.node))[0]

    def value(self, forward: ForwardValues, channel: int, place: Sequence[int]) -> float:
        """The value of one unit; of a complex one its magnitude."""
        return float(measured(self._number(forward, channel, place)))

    def direction(self, forward: ForwardValues, channel: int, place: Sequence[int]) -> complex:
        """What a signal of the unit's value is multiplied with; see `Unit`."""
        return directions(self._number(forward, channel, place)).item()

    def _number(self, forward: ForwardValues, channel: int, place: Sequence[int]) -> Tensor:
        if not self.has_maps:
            return self.maps(forward)[(channel, *place)]
        known = forward.untouched.places(self.node)
        assert known is not None
        row, column = place
        return known.places[row - known.box.top, column - known.box.left, channel]

    def units(self, forward: ForwardValues, units: Sequence[Unit]) -> Iterator[tuple[Sequence[Unit], Signal]]:
        """The units in batches, each with what flows from them into the image."""
        size = self._batch(len(units))
        for first in range(0, len(units), size):
            part = units[first : first + size]
            yield part, self._project(forward, self._started(part), len(part))

    def from_maps(self, forward: ForwardValues, maps: Shaped[Tensor, " channel *place"]) -> Signal:
        """What flows into the image from signals at every place of the maps (channel, row, column)."""
        if not self.has_maps:
            return self._project(forward, self._in_own_order(maps[None]))
        zeros = np.zeros(1, dtype=np.int64)
        return self._project(forward, signal_at(maps[None], zeros, zeros))

    def from_value(self, forward: ForwardValues, values: Shaped[Tensor, "*axes"]) -> Signal:
        """The same for signals in the value's own order of axes."""
        if not self.has_maps:
            return self._project(forward, WholeSignal(values))
        places = forward.untouched.layout(self.node).to_places(values)
        return self.from_maps(forward, places[0].permute(2, 0, 1))

    def _started(self, units: Sequence[Unit]) -> Signal:
        program = self.engine.program
        starts = torch.tensor([unit.start for unit in units], dtype=program.signal_dtype, device=program.device)
        if is_complex(self.sized, self.node):
            starts = starts * torch.tensor([unit.direction for unit in units], dtype=torch.complex128).to(
                starts.device, starts.dtype.to_complex()
            )
        channels = torch.tensor([unit.channel for unit in units], device=starts.device)
        count = self.network.resolver.channels(self.node)
        if not self.has_maps:
            maps = starts.new_zeros((len(units), count, *self.sized.size(self.node)))
            for at, unit in enumerate(units):
                maps[(at, unit.channel, *unit.place)] = starts[at]
            return self._in_own_order(maps)
        values = starts.new_zeros((len(units), count)).scatter_(1, channels[:, None], starts[:, None])
        rows, columns = np.array([unit.place for unit in units], dtype=np.int64).T
        return signal_at(values[:, :, None, None], rows, columns)

    def _in_own_order(self, maps: Shaped[Tensor, "unit channel *place"]) -> WholeSignal:
        """Signals (unit, channel, row, column) in the value's own order of axes; without images there is one unit."""
        shape, axis = self.sized.shape(self.node), self.sized.axes[self.node].batch
        places = as_maps(self.sized, self.node, torch.arange(prod(shape)).view(shape))[0].flatten()
        values = torch.empty_like(maps).flatten(1)
        values[:, places.to(maps.device)] = maps.flatten(1)
        each = [value.view(shape) for value in values]
        return WholeSignal(each[0] if axis is None else torch.cat(each, axis))

    def _project(self, forward: ForwardValues, start: Signal, count: int = 1) -> Signal:
        found = self.engine.project(forward, start, count)
        if found is not None:
            return found
        shape = self.sized.shape(self.network.graph.image_input)
        nothing = start.values.new_zeros((count, *shape[1:]), dtype=self.engine.program.signal_dtype)
        return self.engine.image_signal(forward, nothing)

    def _batch(self, count: int) -> int:
        """How many units at once."""
        most = max(1, min(count, MOST_AT_ONCE, int(self.memory_bytes // (_COPIES * self._largest_bytes()))))
        shape = (most, *self.sized.shape(self.network.graph.image_input)[1:])
        runs_operators = not self.engine.is_local or not self.has_maps
        if most > 1 and runs_operators and not can_batch(self.network, self.engine.program, [self.node], shape):
            return 1
        return even_part(count, most)

    def _largest_bytes(self) -> int:
        """The bytes of one unit's largest signal on the way."""
        box = Box.at([size // 2 for size in self.sized.size(self.node)])
        sizes = [
            self.network.resolver.channels(index) * prod(needed.size) * _item_bytes(self.sized.specs[index])
            for index, needed in needed_boxes(self.sized, self.node, box).items()
        ]
        return max(1, *sizes)


def _item_bytes(spec: object) -> int:
    return spec.dtype.itemsize if isinstance(spec, TensorSpec) else 4


def on_box(signal: Signal, at: int, box: Box) -> Shaped[Tensor, " channel *place"]:
    """One unit's projection (channel, row, column) on a box of the image; 0 where it has no place."""
    if isinstance(signal, WholeSignal):
        found = signal.values[at][(..., *box.slices)]
        # Some signals come without an axis of channels.
        return (found if found.ndim > len(box.axes) else found[None]).cpu().clone()
    boxes = signal.boxes
    of_unit = signal_at(signal.values[at : at + 1], boxes.rows[at : at + 1], boxes.columns[at : at + 1])
    top, left = np.array([box.top], dtype=np.int64), np.array([box.left], dtype=np.int64)
    return moved(of_unit, Boxes(top, left, box.height, box.width)).values[0].cpu().clone()
