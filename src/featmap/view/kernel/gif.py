"""The sliding kernel as a GIF, for where an SVG cannot move.

The picture is that of `svg`, drawn with its own palette: the parts that do not move once, the rest again for every
output.
"""

from __future__ import annotations

import io
from collections.abc import Iterator

from PIL import Image, ImageColor, ImageDraw

from featmap.view.drawing.text import font
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

SHADES = 12
"""Steps from a text's colour to the paper's, for smooth letters."""
PALE = 0.6
"""The opacity of the paper over the kernel where it meets no input."""

Draw = ImageDraw.ImageDraw
Corners = tuple[float, float, float, float]


def kernel_gif(scene: Scene) -> bytes:
    """The whole file."""
    pictures = list(frames(scene))
    buffer = io.BytesIO()
    milliseconds = max(20, round(scene.seconds_per_output * 100) * 10)  # GIF counts hundredths of a second
    pictures[0].save(
        buffer, "GIF", save_all=True, append_images=pictures[1:], duration=milliseconds, loop=0, optimize=False
    )
    return buffer.getvalue()


def frames(scene: Scene) -> Iterator[Image.Image]:
    """One picture per output, in the order of the animation."""
    layout = lay_out(scene)
    still = Image.new("RGB", (layout.width, layout.height), COLOURS["paper"])
    draw_still(ImageDraw.Draw(still), scene, layout)
    ground = still.quantize(palette=palette(), dither=Image.Dither.NONE)
    for row, column in scene.outputs:
        picture = ground.copy()
        draw_kernel(ImageDraw.Draw(picture), scene, layout, row, column)
        yield picture
        tile(ImageDraw.Draw(ground), cell_corners(layout.result, row, column), "done")


def palette() -> Image.Image:
    """All colours that occur: those of the drawing, and the shades of smooth letters."""
    paper = ImageColor.getrgb(COLOURS["paper"])
    colours = [ImageColor.getrgb(colour) for colour in COLOURS.values()] + [ImageColor.getrgb(pale())]
    for ink in ("ink", "faint"):
        colours += [blend(ImageColor.getrgb(COLOURS[ink]), paper, step / SHADES) for step in range(1, SHADES)]
    picture = Image.new("P", (1, 1))
    picture.putpalette([level for colour in colours for level in colour[:3]])
    return picture


def blend(colour: tuple[int, ...], paper: tuple[int, ...], share: float) -> tuple[int, ...]:
    """A colour with a share of the paper's over it."""
    return tuple(round(level + (white - level) * share) for level, white in zip(colour, paper, strict=True))


def pale() -> str:
    """The colour of the kernel where it meets no input."""
    kernel, paper = (ImageColor.getrgb(COLOURS[name]) for name in ("kernel", "paper"))
    return "#{:02x}{:02x}{:02x}".format(*blend(kernel, paper, PALE))


def draw_still(draw: Draw, scene: Scene, layout: KernelLayout) -> None:
    """Everything that does not move."""
    draw.text((MARGIN_PX, layout.title_line), scene.title, COLOURS["ink"], font(TITLE_PX, bold=True), "ls")
    for kind in Kind:
        for cell in scene.cells(kind):
            tile(draw, cell_corners(layout.source, *cell), kind.name.lower())
    for cell in ((row, column) for row in range(layout.result.rows) for column in range(layout.result.columns)):
        tile(draw, cell_corners(layout.result, *cell), "empty")
    draw_words(draw, scene, layout)
    draw_numbers(draw, layout.source, scene.rows.numbers, scene.columns.numbers)
    draw_numbers(draw, layout.result, range(layout.result.rows), range(layout.result.columns))
    middle = layout.result.top + layout.result.height / 2
    start = layout.source.left + layout.source.width + 14
    draw.line([(start, middle), (start + 26, middle)], COLOURS["faint"], 2)
    draw.line([(start + 19, middle - 5), (start + 26, middle), (start + 19, middle + 5)], COLOURS["faint"], 2)


