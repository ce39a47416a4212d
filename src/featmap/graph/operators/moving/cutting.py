"""Cuts and joins: parts of an axis, single positions of it, and several values behind one another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from featmap.geometry import AxisRule, IndexSet, Pointwise, Slice, Whole
from featmap.graph.graph import Reference
from featmap.graph.operators.base.call import NO_AXES, Axes, Call, Operand
from featmap.graph.operators.base.channels import ALL, SOME, ChannelSet, channel_axis, shifted
from featmap.graph.operators.base.operator import Rules, same_channels, whole
from featmap.graph.operators.base.regions import is_aligned, is_of_maps, keeps_positions
from featmap.graph.operators.base.registry import operator_of
from featmap.graph.operators.base.roles import Norm, Role
from featmap.graph.operators.moving.reshape import Moving


@dataclass(frozen=True)
class Cut(Moving):
    """split, chunk: parts of one axis, all of the others."""

    returns_parts: ClassVar[bool] = True

    def kept(self, call: Call) -> range | None:
        """The positions that remain of the axis that is cut, where the cut keeps one part."""
        return None

    def stated(self, call: Call) -> dict[str, Any]:
        return {"dim": call.get("dim", 0), **{k: v for k, v in super().stated(call).items() if k != "dim"}}

    def channels(self, call: Call, position: int, wanted: ChannelSet) -> ChannelSet:
        axis = channel_axis(call.main.axes, call.main.rank)
        along_channels = _cut_axis(call) == axis
        if axis is None or not isinstance(wanted, IndexSet) or (along_channels and call.get("step", 1) != 1):
            return SOME
        kept = self.kept(call)
        return IndexSet(wanted.mask << kept.start) if kept is not None and along_channels else wanted

    def axes(self, call: Call) -> Axes:
        return call.main.axes.mixed_along(_cut_axis(call))

    def moved_rule(self, call: Call, axis: int, own: int) -> AxisRule:
        if _cut_axis(call) != own:
            return Pointwise()
        kept = self.kept(call)
        return Whole(None) if kept is None else Slice(kept.start, kept.stop, kept.step)


def _cut_axis(call: Call) -> int:
    return int(call.get("dim", 0)) % call.main.rank


@dataclass(frozen=True)
class SliceCut(Cut):
    """slice: one part of an axis, with a step."""

    def kept(self, call: Call) -> range | None:
        size = call.main.shape[_cut_axis(call)]
        return range(*slice(call.get("start"), call.get("end"), call.get("step", 1)).indices(size))

    def stated(self, call: Call) -> dict[str, Any]:
        kept = self.kept(call)
        assert kept is not None
        return {"dim": call.get("dim", 0), "start": kept.start, "end": kept.stop, "step": kept.step}

    def moves_positions_alone(self, call: Call) -> bool:
        return True


@dataclass(frozen=True)
class Narrow(Cut):
    """narrow: one part of an axis, from its start and length."""

    def kept(self, call: Call) -> range | None:
        if not isinstance(call["start"], int):
            return None
        start = int(call["start"]) % call.main.shape[_cut_axis(call)]
        return range(start, start + int(call["length"]))

    def moves_positions_alone(self, call: Call) -> bool:
        return True


@dataclass(frozen=True)
class Item(Moving):
    """One of the tensors that an operator returned."""

    def role(self, call: Call, norm: Norm) -> Role:
        return Role.ITEM

    def channels(self, call: Call, position: int, wanted: ChannelSet) -> ChannelSet:
        parts, item = call.main.spec, int(call["item"])
        axis = channel_axis(call.main.axes, call.main.rank)
        if not isinstance(parts, tuple) or axis is None or not all(parts):
            return SOME
        if any(part is None or len(part.shape) <= axis for part in parts):
            # Beside maps it returns numbers per channel, say.
            return wanted if item == 0 else SOME
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
        cut = self.source(call)
        return isinstance(cut.get("dim"), int) and cut["dim"] % max(call.main.rank, 1) == axis

    def axes(self, call: Call) -> Axes:
        source = self.source(call)
        return operator_of(source.node).item_axes(source, call["item"])

    def source(self, call: Call) -> Call:
        """The call that returned the tensors."""
        return Call(call.graph, call.graph[call.node.inputs[0]], call.specs, call.axes)

    def moved_rule(self, call: Call, axis: int, own: int) -> AxisRule:
        is_cut = operator_of(self.source(call).node).returns_parts and self.cuts_channels(call, own)
        # The parts of a cut axis have sizes of their own: counted in the first part's rows, this part's would be lost.
        return Whole(call.out_shape[axis]) if is_cut else Pointwise()


@dataclass(frozen=True)
class Unbind(Moving):
    """unbind: every position of an axis, which then is gone."""

    def axes(self, call: Call) -> Axes:
        gone = _cut_axis(call)
        axes = call.main.axes
        if gone in axes.spatial:
            return NO_AXES
        return axes.each(lambda axis: None if axis == gone else axis - (axis > gone))


@dataclass(frozen=True)
class Select(Unbind):
    """select: one position of an axis, which then is gone."""

    def picked_place(self, call: Call, axis: int) -> int | None:
        is_picked = axis == _cut_axis(call)
        return call["index"] % call.main.shape[axis] if is_picked and isinstance(call["index"], int) else None


@dataclass(frozen=True)
class Concatenate(Moving):
    """cat: maps of several values behind one another; a merge where that is along the channels."""

    kind: ClassVar[str] = "merge"
    is_merge: ClassVar[bool] = True
    chooses_operand: ClassVar[bool] = True
    joins_positions: ClassVar[bool] = True
    is_fresh: ClassVar[bool] = True
    may_be_view: ClassVar[bool] = False

    def joins_channels(self, call: Call) -> bool:
        """Whether it lays maps of images side by side in their only axis of channels."""
        axes, rank = call.out_axes, len(call.out_shape)
        if not is_of_maps(call) or not keeps_positions(call):
            return False
        dtypes = {getattr(call.specs[index], "dtype", None) for index in (*call.node.inputs, call.node.index)}
        operands = call.node.args[0]
        variable = all(isinstance(leaf, Reference) and call.graph[leaf.index].depends_on_input for leaf in operands)
        is_channels = call.get("dim", 0) % rank not in axes.known
        fits = is_aligned(call) and not self.has_map_of_weights(call)
        return variable and len(dtypes) == 1 and is_channels and fits

    def role_in_space(self, call: Call) -> Role | None:
        return Role.CONCATENATION if self.joins_channels(call) else None

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
        if operand.axes.spatial != axes.spatial or dim in axes.spatial:
            return whole(call, operand)
        return super().rules(call, operand)


@dataclass(frozen=True)
class Stack(Moving):
    """stack: values behind one another along a new axis."""

    chooses_operand: ClassVar[bool] = True

    def axis_count(self, call: Call) -> int:
        return len(call.out_shape)

    def axes(self, call: Call) -> Axes:
        new = call.get("dim", 0) % (call.main.rank + 1)
        return call.main.axes.each(lambda axis: axis + (axis >= new))

    def rules(self, call: Call, operand: Operand) -> Rules:
        return super().rules(call, operand) if operand.axes == call.main.axes else whole(call, operand)
