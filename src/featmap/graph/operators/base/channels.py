"""The channels of its operands that a channel of an operator's value reads.

Channels decide which branch of a concatenation a unit comes from. `ALL` means certainly every channel, `SOME` a subset
that nobody works out, an `IndexSet` exactly these.
"""

from __future__ import annotations

from enum import Enum

from featmap.geometry import IndexSet
from featmap.graph.operators.base.call import Axes, Operand


class Channels(Enum):
    """Answers that are no list of channels."""

    ALL = "all"
    SOME = "some"


ALL, SOME = Channels.ALL, Channels.SOME
ChannelSet = IndexSet | Channels


def channel_axis(axes: Axes, rank: int) -> int | None:
    """The one axis that is neither images nor an axis of maps; None where there is not exactly one."""
    left = [axis for axis in range(rank) if axis not in axes.known]
    return left[0] if len(left) == 1 else None


def channel_count(operand: Operand) -> int | None:
    """How many channels an operand has, where it has one axis of them."""
    axis = channel_axis(operand.axes, operand.rank)
    return None if axis is None else operand.shape[axis]


def joined(first: ChannelSet, second: ChannelSet) -> ChannelSet:
    """The channels of either."""
    if ALL in (first, second):
        return ALL
    if isinstance(first, IndexSet) and isinstance(second, IndexSet):
        return first | second
    return SOME


def shifted(wanted: ChannelSet, start: int, count: int) -> ChannelSet:
    """The wanted channels that lie in `start` to `start + count`, counted from there."""
    if count == 0:
        return IndexSet.of([])
    if not isinstance(wanted, IndexSet):
        return wanted
    return IndexSet.of(channel - start for channel in wanted if start <= channel < start + count)
