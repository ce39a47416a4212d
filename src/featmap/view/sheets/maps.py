"""Pages of all maps of a layer on one image: small pictures with everything needed to read them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from featmap.errors import SettingError
from featmap.view.drawing.scale import Kind, Scale, is_shared, scale_of
from featmap.view.drawing.text import extent, number, plural
from featmap.view.sheets.grid import Grid, fit_grid
from featmap.view.sheets.order import SORTS, Sort, key_text, order
from featmap.view.sheets.sheet import MapSheet, sheet_pages
from featmap.view.sheets.summary import Summary, checked, summarise


def map_pages(
    values: NDArray[Any],
    title: str,
    *,
    sort: Sort = "index",
    scale: Kind = "map",
    signed: bool = False,
    page_size: int | None = None,
    channels: Sequence[int] | None = None,
) -> list[Image.Image]:
    """The feature maps of one image as pages, each map with its channel and, on a scale of its own, its range.

    Maps smaller than their tile are magnified in whole pixels per value, larger ones averaged over areas; the header
    states which, and also the order, the scale, the range of all values, how many maps are 0 everywhere and how many
    values are NaN or infinite. Colours always come from the values of the whole map. A map that holds one value only is
    hatched, with its value below it.

    Arguments:
        values: (channel, row, column), of any float or integer type.
        title: what the maps are, usually their address.
        sort: "index", or largest first by "maximum", "mean" or "positive" (fraction of positive values).
        scale: "map" for one colour scale per map, "shared" for one for all, over all pages.
        signed: blue to red with 0 in the middle, as z needs it; otherwise from 0, or a negative minimum, upwards.
        page_size: maps per page; without it as many as stay legible.
        channels: the numbers of the maps, where they are not all the channels of their layer.

    Raises: SettingError: an array of another kind, an unknown order or scale, a page size below 1.

    >>> pages = map_pages(np.ones((512, 28, 28)) * np.arange(28), "features.21:a")
    >>> len(pages), pages[0].info["Description"][:50]
    (4, 'features.21:a; 512 maps of 28 x 28, in the order o')
    """
    maps = checked(values)
    names = map_names(len(maps), channels)
    summary = summarise(maps)
    positions = order(summary, sort)
    scales = scale_of(summary, scale, signed=signed)
    shared = is_shared(summary, scale)
    grid = fit_grid(len(maps), maps.shape[1], maps.shape[2], page_size)
    sheet = MapSheet(
        title=title,
        lines=_lines(maps.shape, summary, scales, grid, sort, shared=shared),
        values=maps[positions],
        scale=Scale(scales.low[positions], scales.high[positions], scales.colours, scales.statement, scales.marks),
        labels=[names[position] for position in positions],
        notes=[map_note(summary, scales, int(position), sort, shared=shared) for position in positions],
        flat=hatched(summary, shared=shared)[positions],
        broken=bool(summary.broken.any()),
    )
    return sheet_pages(sheet, grid)


def map_names(maps: int, channels: Sequence[int] | None) -> list[str]:
    """The name of each map: its channel. Raises: SettingError: another number of channels than maps."""
    if channels is not None and len(channels) != maps:
        raise SettingError(
            f"{plural(maps, 'map')} came with {plural(len(channels), 'channel number')}.",
            "Pass one channel number per map, or none.",
        )
    return [str(channel) for channel in (range(maps) if channels is None else channels)]


def hatched(summary: Summary, *, shared: bool) -> NDArray[np.bool_]:
    """The maps with nothing to show: those that are 0, and those of one value where that has no scale."""
    return summary.dead if shared else summary.constant


def _lines(shape: tuple[int, ...], summary: Summary, scale: Scale, grid: Grid, sort: str, *, shared: bool) -> list[str]:
    maps, rows, columns = shape
    span = extent(float(summary.minimum.min()), float(summary.maximum.max()))
    said = f", {SORTS[sort]}" if maps > 1 else ""
    below = " (the number below each)" if said and shared and sort != "index" else ""
    return [
        f"{plural(maps, 'map')} of {rows} x {columns}{said}{below}; {grid.tile.statement}",
        f"colour: {scale.statement}",
        "; ".join((f"values from {span}", *oddities(summary, shared=shared))),
    ]


def oddities(summary: Summary, *, shared: bool) -> list[str]:
    """Notes on maps without contrast and on values that are NaN or infinite; empty where there are none."""
    dead, constant = int(summary.dead.sum()), int((hatched(summary, shared=shared) & ~summary.dead).sum())
    broken = int(summary.broken.sum())
    said = [
        (dead, f"{plural(dead, 'map')} all 0 (hatched)"),
        (constant, f"{plural(constant, 'map')} of one value (hatched)"),
        (broken, f"{plural(broken, 'value')} NaN or infinite, in {plural(int((summary.broken > 0).sum()), 'map')}"),
    ]
    return [text for count, text in said if count]


def map_note(summary: Summary, scale: Scale, position: int, sort: str, *, shared: bool) -> list[str]:
    """Texts for the label of one map, the most telling first; the first that fits is shown."""
    low, high = float(summary.minimum[position]), float(summary.maximum[position])
    if summary.constant[position]:
        value = [number(high, digits) for digits in (3, 2, 1)]
        return value if summary.size == 1 else [f"all {text}" for text in value] + value
    if summary.broken[position]:
        return [f"{summary.broken[position]} not finite", f"{summary.broken[position]} bad"]
    if shared and len(summary.mean) > 1:
        return [key_text(summary, sort, position)]
    return range_texts(low, high) if scale.low.any() else [number(high), number(high, 2)]


def range_texts(low: float, high: float) -> list[str]:
    """A range in three lengths.

    >>> range_texts(-0.1234, 3)
    ['−0.123..3', '−0.12..3', '±3']
    """
    return [f"{number(low, digits)}..{number(high, digits)}" for digits in (3, 2)] + [f"±{number(max(-low, high), 2)}"]
