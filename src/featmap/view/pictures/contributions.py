"""Pages of contributions: the maps that add up to one output map, the strongest first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from featmap.errors import SettingError
from featmap.view.drawing.scale import Scale, scale_of
from featmap.view.drawing.text import extent, plural
from featmap.view.sheets.grid import fit_grid
from featmap.view.sheets.maps import hatched, oddities, range_texts
from featmap.view.sheets.sheet import MapSheet, sheet_pages
from featmap.view.sheets.summary import checked, summarise


def contribution_pages(
    contributions: NDArray[Any],
    total: NDArray[Any],
    title: str,
    *,
    page_size: int | None = None,
    channels: Sequence[int] | None = None,
) -> list[Image.Image]:
    """The contributions of all input maps to one output map, after their sum.

    Sorted by share: the sum of a contribution's magnitudes over that of all. All contributions share one colour scale,
    centred on 0; the total has its own, because it can be far larger than any of them.

    Arguments:
        contributions: (input channel, row, column).
        total: (row, column), the map that they make, with its bias if it has one.
        channels: the numbers of the input maps, where they are not 0, 1, 2, ...

    Raises: SettingError: a total of another size than the contributions.

    >>> parts = np.stack([np.eye(4), -3 * np.eye(4)])
    >>> contribution_pages(parts, parts.sum(axis=0), "conv2:conv/7")[0].info["Description"]
    'conv2:conv/7; contributions of 2 maps of 4 x 4, sorted by share of all magnitudes, which ...'
    """
    parts = checked(contributions)
    _check(parts, np.asarray(total))
    everything = np.concatenate([np.asarray(total, parts.dtype)[None], parts])
    share = shares(parts)
    order = np.argsort(-share, kind="stable")
    positions = np.concatenate([[0], order + 1])
    names = list(range(len(parts)) if channels is None else channels)
    summary, scale = summarise(everything), _scale(everything)
    grid = fit_grid(len(everything), parts.shape[1], parts.shape[2], page_size)
    head = f"contributions of {plural(len(parts), 'map')} of {parts.shape[1]} x {parts.shape[2]}"
    how = "sorted by share of all magnitudes, which stands below each"
    sheet = MapSheet(
        title=title,
        lines=[f"{head}, {how}; {grid.tile.statement}", f"colour: {scale.statement}", *oddities(summary, shared=True)],
        values=everything[positions],
        scale=Scale(scale.low[positions], scale.high[positions], scale.colours, scale.statement, scale.marks),
        labels=["total", *(str(names[position]) for position in order)],
        notes=[
            range_texts(float(summary.minimum[0]), float(summary.maximum[0])),
            *([f"{share[position]:.1%}"] for position in order),
        ],
        flat=hatched(summary, shared=True)[positions],
        broken=bool(summary.broken.any()),
    )
    return sheet_pages(sheet, grid)


def _check(parts: NDArray[Any], total: NDArray[Any]) -> None:
    if parts.shape[1:] != total.shape:
        raise SettingError(
            f"Contributions of {parts.shape[1:]} cannot add up to a map of {total.shape}.",
            "Pass one output map (row, column) and its contributions (input channel, row, column).",
        )


def shares(contributions: NDArray[Any]) -> NDArray[np.float64]:
    """The part of each contribution in the sum of all magnitudes, over finite values.

    >>> shares(np.array([[[1.0]], [[-3.0]]])).tolist()
    [0.25, 0.75]
    """
    magnitudes = np.sum(np.abs(contributions), axis=(1, 2), where=np.isfinite(contributions), dtype=np.float64)
    return np.asarray(magnitudes / (float(magnitudes.sum()) or 1.0))


def _scale(everything: NDArray[Any]) -> Scale:
    """One scale for the contributions, one for the total in front of them."""
    parts = scale_of(summarise(everything[1:]), "shared", signed=True)
    total = scale_of(summarise(everything[:1]), "shared", signed=True)
    own = extent(float(total.low[0]), float(total.high[0]))
    shared = extent(float(parts.low[0]), float(parts.high[0]))
    statement = f"all contributions share one colour scale, {shared}; the total has its own, {own}; both centred on 0"
    low, high = np.concatenate([total.low, parts.low]), np.concatenate([total.high, parts.high])
    return Scale(low, high, parts.colours, statement, parts.marks)
