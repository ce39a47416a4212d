"""Occlusion by the region engine: windows over one image, in chunks of positions that fit into memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Bool, Int64, Shaped
from torch import Tensor

from featmap.geometry import Box, Interval
from featmap.graph.operators.base.call import Axes
from featmap.graph.operators.base.regions import keeps_positions
from featmap.graph.operators.base.sides import Indices
from featmap.graph.sized_graph import SizedGraph
from featmap.network.network import CapturedNetwork
from featmap.run.as_maps import as_maps
from featmap.run.batches import can_batch, even_part
from featmap.run.execution import Execution
from featmap.run.memory import available_bytes
from featmap.run.program.program import Program
from featmap.run.region.boxes import values_on_boxes
from featmap.run.region.cost import bytes_per_position, recomputed_share, region_ends
from featmap.run.region.engine import RegionEngine
from featmap.run.region.patches.patches import Cached, Group, Layout, Patches
from featmap.run.region.patches.spans import Spans
from featmap.run.region.reach import needed_boxes, reach
from featmap.run.region.recomputation import Dense
from featmap.run.region.regions import values_to_keep

Chunk = tuple[list[int], list[int], "Tensor | None"]
Inside = npt.NDArray[np.bool_]
LARGEST_BUDGET_BYTES = 2**29
MOSTLY_WHOLE = 0.8
LARGEST_CHUNK = 1024


class OcclusionPlan:
    """What the occlusions of one target value share over all images of one size: its program, and what windows change.

    `box` is the part of the target that is needed (all of it where `None`). `channel` is the one feature map that is
    wanted of the target: values then are (image, place), and `None` gives the target's whole value.
    """

    def __init__(
        self,
        network: CapturedNetwork,
        target: int,
        box: Box | None,
        rows: Sequence[Interval],
        columns: Sequence[Interval],
        *,
        channel: int | None = None,
        execution: Execution | None = None,
    ) -> None:
        execution = execution or Execution()
        self.network = network
        self.sized = network.sized
        self.source = network.graph.image_input
        self.target = target
        self.channel = channel
        self.windows = (tuple(rows), tuple(columns))
        needed = needed_boxes(self.sized, target, box)
        self.kept = values_to_keep(self.sized, needed) | {target}
        self.program = Program(
            network.captured, network.tensors, self.kept, dtype=execution.dtype, device=execution.device
        )
        self.reach = reach(self.sized, rows, columns, needed)
        # Whole maps gain nothing from large batches, and large values cost fresh memory.
        largest = LARGEST_BUDGET_BYTES if self.recomputed_share() < MOSTLY_WHOLE else LARGEST_BUDGET_BYTES // 4
        self.memory_bytes = execution.memory_bytes or min(available_bytes() // 4, largest)

    def recomputed_share(self) -> float:
        """The multiply-adds of all positions, as a share of full runs."""
        return recomputed_share(self.sized, self.reach, self.target)

    def region_ends(self) -> tuple[str, ...]:
        """What is computed whole though what it reads is known in regions, by operator name."""
        return region_ends(self.sized, self.reach, self.target)

    def values(self, image: Shaped[Tensor, "1 channel row column"]) -> tuple[dict[int, Tensor], dict[int, Box]]:
        """What is kept of the untouched image (1, channel, row, column), and the boxes of what is no whole map."""
        if self.network.other_inputs:
            return self.program.run(image, self.network.other_inputs), {}
        return values_on_boxes(self.program, self.sized, image, self.reach.needed, self.kept)


class Occlusion:
    """One image, one target value, all windows.

    `picture` holds what is written over the pixels (channel, row, column); `None` writes each window's own mean.
    """

    def __init__(
        self,
        plan: OcclusionPlan,
        image: Shaped[Tensor, "channel row column"],
        picture: Shaped[Tensor, "channel row column"] | None,
    ) -> None:
        self.plan = plan
        self.network, self.sized, self.program = plan.network, plan.sized, plan.program
        self.source, self.target, self.channel = plan.source, plan.target, plan.channel
        self.windows, self.reach = plan.windows, plan.reach
        self.image = self.program.placed_images(image[None])
        self.picture = None if picture is None else self.program.placed_images(picture[None])[0]
        self.values, self.boxes = plan.values(self.image)
        self.engine = RegionEngine(self.program, self.sized, self.values, self.boxes)

    @property
    def untouched(self) -> Shaped[Tensor, "*axes"]:
        """What is needed of the target's value, of the untouched image."""
        return self._asked(self._needed_part(self.values[self.target], self.boxes.get(self.target)))

    def _asked(self, value: Tensor) -> Tensor:
        return value if self.channel is None else channel_values(self.sized, self.target, value, self.channel)

    def _needed_part(self, value: Tensor, known: Box | None = None) -> Tensor:
        """What is needed of the target's value, which is known on a box (the whole map, if none is given)."""
        box = self.reach.needed[self.target]
        starts = (0,) * len(box.axes) if known is None else known.starts
        return narrowed(self.sized, self.target, value, box.shift(*(-start for start in starts)))

    def chunks(self) -> Iterator[Chunk]:
        """Row positions, column positions and the target's value for those (None where nothing reaches it)."""
        rows, columns = self._reaching()
        if not rows or not columns:
            return
        height, width = self._chunk_shape(len(rows), len(columns))
        for top in range(0, len(rows), height):
            for left in range(0, len(columns), width):
                part = rows[top : top + height], columns[left : left + width]
                yield (*part, self._value(*part))

    def _reaching(self) -> tuple[list[int], list[int]]:
        """The positions along each axis from which a change reaches the target."""
        if self.source not in self.reach.needed:
            return [], []
        found = self.reach.rows.get(self.target), self.reach.columns.get(self.target)
        if found[0] is None or found[1] is None or not keeps_positions(self.sized.call(self.sized.graph[self.target])):
            return list(range(len(self.windows[0]))), list(range(len(self.windows[1])))
        return np.flatnonzero(found[0].groups >= 0).tolist(), np.flatnonzero(found[1].groups >= 0).tolist()

    def _chunk_shape(self, rows: int, columns: int) -> tuple[int, int]:
        """How many row and column positions at once; equal parts, so that few shapes occur."""
        per_position = max(bytes_per_position(self.sized, self.reach, self.program), self._answer_bytes(), 1)
        fits = int(self.plan.memory_bytes // per_position)
        fits = max(1, min(fits, LARGEST_CHUNK))
        shape = (min(fits, rows * columns), *self.image.shape[1:])
        if not can_batch(self.network, self.program, [self.target], shape):
            return 1, 1
        if fits < columns:
            return 1, even_part(columns, fits)
        return even_part(rows, fits // columns), columns

    def _answer_bytes(self) -> float:
        """What the target's needed box takes, laid out, read and reduced."""
        if not keeps_positions(self.sized.call(self.sized.graph[self.target])):
            return 0.0
        box = self.reach.needed[self.target]
        channels = 1 if self.channel is not None else prod(self.engine.untouched.layout(self.target).channels)
        return 3.0 * box.height * box.width * channels * self.values[self.target].element_size()

    def _value(self, rows: list[int], columns: list[int]) -> Tensor | None:
        patches = self._image_patches(rows, columns)
        state = self.engine.run(self.reach, rows, columns, patches, self.target)
        if state is None or isinstance(state, Dense):
            return None if state is None else self._asked(self._needed_part(state.tensor))
        return self._laid_out(state, rows, columns)

    def _laid_out(self, patches: Patches, rows: list[int], columns: list[int]) -> Tensor:
        """The target's needed box for every position, from patches and what was there before."""
        box, cached, layout = self.reach.needed[self.target], self.engine.untouched.places(self.target), patches.layout
        assert cached is not None
        assert layout is not None
        if self.channel is not None:
            # A large map has many channels: only the wanted one is laid out in full for every position.
            chosen = {group: layout.to_places(value)[..., [self.channel]] for group, value in patches.values.items()}
            patches = Patches(patches.rows, patches.columns, chosen, Layout(Axes(0, (1, 2)), (1,)))
            cached = Cached(cached.places[..., [self.channel]], cached.box)
        row_places = np.broadcast_to(np.arange(box.top, box.bottom), (len(rows), box.height))
        column_places = np.broadcast_to(np.arange(box.left, box.right), (len(columns), box.width))
        members = np.arange(len(rows)), np.arange(len(columns))
        memory = self.engine.untouched.memory
        places = patches.table(cached).gather(members[0], row_places, members[1], column_places, memory=memory)
        return places.flatten(1) if self.channel is not None else layout.from_places(places)

    def _image_patches(self, rows: list[int], columns: list[int]) -> Patches:
        """The boxes of the image that change, with the windows written over."""
        row_spans = self.reach.rows[self.source].part(rows)
        column_spans = self.reach.columns[self.source].part(columns)
        values: dict[Group, Tensor] = {}
        for row_group, row_members in enumerate(row_spans.members):
            for column_group, column_members in enumerate(column_spans.members):
                row_places = _places(row_spans, row_group, row_members)
                column_places = _places(column_spans, column_group, column_members)
                inside = (
                    _inside(self.windows[0], rows, row_members, row_places),
                    _inside(self.windows[1], columns, column_members, column_places),
                )
                windows = (
                    [self.windows[0][rows[at]] for at in row_members],
                    [self.windows[1][columns[at]] for at in column_members],
                )
                values[row_group, column_group] = self._occluded(row_places, column_places, inside, windows)
        return Patches(row_spans, column_spans, values, self.engine.untouched.layout(self.source))

    def _occluded(
        self,
        rows: Int64[Indices, "row_position height"],
        columns: Int64[Indices, "column_position width"],
        inside: tuple[Bool[Inside, "row_position height"], Bool[Inside, "column_position width"]],
        windows: tuple[list[Interval], list[Interval]],
    ) -> Shaped[Tensor, "position channel height width"]:
        kept = _cut_out(self.image[0], rows, columns)
        written = self._window_means(windows) if self.picture is None else _cut_out(self.picture, rows, columns)
        mask = inside[0][:, None, :, None] & inside[1][None, :, None]
        mask_tensor = torch.from_numpy(mask.reshape(len(kept), 1, rows.shape[1], columns.shape[1])).to(kept.device)
        return torch.where(mask_tensor, written, kept).contiguous(memory_format=torch.channels_last)

    def _window_means(self, windows: tuple[list[Interval], list[Interval]]) -> Shaped[Tensor, "position channel 1 1"]:
        image = self.image[0]
        means = [
            image[:, rows.start : rows.stop, columns.start : columns.stop].mean(dim=(1, 2))
            for rows in windows[0]
            for columns in windows[1]
        ]
        return torch.stack(means)[:, :, None, None]


def channel_values(
    sized: SizedGraph, node: int, value: Shaped[Tensor, "*axes"], channel: int
) -> Shaped[Tensor, "image place"]:
    """One feature map of a value, of all of it or of a box: (image, place)."""
    size = [1 if axis is None else value.shape[axis] for axis in sized.axes[node].spatial]
    return as_maps(sized, node, value, size)[:, channel].flatten(1)


def narrowed(sized: SizedGraph, node: int, value: Shaped[Tensor, "*whole"], box: Box) -> Shaped[Tensor, "*part"]:
    """The part of a value on a box of its maps; some values have rows alone, or columns: a mean over the others."""
    for axis, places in zip(sized.axes[node].spatial, box.axes, strict=True):
        if axis is not None:
            value = value.narrow(axis, places.start, places.size)
    return value


def _places(spans: Spans, group: int, members: Indices) -> Indices:
    return spans.starts[members][:, None] + np.arange(spans.widths[group])


def _inside(windows: Sequence[Interval], positions: list[int], members: Indices, places: Indices) -> Inside:
    first = np.array([windows[positions[at]].start for at in members])[:, None]
    last = np.array([windows[positions[at]].stop for at in members])[:, None]
    return (places >= first) & (places < last)


def _cut_out(
    picture: Shaped[Tensor, "channel row column"],
    rows: Int64[Indices, "row_position height"],
    columns: Int64[Indices, "column_position width"],
) -> Shaped[Tensor, "position channel height width"]:
    """A picture's (channel, row, column) boxes: (position, channel, row, column)."""
    row_index, column_index = torch.from_numpy(rows).to(picture.device), torch.from_numpy(columns).to(picture.device)
    boxes = picture.permute(1, 2, 0)[row_index[:, None, :, None], column_index[None, :, None]]
    return boxes.flatten(0, 1).permute(0, 3, 1, 2)
