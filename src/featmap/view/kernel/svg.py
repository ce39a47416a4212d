"""The sliding kernel as one animated SVG file.

The animation is pure CSS: one step per output across, one per row of outputs down. Without CSS, in a still, or where
the reader prefers reduced motion, the first stop of the kernel is shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from featmap.view.kernel.layout import (
    COLOURS,
    LEGEND_INDENT_PX,
    MARGIN_PX,
    TEXT_PX,
    TITLE_PX,
    CellGrid,
    KernelLayout,
    lay_out,
    number_px,
)
from featmap.view.kernel.scene import Kind, Scene

GAP_PX = 1
"""Between a cell's edge and its tile."""

STYLE = """
text{{font-family:-apple-system,"Segoe UI",Helvetica,Arial,sans-serif;fill:{ink}}}
.faint{{fill:{faint}}} .column{{fill:{faint};text-anchor:middle}} .row{{fill:{faint};text-anchor:end}}
.heading{{text-anchor:middle}}
.input{{fill:{input}}} .zero,.padding{{fill:{paper};fill-opacity:.6;stroke:{line}}}
.padding{{stroke-dasharray:3 2.5}} .zero{{stroke:{light}}} .dot{{fill:{line}}}
.kernel{{fill:{kernel}}} .frame{{fill:none;stroke:{edge};stroke-width:2}}
.empty{{fill:none;stroke:{line}}} .done{{fill:{done}}}
"""

MOTION = """
@keyframes kernel-right{{to{{transform:translateX({kernel_right}px)}}}}
@keyframes kernel-down{{to{{transform:translateY({kernel_down}px)}}}}
@keyframes output-right{{to{{transform:translateX({output_right}px)}}}}
@keyframes output-down{{to{{transform:translateY({output_down}px)}}}}
@keyframes fill-right{{from{{transform:scaleX(0)}}to{{transform:scaleX(1)}}}}
@keyframes fill-down{{from{{transform:scaleY(0)}}to{{transform:scaleY(1)}}}}
.right{{animation:{row_s:g}s steps({columns}) infinite}} .down{{animation:{all_s:g}s steps({rows}) infinite}}
.kernel-right{{animation-name:kernel-right}} .kernel-down{{animation-name:kernel-down}}
.output-right{{animation-name:output-right}} .output-down{{animation-name:output-down}}
.fill-right{{animation-name:fill-right}} .fill-down{{animation-name:fill-down}}
@media (prefers-reduced-motion:reduce){{.right,.down{{animation:none}}}}
"""


def kernel_svg(scene: Scene) -> str:
    """The whole file as text."""
    layout = lay_out(scene)
    width, height = layout.width, layout.height
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" aria-labelledby="title">',
        f'<title id="title">{escape(scene.title)}</title>',
        f"<desc>{escape(' '.join(scene.captions))}</desc>",
        f"<style>{STYLE.format(**COLOURS)}{motion(scene, layout)}</style>",
        f'<rect width="{width}" height="{height}" rx="8" fill="{COLOURS["paper"]}"/>',
        *words(scene, layout),
        *source(scene, layout),
        *result(layout),
        *arrow(layout),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def motion(scene: Scene, layout: KernelLayout) -> str:
    """The distances and times of the animation."""
    rows, columns, cell = scene.rows, scene.columns, layout.source.cell
    return MOTION.format(
        kernel_right=columns.outputs * columns.step * cell,
        kernel_down=rows.outputs * rows.step * cell,
        output_right=layout.result.width,
        output_down=layout.result.height,
        columns=columns.outputs,
        rows=rows.outputs,
        row_s=columns.outputs * scene.seconds_per_output,
        all_s=columns.outputs * rows.outputs * scene.seconds_per_output,
    )


def words(scene: Scene, layout: KernelLayout) -> Iterable[str]:
    """Title, legend and captions."""
    yield text(scene.title, MARGIN_PX, layout.title_line, TITLE_PX, extra=' font-weight="600"')
    for what, label, left in layout.legend:
        yield from legend_tile(what, left, layout.legend_line - TEXT_PX + 1)
        yield text(label, left + LEGEND_INDENT_PX, layout.legend_line, TEXT_PX, "faint")
    for caption, line in zip(scene.captions, layout.caption_lines, strict=True):
        yield text(caption, MARGIN_PX, line, TEXT_PX)


def legend_tile(what: str, left: float, top: float) -> Iterable[str]:
    """The sample of one colour."""
    yield f'<rect class="{what}" x="{left:g}" y="{top:g}" width="13" height="13"/>'
    if what == "zero":
        yield f'<circle class="dot" cx="{left + 6.5:g}" cy="{top + 6.5:g}" r="1.5"/>'


