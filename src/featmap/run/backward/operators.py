"""The flow into the values that an operator reads, given the flow into its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

from featmap.graph.graph import Node
from featmap.graph.operators.base.roles import Role, Rule
from featmap.graph.operators.pointwise import SignedSum
from featmap.graph.operators.pooling import AveragePool
from featmap.run.backward.forward import ForwardValues
from featmap.run.backward.gradient import gradient_at_places, gradient_of_whole
from featmap.run.backward.kernels import filtered, spread, switched
from featmap.run.backward.own_order import OwnOrder
from featmap.run.backward.roles import rectifier_of, window_rules
from featmap.run.backward.signal import MapSignal, Signal, moved, signal_at
from featmap.run.backward.whole_numbers import takes_signals
from featmap.run.program.program import Program
from featmap.run.program.steps import Step

Flow = tuple[int, "Signal | dict[int, Signal]"]
"""A value and what flows into it from one reader: into its parts, where it is several tensors."""


class OperatorFlows:
    """The way back through single operators, for `count` units."""

    def __init__(
        self, program: Program, roles: Mapping[int, Role], rule: Rule, forward: ForwardValues, count: int
    ) -> None:
        self.program = program
        self.sized = forward.sized
        self.roles = roles
        self.rule: Rule = rule
        self.forward = forward
        self.count = count
        self.own = OwnOrder(forward.untouched)

    def back(self, at: int, step: Step, signal: Any) -> Iterator[Flow]:
        """What flows into each value that a step reads; `signal` is one per item where it returns several tensors."""
        read = (index for index in step.node.inputs if self.sized.graph[index].depends_on_input)
        if any(takes_signals(self.sized, index) for index in read):
            flows = self._flows(at, step, signal)
            yield from ((source, flow) for source, flow in flows if takes_signals(self.sized, source))

    def _flows(self, at: int, step: Step, signal: Any) -> Iterator[Flow]:
        role, source = self.roles[step.node.index], self._source(step.node)
        if role == Role.ITEM:
            yield source, {step.node.args[1]: signal}
        elif role == Role.PASS:
            yield source, signal
        elif role == Role.PLACEWISE:
            yield source, self._placewise(step, source, signal)
        elif role == Role.LINEAR:
            weight = self.program.constants.argument(step.node.args[1])
            yield source, self.own.signal(signal.values @ weight, source)
        elif role == Role.RECTIFIER:
            yield source, self._ruled(step.node, signal)
        elif role == Role.WHOLE:
            yield from self._whole(at, step, signal)
        else:
            yield from self._in_space(role, step, source, signal)

    def _source(self, node: Node) -> int:
        return next(index for index in node.inputs if self.sized.graph[index].depends_on_input)

    def _in_space(self, role: Role, step: Step, source: int, signal: MapSignal) -> Iterator[Flow]:
        node = step.node
        if role == Role.CONVOLUTION:
            yield source, self._filtered(step, source, signal)
        elif role == Role.SCALE:
            scale, _ = self.program.constants.scale_and_shift(node)
            yield source, signal.with_values(signal.values * scale.to(signal.values)[:, None, None])
        elif role == Role.MAXIMUM:
            _, rows, columns = window_rules(self.sized, node)
            yield source, switched(signal, self.forward.switches(node, signal.boxes), rows, columns)
        elif role == Role.AVERAGE:
            yield source, self._spread(node, signal)
        elif role == Role.SHIFT:
            yield source, self._shifted(node, signal)
        elif role == Role.SUM:
            yield from self._summands(node, signal)
        elif role == Role.CONCATENATION:
            yield from self._divided(node, signal)
        else:
            raise AssertionError(role)

    def _filtered(self, step: Step, source: int, signal: MapSignal) -> MapSignal:
        bound = self.program.bound[step.node.index]
        assert bound is not None
        settings = self.program.settings[step.node.index]
        return filtered(signal, bound[0], settings, self.sized.size(step.node.index), self.sized.size(source))

    def _ruled(self, node: Node, signal: Signal) -> Signal:
        values = signal.values
        if self.rule != "gradient":
            values = values.clamp_min_(0) if signal.is_fresh else values.clamp_min(0)
        if self.rule != "deconvnet":
            rectifier = rectifier_of(self.sized, node)
            read = rectifier.mask_source(node)
            known = self.forward.at(read, signal.boxes) if isinstance(signal, MapSignal) else self.forward.whole(read)
            mask = rectifier.passes(self.sized.call(node), known)
            # Written over what was made a line above, or by a kernel.
            values = values.mul_(mask) if signal.is_fresh else values * mask
        return signal.with_values(values)

    def _spread(self, node: Node, signal: MapSignal) -> MapSignal:
        source, rows, columns = window_rules(self.sized, node)
        operator, size = self.sized.operator(node), self.sized.size(source)
        assert isinstance(operator, AveragePool)
        sides = signal.boxes.sides(rows, columns, size, self.sized.size(node.index))
        return spread(signal, operator.divisors(self.sized.call(node), *sides), rows, columns)

    def _shifted(self, node: Node, signal: MapSignal) -> MapSignal:
        _, rules = next(iter(self.sized.reads(node.index)))
        before = [rule.before for rule in rules]  # type: ignore[attr-defined]
        boxes = signal.boxes
        tops, lefts = boxes.rows - before[0], boxes.columns - before[1]
        return signal_at(signal.values, tops, lefts, is_fresh=signal.is_fresh)

    def _summands(self, node: Node, signal: MapSignal) -> Iterator[Flow]:
        operator = self.sized.operator(node)
        assert isinstance(operator, SignedSum)
        first, second = (leaf.index for leaf in node.args[:2])
        factor = operator.factor(self.sized.call(node))
        yield first, signal.shared
        yield second, signal.shared if factor == 1 else signal.with_values(signal.values * factor)

    def _divided(self, node: Node, signal: MapSignal) -> Iterator[Flow]:
        first = 0
        for leaf in node.args[0]:
            count = self.forward.untouched.layout(leaf.index).channels[0]
            # The parts lie in one tensor, but nobody reads another's channels.
            yield leaf.index, signal.with_values(signal.values[:, first : first + count], is_fresh=signal.is_fresh)
            first += count

    def _placewise(self, step: Step, source: int, signal: Any) -> MapSignal:
        """The gradient place by place; an operator that returns several tensors has one set of boxes for them."""
        parts: dict[int | None, MapSignal] = signal if isinstance(signal, dict) else {None: signal}
        first, *others = (part.boxes for part in parts.values())
        boxes = first.hull(others)
        values = self.own.patch(self.forward.at(source, boxes).expand(self.count, -1, -1, -1), source)
        patches = {item: self.own.patch(moved(part, boxes).values, step.result, item) for item, part in parts.items()}
        given = _listed(self.sized.specs[step.result], patches) if isinstance(signal, dict) else patches[None]
        found = gradient_at_places(self.program, self.forward.untouched, step, source, values, given)
        return MapSignal(self.own.maps(found, source), boxes)

    def _whole(self, at: int, step: Step, signal: Any) -> Iterator[Flow]:
        """The gradient on whole maps, for all units as so many images."""
        node, graph = step.node, self.sized.graph
        image = graph.image_input
        arguments = self.program.arguments_for((self.count, *self.sized.shape(image)[1:]))[at]
        read = [index for index in dict.fromkeys(node.inputs) if graph[index].depends_on_input]
        values = {index: self._for_all(index) for index in read}
        if isinstance(signal, dict):
            patches = {item: self.own.of(part, step.result, item) for item, part in signal.items()}
            given: Any = _listed(self.sized.specs[step.result], patches)
        else:
            given = self.own.of(signal, step.result)
        found = gradient_of_whole(self.program, step, arguments, values, given)
        for index, gradient in found.items():
            yield index, self.own.signal(gradient, index)

    def _for_all(self, index: int) -> Any:
        """A whole value with one image per unit."""
        value, axis = self.forward.whole(index), self.sized.axes[index].batch
        if not isinstance(value, Tensor):
            return value
        value = value.contiguous()
        if self.count == 1 or axis is None:
            return value
        return value.expand(*value.shape[:axis], self.count, *value.shape[axis + 1 :])


def _listed(spec: Any, patches: Mapping[Any, Tensor]) -> list[Tensor | None]:
    return [patches.get(item) for item in range(len(spec))]
