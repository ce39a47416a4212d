"""The change of a mean over the whole map, from the change of a part's sum."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from featmap.run.region.patches.patches import Cached, Patches


def mean_change(patches: Patches, cached: Cached, count: int, column_count: int) -> Float64[Tensor, "position channel"]:
    """By how much the sum over the map changes at every position, (position, channel), in float64."""
    assert patches.layout is not None
    totals = _running_sums(cached.places)
    change = torch.zeros((count, cached.places.shape[-1]), dtype=torch.float64, device=cached.places.device)
    for (row_group, column_group), value in patches.values.items():
        rows, columns = patches.rows.members[row_group], patches.columns.members[column_group]
        new = patches.layout.to_places(value).sum(dim=(1, 2), dtype=torch.float64)
        tops = np.repeat(patches.rows.starts[rows], len(columns)) - cached.box.top
        lefts = np.tile(patches.columns.starts[columns], len(rows)) - cached.box.left
        old = _box_sums(totals, tops, lefts, patches.rows.widths[row_group], patches.columns.widths[column_group])
        positions = (rows[:, None] * column_count + columns).reshape(-1)
        change[torch.from_numpy(positions)] = new - old
    return change


def _running_sums(places: Tensor) -> Tensor:
    """Sums over all places above and to the left of each corner."""
    sums = places.double().cumsum(0).cumsum(1)
    return torch.nn.functional.pad(sums, (0, 0, 1, 0, 1, 0))


def _box_sums(totals: Tensor, tops: Any, lefts: Any, height: int, width: int) -> Tensor:
    top, left = torch.from_numpy(tops), torch.from_numpy(lefts)
    bottom, right = top + height, left + width
    return totals[bottom, right] - totals[top, right] - totals[bottom, left] + totals[top, left]
