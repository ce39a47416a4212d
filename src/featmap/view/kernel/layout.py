"""The layout of the picture of a sliding kernel: pixels from the top left, for every drawing."""

from __future__ import annotations

from dataclasses import dataclass

from featmap.view.kernel.scene import Kind, Scene

MARGIN_PX = 24
BETWEEN_PX = 64
"""From the grid to the output, with the arrow between them."""
TITLE_PX, TEXT_PX, LINE_PX = 15, 12, 20
LEGEND_INDENT_PX = 19
LETTER, WIDE_LETTER = 0.56, 0.66
"""The width of a letter in its size: in a common sans-serif font, and in a wide bold one."""

COLOURS = {
    "paper": "#ffffff",
    "ink": "#1f2933",
    "faint": "#66727f",
    "input": "#d5e3f1",
    "line": "#aab7c4",
    "light": "#dbe2e9",
    "kernel": "#f6a93b",
    "edge": "#a85b00",
    "done": "#7fa9d2",
}


@dataclass(frozen=True, slots=True)
class CellGrid:
    """A grid of square cells: its top left corner, its cells and the size of one."""

    left: float
    top: float
    rows: int
    columns: int
    cell: int

    @property
    def width(self) -> int:
        """In pixels."""
        return self.columns * self.cell

    @property
    def height(self) -> int:
        """In pixels."""
        return self.rows * self.cell

    def corner(self, row: int, column: int) -> tuple[float, float]:
        """The left and top edge of a cell."""
        return self.left + column * self.cell, self.top + row * self.cell


@dataclass(frozen=True, slots=True)
class KernelLayout:
    """The positions of all parts. A legend entry is its colour, its label and its left edge."""

    width: int
    height: int
    source: CellGrid
    result: CellGrid
    numbers: float
    title_line: float
    legend_line: float
    caption_lines: tuple[float, ...]
    legend: tuple[tuple[str, str, float], ...]


def lay_out(scene: Scene) -> KernelLayout:
    """The layout of a scene; cells are as large as a handy picture allows."""
    source_cells, result_cells = (scene.rows.cells, scene.columns.cells), (scene.rows.outputs, scene.columns.outputs)
    cell = max(14, min(34, 400 // max(*source_cells, *result_cells)))
    numbers = cell * 0.5 + 14
    top = MARGIN_PX + TITLE_PX + LINE_PX + numbers
    tallest = max(scene.rows.cells, scene.rows.outputs) * cell
    source = centred(MARGIN_PX + cell * 0.7, top, tallest, *source_cells, cell)
    result = centred(source.left + source.width + BETWEEN_PX + cell * 0.7, top, tallest, *result_cells, cell)
    legend_line = top + tallest + 34
    captions = tuple(legend_line + 26 + LINE_PX * line for line in range(len(scene.captions)))
    entries = legend(scene)
    last = entries[-1][2] + LEGEND_INDENT_PX + text_px(entries[-1][1], TEXT_PX)
    title = MARGIN_PX + text_px(scene.title, TITLE_PX, WIDE_LETTER)
    right = max(
        result.left + result.width + 2, last, title, *(MARGIN_PX + text_px(line, TEXT_PX) for line in scene.captions)
    )
    size = int(right) + MARGIN_PX, int(captions[-1]) + MARGIN_PX
    return KernelLayout(*size, source, result, numbers, MARGIN_PX + TITLE_PX - 3, legend_line, captions, entries)


def centred(left: float, top: float, tallest: int, rows: int, columns: int, cell: int) -> CellGrid:
    """A grid in the middle of the height of the taller one."""
    return CellGrid(left, top + (tallest - rows * cell) / 2, rows, columns, cell)


def legend(scene: Scene) -> tuple[tuple[str, str, float], ...]:
    """The meaning of the colours that occur, from left to right."""
    entries = [(kind.name.lower(), str(kind)) for kind in Kind if scene.cells(kind)]
    placed: list[tuple[str, str, float]] = []
    left = float(MARGIN_PX)
    for what, label in [*entries, ("kernel", "kernel and its output"), ("done", "output so far")]:
        placed.append((what, label, left))
        left += LEGEND_INDENT_PX + text_px(label, TEXT_PX) + 14
    return tuple(placed)


def number_px(grid: CellGrid) -> float:
    """The size of the numbers along a grid."""
    return max(8, min(12, grid.cell * 0.45))


def text_px(text: str, size_px: int, letter: float = LETTER) -> float:
    """The approximate width of a line, whatever the font."""
    return len(text) * size_px * letter
