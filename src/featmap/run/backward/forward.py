"""The forward values that signals need on their way back."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Int, Int64, Shaped
from torch import Tensor
from torch.nn import functional

from featmap.graph.graph import Node
from featmap.graph.operators.base.sides import BORDER, Indices
from featmap.graph.sized_graph import SizedGraph
from featmap.run.backward.roles import window_rules
from featmap.run.backward.signal import Boxes
from featmap.run.region.untouched import Untouched


class ForwardValues:
    """Values of one image, by node, on the boxes that are known of them."""

    def __init__(self, untouched: Untouched) -> None:
        self.untouched = untouched
        self.sized: SizedGraph = untouched.sized
        self._switches: dict[int, tuple[Boxes, Tensor]] = {}

    def whole(self, index: int) -> Any:
        """A value in its own order of axes, all of it."""
        assert index not in self.untouched.boxes
        return self.untouched.values[index]

    def at(self, index: int, boxes: Boxes) -> Shaped[Tensor, "one_or_unit channel height width"]:
        """The places of a value at those of the boxes: (unit, channel, row, column), one unit for all on whole maps.

        Outside of the map anything may stand: no signal is there.
        """
        rows = boxes.rows[:, None] + np.arange(boxes.height)
        columns = boxes.columns[:, None] + np.arange(boxes.width)
        return self._known(index, rows, columns)

    def switches(self, node: Node, boxes: Boxes) -> Int[Tensor, "one_or_unit channel height width"]:
        """For the outputs of a maximum pool where in its window each found its maximum: row * kernel width + column."""
        union = boxes.union
        known = self._switches.get(node.index)
        if known is None or not known[0].is_same(union):
            known = self._switches[node.index] = union, self._found_switches(node, union)
        rows = boxes.rows[:, None] + np.arange(boxes.height)
        columns = boxes.columns[:, None] + np.arange(boxes.width)
        return _gathered(known[1], (int(union.rows[0]), int(union.columns[0])), rows, columns)

    def _found_switches(self, node: Node, boxes: Boxes) -> Int[Tensor, "height width channel"]:
        """The switches (row, column, channel) of one box of outputs."""
        source, rows, columns = window_rules(self.sized, node)
        sides = boxes.sides(rows, columns, self.sized.size(source), self.sized.size(node.index))
        row_places, column_places = (side.sources() for side in sides)
        maps = self._known(source, row_places, column_places)
        outside = (row_places == BORDER)[:, None, :, None] | (column_places == BORDER)[:, None, None]
        if outside.any():
            maps = maps.masked_fill(torch.from_numpy(outside).to(maps.device), float("-inf"))
        stride, dilation = (rows.stride, columns.stride), (rows.dilation, columns.dilation)
        _, found = functional.max_pool2d(maps, (rows.kernel, columns.kernel), stride, 0, dilation, return_indices=True)
        across, down = torch.arange(boxes.width), torch.arange(boxes.height)[:, None]
        row_steps = found // maps.shape[3] - (down * stride[0]).to(found.device)
        column_steps = found % maps.shape[3] - (across * stride[1]).to(found.device)
        switches = row_steps // dilation[0] * columns.kernel + column_steps // dilation[1]
        # Small windows, which are nearly all, keep their places in two bytes.
        kind = torch.int16 if rows.kernel * columns.kernel <= torch.iinfo(torch.int16).max else torch.int32
        return switches[0].permute(1, 2, 0).to(kind).contiguous()

    def _known(self, index: int, rows: Indices, columns: Indices) -> Tensor:
        known = self.untouched.places(index)
        assert known is not None
        return _gathered(known.places, (known.box.top, known.box.left), rows, columns)


def _gathered(
    places: Shaped[Tensor, "row column channel"],
    first: tuple[int, int],
    rows: Int64[Indices, "unit height"],
    columns: Int64[Indices, "unit width"],
) -> Shaped[Tensor, "one_or_unit channel height width"]:
    """Places (unit, channel, row, column) at each unit's rows and columns; the nearest that is known outside.

    `places` are (row, column, channel), of which the first stands at `first`. Where all units read the same, there is
    one for all of them.
    """
    if (rows == rows[0]).all() and (columns == columns[0]).all():
        rows, columns = rows[:1], columns[:1]
    height, width, channels = places.shape
    row_index, column_index = np.clip(rows - first[0], 0, height - 1), np.clip(columns - first[1], 0, width - 1)
    if _is_all(row_index, height) and _is_all(column_index, width):
        return places.permute(2, 0, 1)[None]
    index = torch.from_numpy((row_index[:, :, None] * width + column_index[:, None, :]).reshape(-1))
    found = places.reshape(-1, channels).index_select(0, index.to(places.device))
    return found.view(len(rows), rows.shape[1], columns.shape[1], channels).permute(0, 3, 1, 2)


def _is_all(index: Indices, size: int) -> bool:
    """Whether one unit reads all places in order."""
    return index.shape == (1, size) and bool((index[0] == np.arange(size)).all())
