"""Axis readings: which axis of a value an operand's axis becomes, and by which rule it is read.

An operator says what happens to rows and columns. Queried as if any one axis were the rows (or the columns), it says
the same about that axis, be it rows, tokens, windows or images.
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
    readings = [_asked(operator, call, operand, axis, slot) for slot in ("row", "column")]
    known = [reading for reading in readings if not reading.reads_whole]
    if known:
        return known[0]
    return AxisReading(None, Whole(1), operator.reads_all_along(call, operand, axis))


def _asked(operator: Operator, call: Call, operand: Operand, axis: int, slot: str) -> AxisReading:
    """What the operator says when the axis takes the role of the rows, or of the columns."""
    axes = list(call.axes)
    for other in call.operands:
        if other.index is not None:
            # Operands of fewer axes are aligned to the right, as in broadcasting.
            place = axis + other.rank - operand.rank
            axes[other.index] = _single(place if place >= 0 and other.depends_on_input else None, slot)
    question = Call(call.graph, call.node, call.specs, axes)
    axes[call.node.index] = operator.axes(question)
    assert operand.index is not None
    rules = operator.rules(question, question.operand(Reference(operand.index)))
    return AxisReading(getattr(axes[call.node.index], slot), rules[0 if slot == "row" else 1])


def _single(axis: int | None, slot: str) -> Axes:
    return Axes(None, axis, None) if slot == "row" else Axes(None, None, axis)
