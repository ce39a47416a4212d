"""What is read by indices that are tensors: `x[:, [2, 0]]`, `index_select`?

Which places the indices name is no part of the graph, so along the indexed axis a value may read all of them; the other
axes stay as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from featmap.geometry import AxisRule, Pointwise
from featmap.network.graph import TensorSpec
from featmap.network.operators.call import NO_AXES, Axes, Call, Operand
from featmap.network.operators.channels import SOME, ChannelSet, channel_axis
from featmap.network.operators.operator import NotResizable, Rules, node_arguments, whole, whole_axis
from featmap.network.operators.reshape import Moving


@dataclass(frozen=True)
class Index(Moving):
    """index and index_select: some places of an axis, in any order."""

    def axes(self, call: Call) -> Axes:
        indexed = _indexed(call)
        if indexed is None:
            return NO_AXES
        axis, rank = indexed
        axes = call.main.axes.mixed_along(axis)

        def moved(own: int | None) -> int | None:
            # Indices of several axes stand where the one that they index stood.
            if own == axis and rank != 1:
                return None
            return own if own is None or own <= axis else own + rank - 1

        return Axes(moved(axes.batch), moved(axes.row), moved(axes.column))

    def rules(self, call: Call, operand: Operand) -> Rules:
        return super().rules(call, operand) if operand == call["self"] else whole(call, operand)

    def moved_rule(self, call: Call, axis: int, own: int) -> AxisRule:
        indexed = _indexed(call)
        return whole_axis(call, axis) if indexed is None or own == indexed[0] else Pointwise()

    def channels(self, call: Call, position: int, wanted: ChannelSet) -> ChannelSet:
        indexed, own = _indexed(call), channel_axis(call.main.axes, call.main.rank)
        if indexed is None or own is None or own == indexed[0]:
            return SOME
        return wanted

    def resized(self, call: Call) -> tuple[tuple[Any, ...], dict[str, Any]]:
        indexed = _indexed(call)
        if indexed is None or call.main.shape[indexed[0]] != call.captured_main_shape[indexed[0]]:
            raise NotResizable(call.node.operator)
        return node_arguments(call.node)


def _indexed(call: Call) -> tuple[int, int] | None:
    """The axis that is indexed and the rank of the indices; None where there are several, or the indices are flags."""
    found = {axis: index for axis, index in enumerate(_indices(call)) if index is not None}
    if len(found) != 1 or not isinstance(call["self"], Operand) or call.main != call["self"]:
        return None
    ((axis, index),) = found.items()
    is_number = isinstance(index.spec, TensorSpec) and index.spec.dtype in (torch.int64, torch.int32)
    return (axis % call.main.rank, index.rank) if is_number else None


def _indices(call: Call) -> list[Operand | None]:
    if "dim" in call.arguments:
        return [None] * (call["dim"] % call["self"].rank) + [call["index"]]
    return list(call["indices"])