def draw_words(draw: Draw, scene: Scene, layout: KernelLayout) -> None:
    """Headings, legend and captions."""
    sizes = scene.input_size, (layout.result.rows, layout.result.columns)
    for what, size, grid in zip(("input", "output"), sizes, (layout.source, layout.result), strict=True):
        place = grid.left + grid.width / 2, grid.top - layout.numbers
        draw.text(place, f"{what} {size[0]} × {size[1]}", COLOURS["ink"], font(TEXT_PX), "ms")
    for what, label, left in layout.legend:
        top = layout.legend_line - TEXT_PX + 1
        tile(draw, (left, top, left + 13, top + 13), what)
        draw.text((left + LEGEND_INDENT_PX, layout.legend_line), label, COLOURS["faint"], font(TEXT_PX), "ls")
    for caption, line in zip(scene.captions, layout.caption_lines, strict=True):
        draw.text((MARGIN_PX, line), caption, COLOURS["ink"], font(TEXT_PX), "ls")


def draw_numbers(
    draw: Draw, grid: CellGrid, rows: tuple[int | None, ...] | range, columns: tuple[int | None, ...] | range
) -> None:
    """The indices of rows and columns along the edges."""
    letters, half = font(round(number_px(grid))), grid.cell / 2
    for row, number in enumerate(rows):
        if number is not None:
            place = grid.left - 6, grid.corner(row, 0)[1] + half
            draw.text(place, str(number), COLOURS["faint"], letters, "rm")
    for column, number in enumerate(columns):
        if number is not None:
            place = grid.corner(0, column)[0] + half, grid.top - 6
            draw.text(place, str(number), COLOURS["faint"], letters, "ms")


def draw_kernel(draw: Draw, scene: Scene, layout: KernelLayout, row: int, column: int) -> None:
    """The kernel at one stop, and the output that it makes there."""
    rows, columns = scene.rows.read(row), scene.columns.read(column)
    for cell in ((r, c) for r in rows for c in columns):
        kind = scene.kind(*cell)
        corners = cell_corners(layout.source, *cell)
        draw.rectangle(inside(corners), COLOURS["kernel"] if kind == Kind.INPUT else pale())
        if kind != Kind.INPUT:
            mark(draw, corners, kind.name.lower())
    first, last = layout.source.corner(rows[0], columns[0]), layout.source.corner(rows[-1] + 1, columns[-1] + 1)
    draw.rectangle((*first, *last), outline=COLOURS["edge"], width=2)
    tile(draw, cell_corners(layout.result, row, column), "kernel")
    draw.rectangle(cell_corners(layout.result, row, column), outline=COLOURS["edge"], width=2)


def cell_corners(grid: CellGrid, row: int, column: int) -> Corners:
    """Left, top, right and bottom of a cell."""
    return *grid.corner(row, column), *grid.corner(row + 1, column + 1)


def inside(corners: Corners) -> Corners:
    """The tile of a cell, one pixel smaller all round."""
    left, top, right, bottom = corners
    return left + 1, top + 1, right - 2, bottom - 2


def tile(draw: Draw, corners: Corners, what: str) -> None:
    """One tile by its name in the legend."""
    if what in COLOURS:
        draw.rectangle(inside(corners), COLOURS[what])
    else:
        mark(draw, corners, what)


def mark(draw: Draw, corners: Corners, what: str) -> None:
    """The line round a tile, dashed for padding, with a dot for a zero."""
    left, top, right, bottom = inside(corners)
    if what == "padding":
        for across in range(int(left), int(right) + 1, 5):
            for line in (top, bottom):
                draw.line([(across, line), (min(across + 2, right), line)], COLOURS["line"])
        for down in range(int(top), int(bottom) + 1, 5):
            for line in (left, right):
                draw.line([(line, down), (line, min(down + 2, bottom))], COLOURS["line"])
        return
    draw.rectangle((left, top, right, bottom), outline=COLOURS["light" if what == "zero" else "line"])
    if what == "zero":
        x, y = (left + right) / 2, (top + bottom) / 2
        draw.ellipse((x - 1.5, y - 1.5, x + 1.5, y + 1.5), COLOURS["line"])
