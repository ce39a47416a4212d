"""Signals from units of a value back to the image: operator by operator, many units at once.

The forward values are computed once per image: on whole maps, or on the units' common box where that is small. On the
way back every unit has its own box, which grows by each operator's window and is cut at the map's true borders, so only
the receptive field is computed. Where an operator reads whole maps, the rest goes on on whole maps.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import torch
from jaxtyping import Shaped
from torch import Tensor

from featmap.geometry import Box
from featmap.network.network import CapturedNetwork
from featmap.run.backward.forward import ForwardValues
from featmap.run.backward.operators import OperatorFlows
from featmap.run.backward.own_order import OwnOrder
from featmap.run.backward.reach import reached_by_signals
from featmap.run.backward.roles import Norm, Role, Rule, gradient_takers, role_of, values_to_keep
from featmap.run.backward.signal import MapSignal, Signal, summed
from featmap.run.program.program import Program
from featmap.run.region.boxes import values_on_boxes
from featmap.run.region.reach import needed_boxes
from featmap.run.region.untouched import Untouched


class BackwardEngine:
    """Leads signals from one value of a network back to its image."""

    def __init__(
        self,
        network: CapturedNetwork,
        target: int,
        rule: Rule,
        norm: Norm = "scale",
        *,
        dtype: torch.dtype | None = None,
        device: torch.device | None = None,
    ) -> None:
        self.network = network
        self.sized = network.sized
        self.graph = network.graph
        self.target = target
        self.rule: Rule = rule
        self.norm: Norm = norm
        way = [self.graph[index] for index in sorted(self.graph.ancestors((target,)))]
        self.way = [node for node in way if node.depends_on_input and not node.is_input]
        self.roles = {node.index: role_of(self.sized, node, norm) for node in self.way}
        kept = values_to_keep(self.sized, self.way, rule, norm) | {target}
        self.program = Program(
            network.captured, network.tensors, kept, fold=norm == "scale", dtype=dtype, device=device
        )
        self.is_local = all(role not in (Role.WHOLE, Role.LINEAR) for role in self.roles.values())

    @cached_property
    def through_gradient(self) -> tuple[str, ...]:
        """What on the way is neither linear nor a rectifier, by operator name."""
        return gradient_takers(self.sized, self.way, self.norm)

    @cached_property
    def own_gradients(self) -> tuple[str, ...]:
        """What signals pass that has a gradient of its own in the model, and here that of what it computes."""
        named, reached = self.graph.own_gradients, self.reached
        way = (node.index for node in self.way if node.index in reached)
        return tuple(dict.fromkeys(named[index] for index in way if index in named))

    @cached_property
    def reached(self) -> frozenset[int]:
        """The values that signals flow into."""
        return reached_by_signals(self.sized, self.target)

    def forward(self, image: Shaped[Tensor, " 1 *axes"], box: Box | None = None) -> ForwardValues:
        """What signals need of one image (1, channel, row, column), from units within a box of the target's map."""
        if box is None or not self.is_local or self.network.other_inputs:
            values, boxes = self.program.run(image, self.network.other_inputs), {}
        else:
            needed = needed_boxes(self.sized, self.target, box)
            wanted = set(self.program.wanted)
            values, boxes = values_on_boxes(self.program, self.sized, self.program.placed_images(image), needed, wanted)
        return ForwardValues(Untouched(self.sized, values, boxes))

    def project(self, forward: ForwardValues, start: Signal, count: int) -> Signal | None:
        """What flows into the image from the signals of `count` units at the target; None where no way leads there."""
        with torch.no_grad():
            return _Pass(self, forward, start, count).run()

    def image_signal(self, forward: ForwardValues, values: Shaped[Tensor, "unit ..."]) -> Signal:
        """The signal into the image that these values are, one for each unit."""
        return OwnOrder(forward.untouched).signal(values, self.graph.image_input)


class _Pass:
    """One run backwards over the steps."""

    def __init__(self, engine: BackwardEngine, forward: ForwardValues, start: Signal, count: int) -> None:
        self.sized = engine.sized
        self.steps = engine.program.steps
        self.values = OwnOrder(forward.untouched)
        self.operators = OperatorFlows(engine.program, engine.roles, engine.rule, forward, count)
        self.flows: dict[int, list[Any]] = {engine.target: [start]}

    def run(self) -> Signal | None:
        for at in range(len(self.steps) - 1, -1, -1):
            signal = self._arrived(self.steps[at].result)
            if signal is not None:
                for source, flow in self.operators.back(at, self.steps[at], signal):
                    self.flows.setdefault(source, []).append(flow)
        return self._arrived(self.sized.graph.image_input)

    def _arrived(self, index: int) -> Any:
        """All that flows into a value, together; None where nothing does."""
        flows = self.flows.pop(index, None)
        if flows is None:
            return None
        if isinstance(flows[0], dict):
            return self._parts(index, flows)
        return self._together(flows, index)

    def _real(self, signal: Signal, index: int, item: int | None) -> Signal:
        """The signal as it flows into a value: real values take the real part, as torch's gradients do."""
        spec = self.sized.specs[index]
        part = spec[item or 0] if isinstance(spec, tuple) else spec
        if part is None or part.dtype.is_complex or not signal.values.is_complex():
            return signal
        return signal.with_values(signal.values.real.contiguous())

    def _together(self, flows: list[Signal], index: int, item: int | None = None) -> Signal:
        flows = [self._real(flow, index, item) for flow in flows]
        if all(isinstance(flow, MapSignal) for flow in flows):
            return summed(flows, self.values.size(index, item))  # type: ignore[arg-type]
        values = [self.values.of(flow, index, item) for flow in flows]
        return self.values.signal(sum(values[1:], values[0]), index, item)

    def _parts(self, index: int, flows: list[dict[int, Signal]]) -> dict[int, Signal]:
        """What flows into each of several tensors."""
        items = sorted({item for flow in flows for item in flow})
        return {item: self._together([flow[item] for flow in flows if item in flow], index, item) for item in items}
