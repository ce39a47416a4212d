"""What happens to rows, columns and channels when a value is cut into parts, or joined from several?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from featmap.geometry import AxisRule, IndexSet, Pointwise, Slice, Whole
from featmap.graph.operators.base.call import NO_AXES, Axes, Call, Operand
from featmap.graph.operators.base.channels import ALL, SOME, ChannelSet, channel_axis, shifted
from featmap.graph.operators.base.operator import Rules, same_channels, whole
from featmap.graph.operators.reshape import Moving

_CUTS = ("split", "split_with_sizes", "chunk", "tensor_split")
_SEQUENCES = ("lstm", "gru", "rnn_tanh", "rnn_relu")


@dataclass(frozen=True)
class Cut(Moving):
    """slice, split, chunk, narrow: a part of one axis, all of the others."""

    def stated(self, call: Call) -> dict[str, Any]:
        found, kept = super().stated(call), _kept(call)
        rest = {name: value for name, value in found.items() if name != "dim"}
        if call.node.base_name == "slice" and kept is not None:
            rest = {"start": kept.start, "end": kept.stop, "step": kept.step}
        return {"dim": call.get("dim", 0), **rest}

    def channels(self, call: Call, position: int, wanted: ChannelSet) -> ChannelSet:
        axis = channel_axis(call.main.axes, call.main.rank)
        along_channels = call.get("dim", 0) % call.main.rank == axis
        if axis is None or not isinstance(wanted, IndexSet) or (along_channels and call.get("step", 1) != 1):
            return SOME
        kept = _kept(call)
        return IndexSet(wanted.mask << kept.start) if kept is not None and along_channels else wanted

    def axes(self, call: Call) -> Axes:
        return call.main.axes.mixed_along(call.get("dim", 0) % call.main.rank)

    def moved_rule(self, call: Call, axis: int, own: int) -> AxisRule:
        if call.get("dim", 0) % call.main.rank != own:
            return Pointwise()
        kept = _kept(call)
        return Whole(None) if kept is None else Slice(kept.start, kept.stop, kept.step)


def _kept(call: Call) -> range | None:
    """The places that remain of the axis that is cut, where the cut keeps one part."""
    size = call.main.shape[call.get("dim", 0) % call.main.rank]
    if call.node.base_name == "slice":
        return range(*slice(call.get("start"), call.get("end"), call.get("step", 1)).indices(size))
    if call.node.base_name == "narrow" and isinstance(call["start"], int):
        start = call["start"] % size
        return range(start, start + call["length"])
    return None


@dataclass(frozen=True)
class Item(Moving):
    """One of the tensors that an operator returned."""

    def channels(self, call: Call, position: int, wanted: ChannelSet) -> ChannelSet:
        parts, item = call.main.spec, call["item"]
        axis = channel_axis(call.main.axes, call.main.rank)
        if not isinstance(parts, tuple) or axis is None or not all(parts):
            return SOME
        sizes = [part.shape[axis] for part in parts if part is not None]
        if wanted is ALL:
            wanted = IndexSet.of(range(sizes[item]))
        if not isinstance(wanted, IndexSet):
            return SOME
        # Counted in the channels that were cut up, if it was they that were cut up; else the channel stays.
        start = sum(sizes[:item]) if self.cuts_channels(call, axis) else 0
        return IndexSet(wanted.mask << start)

    def cuts_channels(self, call: Call, axis: int) -> bool:
        """Whether the operator that returned the tensors cut along the channels (or another axis)."""
        source = call.graph[call.node.inputs[0]]
        cut = Call(call.graph, source, call.specs, call.axes)
        return isinstance(cut.get("dim"), int) and cut["dim"] % max(call.main.rank, 1) == axis

    def axes(self, call: Call) -> Axes:
        axes = call.main.axes
        if call["item"] and call.graph[call.node.inputs[0]].base_name in _SEQUENCES:
            # The last states stand behind one another layer by layer, whatever the order of the sequences.
            return NO_AXES if axes.batch is None else Axes(1, None, None)
        return axes

    def moved_rule(self, call: Call, axis: int, own: int) -> AxisRule:
        is_cut = call.graph[call.node.inputs[0]].base_name in _CUTS and self.cuts_channels(call, own)
        # The parts of a cut axis have sizes of their own: counted in the first part's rows, this part's would be lost.
        return Whole(call.out_shape[axis]) if is_cut else Pointwise()


@dataclass(frozen=True)
class Select(Moving):
    """select and unbind: one place of an axis, which then is gone."""

    def axes(self, call: Call) -> Axes:
        gone = call.get("dim", 0) % call.main.rank
        axes = call.main.axes
        if gone in (axes.row, axes.column):
            return NO_AXES

        return axes.each(lambda axis: None if axis == gone else axis - (axis > gone))

    def picked_place(self, call: Call, axis: int) -> int | None:
        is_picked = "index" in call.arguments and axis == call.get("dim", 0) % call.main.rank
        return call["index"] % call.main.shape[axis] if is_picked and isinstance(call["index"], int) else None


@dataclass(frozen=True)
class Concatenate(Moving):
    """cat: maps of several values behind one another; a merge where that is along the channels."""

    kind: ClassVar[str] = "merge"
    is_merge: ClassVar[bool] = True

    def channels(self, call: Call, position: int, wanted: ChannelSet) -> ChannelSet:
        axis = channel_axis(call.out_axes, len(call.out_shape))
        if axis is None or call.get("dim", 0) % len(call.out_shape) != axis:
            return same_channels(call, position, wanted)
        before = sum(operand.shape[axis] for operand in call.operands[:position])
        return shifted(wanted, before, call.operands[position].shape[axis])

    def axes(self, call: Call) -> Axes:
        return call.main.axes.mixed_along(call.get("dim", 0) % max(call.main.rank, 1))

    def joins_images(self, call: Call) -> bool:
        """Whether it puts images behind one another, whose maps stay apart."""
        return call.get("dim", 0) % max(call.main.rank, 1) == call.main.axes.batch

    def rules(self, call: Call, operand: Operand) -> Rules:
        axes, dim = call.out_axes, call.get("dim", 0) % max(call.main.rank, 1)
        elsewhere = (operand.axes.row, operand.axes.column) != (axes.row, axes.column)
        if elsewhere or dim in (axes.row, axes.column):
            return whole(call, operand)
        return super().rules(call, operand)


@dataclass(frozen=True)
class Stack(Moving):
    """stack: values behind one another along a new axis."""

    def axis_count(self, call: Call) -> int:
        return len(call.out_shape)

    def axes(self, call: Call) -> Axes:
        new = call.get("dim", 0) % (call.main.rank + 1)
        return call.main.axes.each(lambda axis: axis + (axis >= new))

    def rules(self, call: Call, operand: Operand) -> Rules:
        return super().rules(call, operand) if operand.axes == call.main.axes else whole(call, operand)
