"""Recurrent layers: what they cost, and which of their axes are images."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

from featmap.graph.operators.base.call import NO_AXES, Axes, Call, Operand
from featmap.graph.operators.base.operator import Operator, node_arguments


@dataclass(frozen=True)
class Recurrent(Operator):
    """lstm, gru and rnn, whole sequences and single cells: every step reads all steps before it, or behind it."""

    kind: ClassVar[str] = "recurrent"
    is_known: ClassVar[bool] = True

    def axes(self, call: Call) -> Axes:
        if "params" not in call.arguments:
            return Axes(0) if call.main.axes.batch == 0 else NO_AXES
        place = call.get("batch_first")
        is_known = place is not None and call["input"].axes.batch == int(not place)
        return Axes(int(not place)) if is_known else NO_AXES

    def item_axes(self, call: Call, item: int) -> Axes:
        axes = call.out_axes
        if not item or "params" not in call.arguments:
            return axes
        # The last states stand behind one another layer by layer, whatever the order of the sequences.
        return NO_AXES if axes.batch is None else Axes(1)

    def macs(self, call: Call) -> int | None:
        """All weights at every step; those of biases and of the gates' own products are none."""
        return prod(_steps(call)) * sum(prod(matrix.shape) for matrix in _matrices(call))

    def resized(self, call: Call) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return node_arguments(call.node)


def _matrices(call: Call) -> list[Operand]:
    given = call["params"] if "params" in call.arguments else [call["w_ih"], call["w_hh"]]
    return [operand for operand in given if operand.rank == 2]


def _steps(call: Call) -> tuple[int, ...]:
    """How many steps of how many sequences."""
    source: Operand = call["data"] if "data" in call.arguments else call["input"]
    return source.shape[:-1]
