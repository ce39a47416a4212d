"""Numba kernel: gathered positions, each written once, from patch, cache or border.

numba compiles it at first use and keeps the result on disk. Where numba is absent, or the tensors are on another
device, `patches` gathers by torch's row lookup instead: the same values, one copy more.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from featmap.graph.operators.base.sides import Indices
from featmap.run.region.patches.spans import Spans
from featmap.threads import share_threads

MOST_GROUPS = 9
_DTYPES = (torch.float32, torch.float64)


def can_copy(tensor: Tensor) -> bool:
    """Whether the compiled pass serves this tensor."""
    return tensor.device.type == "cpu" and tensor.dtype in _DTYPES and _has_numba()


@lru_cache(maxsize=1)
def _has_numba() -> bool:
    return importlib.util.find_spec("numba") is not None


def copy_places(
    out: Tensor,
    channel: int,
    parts: Sequence[Tensor],
    spans: tuple[Spans, Spans],
    known: tuple[Tensor, int, int],
    positions: tuple[Indices, Indices],
    sources: tuple[Indices, Indices],
    border: float,
) -> None:
    """Writes the places at rows x columns (`sources`) of positions x positions into `out` from `channel` on.

    `out` is (image, row, column, channel). `parts` are the patches of every group, of the same axes, in the order row
    group, column group; `known` is the cached map (row, column, channel) with the row and column of its first place.
    """
    # An imaginary part of a conjugate is held as what it is the negative of, which numpy does not know.
    parts, cached = [part.resolve_neg() for part in parts], known[0].resolve_neg()
    empty = np.empty((0, 0, 0, cached.shape[-1]), dtype=out.numpy().dtype)
    arrays = [part.contiguous().numpy() for part in parts]
    padded = tuple(arrays + [empty] * (MOST_GROUPS - len(arrays)))
    rows, columns = (_described(span, chosen) for span, chosen in zip(spans, positions, strict=True))
    counts = np.array([len(members) for members in spans[1].members] + [0], dtype=np.int64)
    # All of one kind: for read-only or strided arrays the pass would be compiled once more, for seconds.
    indices = (np.require(side, requirements=["C", "W"]) for side in sources)
    share_threads()
    _compiled()(out.numpy(), channel, cached.numpy(), padded, rows, columns, *indices, counts, *known[1:], border)


def _described(spans: Spans, positions: Indices) -> Indices:
    """Group, rank and first place of every position, one row each."""
    return np.stack([spans.groups[positions], spans.ranks[positions], spans.starts[positions]])


@lru_cache(maxsize=1)
def _compiled() -> Callable[..., None]:
    import numba

    @numba.njit(parallel=True, cache=True, nogil=True)
    def copy(
        out: Any,
        channel: int,
        cached: Any,
        parts: Any,
        rows: Any,
        columns: Any,
        row_sources: Any,
        column_sources: Any,
        counts: Any,
        top: int,
        left: int,
        border: float,
    ) -> None:
        column_positions = columns.shape[1]
        column_groups = len(counts) - 1
        last = channel + cached.shape[2]
        for image in numba.prange(out.shape[0]):
            row, column = image // column_positions, image % column_positions
            row_group, column_group = rows[0, row], columns[0, column]
            is_patched = row_group >= 0 and column_group >= 0
            part = parts[row_group * column_groups + column_group if is_patched else 0]
            at = rows[1, row] * counts[column_group] + columns[1, column]
            for t in range(row_sources.shape[1]):
                source_row = row_sources[row, t]
                part_row = source_row - rows[2, row]
                in_rows = is_patched and part_row >= 0 and part_row < part.shape[1]
                for q in range(column_sources.shape[1]):
                    source_column = column_sources[column, q]
                    if source_row < 0 or source_column < 0:
                        out[image, t, q, channel:last] = border
                        continue
                    part_column = source_column - columns[2, column]
                    if in_rows and part_column >= 0 and part_column < part.shape[2]:
                        out[image, t, q, channel:last] = part[at, part_row, part_column, :]
                    else:
                        out[image, t, q, channel:last] = cached[source_row - top, source_column - left, :]

    return copy
