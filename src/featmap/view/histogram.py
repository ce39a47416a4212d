"""How does a distribution look? The maxima per image as bars, with the quantiles of all values marked."""

from __future__ import annotations

import io
from typing import Any

from PIL import Image

from featmap.index.distribution import Distribution
from featmap.view.text import number, plural

_BAR, _LINE = "#3b6ea8", "#b8433c"


def histogram_picture(result: Distribution) -> Image.Image:
    """The histogram of a map's maxima; the marks are quantiles of all its values."""
    from matplotlib.figure import Figure

    assert result.edges is not None
    assert result.counts is not None
    figure = Figure(figsize=(7.2, 3.8), dpi=110, layout="constrained")
    axes: Any = figure.subplots()
    widths = [high - low for low, high in zip(result.edges, result.edges[1:], strict=False)]
    axes.bar(result.edges[:-1], result.counts, widths, align="edge", color=_BAR)
    known = [(share, value) for share, value in result.quantiles.items() if value is not None]
    for share, value in known:
        axes.axvline(value, color=_LINE, linewidth=1)
        at = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points"}
        axes.annotate(f"{share}%", (value, 1.0), (2, -10), color=_LINE, fontsize=8, **at)
    axes.set_title(
        f"{result.address}: maxima of {plural(result.images, 'image')}", loc="left", fontsize=10, weight="bold"
    )
    words = (
        f"largest value in an image; mean of all values {number(result.mean)}, {result.fraction_positive:.1%} above 0"
    )
    axes.set_xlabel(words + ("; lines: quantiles of all values" if known else ""), fontsize=8)
    axes.set_ylabel("images", fontsize=8)
    axes.yaxis.get_major_locator().set_params(integer=True)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return Image.open(io.BytesIO(buffer.getvalue())).convert("RGB")
