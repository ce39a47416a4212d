"""Tables of a few facts, a row each, for a notebook; a terminal says them in sentences."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from featmap.index.build.build import BuildReport
from featmap.index.questions.distribution import Distribution
from featmap.methods.matrix import LayerMatrix
from featmap.view.drawing.text import number
from featmap.view.tables.parts import counted, shape_text, skipped_lines, table


def matrix_facts(result: LayerMatrix) -> RenderableType:
    """A layer as a matrix: its size and what it holds."""
    rows, columns = result.matrix.shape
    return _facts(
        f"{result.address} as a matrix",
        [
            ("rows", f"{rows:,}", f"values of an output of {shape_text(result.output_shape)}"),
            ("columns", f"{columns:,}", f"values of an input of {shape_text(result.input_shape)}"),
            ("cells with a weight", f"{result.entries:,}", f"{result.share_of_nonzeros:.3%} of all"),
            ("distinct weights", f"{result.distinct_weights:,}", ""),
        ],
    )


def report_facts(report: BuildReport) -> RenderableType:
    """What a build found, and what became of it."""
    left_out = [(f"{entry.reason}, left out", f"{entry.count:,}", ", ".join(entry.names)) for entry in report.left_out]
    before = f"{report.skipped_before:,} of them could not be read" if report.skipped_before else ""
    rows = [
        ("images in the index", f"{report.images:,}", ""),
        ("new", f"{report.added:,}", ""),
        ("known before", f"{report.known:,}", before),
        ("could not be read", f"{len(report.skipped):,}", ""),
        *left_out,
        ("found in all", f"{report.found:,}", ""),
    ]
    return _facts(report.path, rows, skipped_lines(report.skipped))


def distribution_facts(result: Distribution) -> RenderableType:
    """The moments and quantiles of one map's values over a dataset."""
    moments = (("minimum", result.minimum), ("maximum", result.maximum), ("mean", result.mean))
    rows = [(name, number(value, 4), "") for name, value in (*moments, ("standard deviation", result.deviation))]
    positive = f"{counted(result.positive_images, 'image')} with such a value"
    rows.append(("above 0", f"{result.fraction_positive:.1%}", positive))
    rows += [
        (f"quantile {share}%", "?" if value is None else number(value, 4), "not kept" if value is None else "")
        for share, value in result.quantiles.items()
    ]
    return _facts(f"{result.title}: {result.values:,} values of {counted(result.images, 'image')}", rows)


def _facts(title: str, rows: Sequence[tuple[str, str, str]], notes: Sequence[str] = ()) -> RenderableType:
    """A table of names, numbers and what is said of them; without words beside any number without that column."""
    width = 3 if any(words for _, _, words in rows) else 2
    headings = (("", "left"), ("", "right"), ("", "left"))[:width]
    return Group(Text(title, style="bold"), table(headings, [row[:width] for row in rows]), *map(Text, notes))
