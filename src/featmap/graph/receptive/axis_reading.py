"""Axis readings: which axis of a value an operand's axis becomes, and by which rule it is read.

An operator says what happens along the axes of maps. Queried as if any one axis were such an axis, it says the same
about that axis, be it rows, tokens, windows or images.
"""

from __future__ import annotations

from dataclasses import dataclass

from featmap.geometry import AxisRule, Pointwise, Slice, Whole
from featmap.graph.graph import Reference
from featmap.graph.operators.base.call import Axes, Call, Operand
from featmap.graph.operators.base.operator import Operator


@dataclass(frozen=True, slots=True)
class AxisReading:
    """The axis of the value that one of the operand's axes became (None: it is gone), and the rule along it.

    `is_certain` says that a rule that names everything really reads everything.
    """

    axis: int | None
    rule: AxisRule
    is_certain: bool = False

    @property
    def reads_whole(self) -> bool:
        return isinstance(self.rule, Whole)


def axis_reading(operator: Operator, call: Call, operand: Operand, axis: int) -> AxisReading:
    """The reading of one axis of an operand by a call."""
    if operator.passes_axis(call, operand, axis):
        return AxisReading(axis + len(call.out_shape) - operand.rank, Pointwise())
    if (place := operator.picked_place(call, axis)) is not None:
        return AxisReading(None, Slice(place, place + 1))
    count = operator.works_over(call) or 1
    readings = [_asked(operator, call, operand, axis, slot, count) for slot in range(count)]
    known = [reading for reading in readings if not reading.reads_whole]
    if known:
        return known[0]
    return AxisReading(None, Whole(1), operator.reads_all_along(call, operand, axis))


def _asked(operator: Operator, call: Call, operand: Operand, axis: int, slot: int, count: int) -> AxisReading:
    """What the operator says when the axis takes the role of one of `count` axes of maps, at `slot`."""
    axes = list(call.axes)
    for other in call.operands:
        if other.index is not None:
            # Operands of fewer axes are aligned to the right, as in broadcasting.
            place = axis + other.rank - operand.rank
            axes[other.index] = _single(place if place >= 0 and other.depends_on_input else None, slot, count)
    question = Call(call.graph, call.node, call.specs, axes)
    axes[call.node.index] = operator.axes(question)
    assert operand.index is not None
    rules = operator.rules(question, question.operand(Reference(operand.index)))
    spatial = axes[call.node.index].spatial
    if slot >= len(spatial):
        return AxisReading(None, Whole(1))
    return AxisReading(spatial[slot], rules[slot])


def _single(axis: int | None, slot: int, count: int) -> Axes:
    return Axes(None, tuple(axis if at == slot else None for at in range(count)))