def source(scene: Scene, layout: KernelLayout) -> Iterable[str]:
    """The grid that the kernel moves over; other cells than inputs cover the kernel, which shines through."""
    grid = layout.source
    kernel = [(row, column) for row in scene.rows.read(0) for column in scene.columns.read(0)]
    yield heading("input", scene.input_size, grid, layout)
    yield tiles("input", grid, scene.cells(Kind.INPUT))
    yield moving("kernel", tiles("kernel", grid, kernel))
    yield tiles("padding", grid, scene.cells(Kind.PADDING))
    yield tiles("zero", grid, scene.cells(Kind.ZERO))
    yield dots(grid, scene.cells(Kind.ZERO))
    left, top = grid.corner(scene.rows.start, scene.columns.start)
    height, width = ((axis.taps[-1] + 1) * grid.cell for axis in (scene.rows, scene.columns))
    frame = f'<rect class="frame" x="{left:g}" y="{top:g}" width="{width}" height="{height}" rx="2"/>'
    yield moving("kernel", frame)
    yield from numbers(grid, scene.rows.numbers, scene.columns.numbers)


def result(layout: KernelLayout) -> Iterable[str]:
    """The output: tiles that fill in, row by row, and the current one."""
    grid = layout.result
    every = [(row, column) for row in range(grid.rows) for column in range(grid.columns)]
    yield heading("output", (grid.rows, grid.columns), grid, layout)
    yield tiles("empty", grid, every)
    yield f'<clipPath id="outputs">{tiles("", grid, every)}</clipPath>'
    whole = f'<rect class="done down fill-down" transform="scale(1 0)" width="{grid.width}" height="{grid.height}"/>'
    row = f'<rect class="done right fill-right" transform="scale(0 1)" width="{grid.width}" height="{grid.cell}"/>'
    rows = f'{whole}<g class="down output-down">{row}</g>'
    yield f'<g clip-path="url(#outputs)"><g transform="translate({grid.left:g} {grid.top:g})">{rows}</g></g>'
    left, top = grid.corner(0, 0)
    frame = f'<rect class="frame" x="{left:g}" y="{top:g}" width="{grid.cell}" height="{grid.cell}" rx="2"/>'
    yield moving("output", tiles("kernel", grid, [(0, 0)]) + frame)
    yield from numbers(grid, range(grid.rows), range(grid.columns))


def moving(what: str, drawing: str) -> str:
    """A drawing that makes one step to the right per output and one down per row of outputs."""
    return f'<g class="down {what}-down"><g class="right {what}-right">{drawing}</g></g>'


def tiles(kind: str, grid: CellGrid, cells: Sequence[tuple[int, int]]) -> str:
    """All cells of one kind as a single path."""
    side = grid.cell - 2 * GAP_PX
    corners = (grid.corner(*cell) for cell in cells)
    path = "".join(f"M{left + GAP_PX:g} {top + GAP_PX:g}h{side}v{side}h-{side}z" for left, top in corners)
    return f'<path class="{kind}" d="{path}"/>' if cells else ""


def dots(grid: CellGrid, cells: Sequence[tuple[int, int]]) -> str:
    """A dot for each zero."""
    half = grid.cell / 2
    corners = (grid.corner(*cell) for cell in cells)
    return "".join(f'<circle class="dot" cx="{x + half:g}" cy="{y + half:g}" r="1.5"/>' for x, y in corners)


def numbers(grid: CellGrid, rows: Sequence[int | None], columns: Sequence[int | None]) -> Iterable[str]:
    """The indices of rows and columns along the edges."""
    size, half = number_px(grid), grid.cell / 2
    for row, number in enumerate(rows):
        if number is not None:
            yield text(number, grid.left - 6, grid.corner(row, 0)[1] + half + size * 0.36, size, "row")
    for column, number in enumerate(columns):
        if number is not None:
            yield text(number, grid.corner(0, column)[0] + half, grid.top - 6, size, "column")


def heading(what: str, size: tuple[int, int], grid: CellGrid, layout: KernelLayout) -> str:
    """The title above a grid."""
    words = f"{what} {size[0]} × {size[1]}"
    return text(words, grid.left + grid.width / 2, grid.top - layout.numbers, TEXT_PX, "heading")


def arrow(layout: KernelLayout) -> Iterable[str]:
    """From the input to the output."""
    start = layout.source.left + layout.source.width + 14
    middle = layout.result.top + layout.result.height / 2
    path = f"M{start:g} {middle:g}h26m-7 -5l7 5l-7 5"
    yield f'<path d="{path}" fill="none" stroke="{COLOURS["faint"]}" stroke-width="1.5"/>'


def text(words: object, left: float, line: float, size_px: float, kind: str = "", extra: str = "") -> str:
    """One line of text."""
    style = f' class="{kind}"' if kind else ""
    return f'<text x="{left:g}" y="{line:g}" font-size="{size_px:g}"{style}{extra}>{escape(str(words))}</text>'
