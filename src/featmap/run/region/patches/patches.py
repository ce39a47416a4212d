"""The recomputed parts of a value, and the gathering of positions from them and from the cached rest.

A map is a table of places, each a row of channel values. The table of a value holds the cached places, two border rows
(zeros, and minus infinity for maximum pools) and the places of all patches; gathering is one row lookup per place.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64, Shaped
from torch import Tensor

from featmap.geometry import Box
from featmap.graph.operators.base.call import Axes
from featmap.graph.operators.base.sides import BORDER, Indices
from featmap.run.region.patches.copying import can_copy, copy_places
from featmap.run.region.patches.scratch import Scratch
from featmap.run.region.patches.spans import Spans

Group = tuple[int, int]
"""Which of the row widths and which of the column widths."""


@dataclass(frozen=True, eq=False)
class Layout:
    """Where a value's axes are: rows and columns by number, all others but the images' hold channels."""

    axes: Axes
    channels: tuple[int, ...]

    @property
    def order(self) -> tuple[int, ...]:
        row, column = self.axes.in_space
        others = [axis for axis in range(1, 3 + len(self.channels)) if axis not in (row, column)]
        return (0, row, column, *others)

    def to_places(self, tensor: Shaped[Tensor, "image ..."]) -> Shaped[Tensor, "image row column channel"]:
        """(image, row, column, channel) from the value's own order of axes."""
        places = tensor.permute(self.order)
        return places if len(self.channels) == 1 else places.reshape(*places.shape[:3], prod(self.channels))

    def from_places(self, places: Shaped[Tensor, "image row column channel"]) -> Shaped[Tensor, "image ..."]:
        """The value's own order of axes from (image, row, column, channel)."""
        opened = places.reshape(*places.shape[:3], *self.channels)
        return opened.permute([self.order.index(axis) for axis in range(len(self.order))])


@dataclass(eq=False)
class Cached:
    """The untouched values of a map on a box of it, as (row, column, channel)."""

    places: Shaped[Tensor, "row column channel"]
    box: Box


@dataclass(eq=False)
class Patches:
    """The recomputed parts of one value: a tensor in the value's own order of axes for every group of positions.

    `values` may hold lists of tensors, for operators that return several.
    """

    rows: Spans
    columns: Spans
    values: dict[Group, Any]
    layout: Layout | None = None
    _table: Table | None = field(default=None, repr=False)

    def groups(self) -> Iterable[Group]:
        return self.values.keys()

    def table(self, cached: Cached | None) -> Table:
        """The rows from which places of this value are gathered; made once."""
        if self._table is None:
            self._table = Table(self, cached)
        return self._table


class Table:
    """All places of a value as rows of channel values."""

    def __init__(self, patches: Patches, cached: Cached | None) -> None:
        layout = patches.layout
        assert layout is not None
        # Not the patches themselves: they hold this table, and a circle is freed late, with all its memory.
        self.row_spans, self.column_spans = patches.rows, patches.columns
        self.parts = {group: layout.to_places(value) for group, value in patches.values.items()}
        example = next(iter(self.parts.values())) if self.parts else cached.places  # type: ignore[union-attr]
        self.box = cached.box if cached is not None else Box(0, 0, 0, 0)
        self.known = cached.places if cached is not None else example.new_empty((0, 0, example.shape[-1]))

    def gather(
        self,
        row_positions: Int64[Indices, " row_position"],
        rows: Int64[Indices, "row_position height"],
        column_positions: Int64[Indices, " column_position"],
        columns: Int64[Indices, "column_position width"],
        *,
        memory: Scratch,
        lowest: bool = False,
    ) -> Shaped[Tensor, "position height width channel"]:
        """The places at `rows` (position, place) x `columns` (position, place): (image, row, column, channel).

        Row and column indices are those of the whole map, `BORDER` outside of it. `lowest` takes minus infinity there.
        """
        shape = (len(row_positions) * len(column_positions), rows.shape[1], columns.shape[1], self.known.shape[-1])
        out = memory.empty(shape, self.known)
        self.gather_into(out, 0, row_positions, rows, column_positions, columns, lowest=lowest)
        return out

    def gather_into(
        self,
        out: Shaped[Tensor, "position height width channels"],
        channel: int,
        row_positions: Int64[Indices, " row_position"],
        rows: Int64[Indices, "row_position height"],
        column_positions: Int64[Indices, " column_position"],
        columns: Int64[Indices, "column_position width"],
        *,
        lowest: bool = False,
    ) -> None:
        """The same, into the channels of `out` (image, row, column, channel) from `channel` on."""
        if can_copy(self.known):
            spans = self.row_spans, self.column_spans
            known = self.known, self.box.top, self.box.left
            border = float("-inf") if lowest else 0.0
            positions, sources = (row_positions, column_positions), (rows, columns)
            copy_places(out, channel, list(self.parts.values()), spans, known, positions, sources, border)
            return
        index = self._index(row_positions, rows, column_positions, columns, self.zero + lowest)
        found = self.rows.index_select(0, torch.from_numpy(index.reshape(-1)).to(self.rows.device))
        channels = self.known.shape[-1]
        out[..., channel : channel + channels] = found.view(*out.shape[:3], channels)

    @property
    def zero(self) -> int:
        """The row of zeros; that of minus infinity is the next."""
        return self.known.shape[0] * self.known.shape[1]

    @cached_property
    def bases(self) -> Indices:
        """For every group the row of its first place."""
        bases = np.zeros((len(self.row_spans.widths) + 1, len(self.column_spans.widths) + 1), dtype=np.int64)
        at = self.zero + 2
        for (row, column), part in self.parts.items():
            bases[row, column] = at
            at += prod(part.shape[:3])
        return bases

    @cached_property
    def rows(self) -> Tensor:
        """Cached places, the two border rows, and the places of all patches."""
        channels = self.known.shape[-1]
        border = self.known.new_zeros((2, channels))
        if border.is_floating_point():
            border[1] = float("-inf")
        parts = (part.reshape(-1, channels) for part in self.parts.values())
        return torch.cat([self.known.reshape(-1, channels), border, *parts])

    def _index(
        self, row_positions: Indices, rows: Indices, column_positions: Indices, columns: Indices, border: int
    ) -> Indices:
        patch_rows, patch_columns = self.row_spans, self.column_spans
        row_groups, column_groups = patch_rows.groups[row_positions], patch_columns.groups[column_positions]
        local_rows = rows - patch_rows.starts[row_positions][:, None]
        local_columns = columns - patch_columns.starts[column_positions][:, None]
        heights, widths = patch_rows.extents[row_positions], patch_columns.extents[column_positions]
        in_rows = (local_rows >= 0) & (local_rows < heights[:, None])
        in_columns = (local_columns >= 0) & (local_columns < widths[:, None])
        counts = np.array([len(members) for members in patch_columns.members] + [0], dtype=np.int64)
        image = patch_rows.ranks[row_positions][:, None] * counts[column_groups] + patch_columns.ranks[column_positions]
        first = self.bases[row_groups[:, None], column_groups] + image * heights[:, None] * widths
        inside = first[:, :, None, None] + (
            (local_rows[:, None] * widths[None, :, None])[..., None] + local_columns[None, :, None]
        )
        in_patch = in_rows[:, None, :, None] & in_columns[None, :, None]
        known = (rows - self.box.top)[:, None, :, None] * self.box.width + (columns - self.box.left)[None, :, None]
        index = np.where(in_patch, inside, known)
        outside = (rows == BORDER)[:, None, :, None] | (columns == BORDER)[None, :, None]
        return np.where(outside, border, index)
