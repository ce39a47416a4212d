"""A histogram: the maxima per image as bars, and the distribution of all values in words below."""

from __future__ import annotations

import io
from typing import Any

from PIL import Image

from featmap.index.questions.distribution import Distribution
from featmap.view.drawing.text import number, plural, wrapped

_BAR = "#3b6ea8"
_ROOM_PX = 680
"""Of a line of text, beside the numbers of the axis."""


def histogram_picture(result: Distribution) -> Image.Image:
    """The histogram of a map's maxima; the distribution of all its values is below it, in words."""
    from matplotlib.figure import Figure

    assert result.edges is not None
    assert result.counts is not None
    figure = Figure(figsize=(7.2, 3.8), dpi=110, layout="constrained")
    axes: Any = figure.subplots()
    widths = [high - low for low, high in zip(result.edges, result.edges[1:], strict=False)]
    axes.bar(result.edges[:-1], result.counts, widths, align="edge", color=_BAR)
    title = wrapped(f"{result.title}: maxima of {plural(result.images, 'image')}", _ROOM_PX, 16, bold=True)
    axes.set_title("\n".join(title), loc="left", fontsize=10, weight="bold")
    axes.set_xlabel("\n".join(["largest value in an image", *wrapped(of_all_values(result), _ROOM_PX, 13)]), fontsize=8)
    axes.set_ylabel("images", fontsize=8)
    axes.yaxis.get_major_locator().set_params(integer=True)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return Image.open(io.BytesIO(buffer.getvalue())).convert("RGB")


def of_all_values(result: Distribution) -> str:
    """The distribution of all values; the bars show only the largest of each image."""
    known = [f"{share}% at most {number(value)}" for share, value in result.quantiles.items() if value is not None]
    told = [f"mean {number(result.mean)}", f"{result.fraction_positive:.1%} above 0", *known]
    return f"all values, which are not shown: {', '.join(told)}"
