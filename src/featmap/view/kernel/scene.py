"""The scene of a sliding kernel as data, which `svg` and `gif` draw.

Every kind of convolution is shown in one way: a kernel that moves over a grid of cells and makes one output at each
stop. The grid of a convolution is its padded input. A transposed convolution is shown from its output: stride - 1 zeros
are inserted between the inputs, and the kernel, flipped, moves by one cell; its caption says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from featmap.errors import SettingError
from featmap.geometry import ConvolutionArithmetic, TransposedWindow, Window, size_formula

MOST_INPUTS = 12
MOST_CELLS = 30
"""Cells on one side of a grid that can still be told apart."""


class Kind(StrEnum):
    """The kind of a cell of the grid."""

    INPUT = "input"
    ZERO = "zero between inputs"
    PADDING = "padding"


@dataclass(frozen=True, slots=True)
class AxisScene:
    """One axis of the scene. `kinds` and `numbers` describe its cells; `numbers` has the index of each input.

    At output o the kernel is on the cells `start + o * step + tap` for each of `taps`.
    """

    kinds: tuple[Kind, ...]
    numbers: tuple[int | None, ...]
    start: int
    step: int
    taps: range
    outputs: int

    @property
    def cells(self) -> int:
        """Cells of the grid along this axis."""
        return len(self.kinds)

    def read(self, output: int) -> list[int]:
        """The cells under the kernel at one output."""
        return [self.start + output * self.step + tap for tap in self.taps]


@dataclass(frozen=True, slots=True)
class Scene:
    """A sliding kernel: two axes, and the texts above and below."""

    input_size: tuple[int, int]
    rows: AxisScene
    columns: AxisScene
    title: str
    captions: tuple[str, ...]

    @property
    def outputs(self) -> Iterator[tuple[int, int]]:
        """The stops of the kernel in the order of the animation: row by row."""
        return ((row, column) for row in range(self.rows.outputs) for column in range(self.columns.outputs))

    @property
    def seconds_per_output(self) -> float:
        """Slow enough to follow where there are few outputs; a long animation takes about half a minute."""
        return max(0.08, min(0.7, 30 / (self.rows.outputs * self.columns.outputs)))

    def kind(self, row: int, column: int) -> Kind:
        """The kind of a cell: an input only where both axes say so."""
        kinds = self.rows.kinds[row], self.columns.kinds[column]
        return max(kinds, key=list(Kind).index)

    def cells(self, kind: Kind) -> list[tuple[int, int]]:
        """All cells of one kind."""
        grid = ((row, column) for row in range(self.rows.cells) for column in range(self.columns.cells))
        return [cell for cell in grid if self.kind(*cell) == kind]


def kernel_scene(layer: ConvolutionArithmetic) -> Scene:
    """The scene of a convolution.

    Raises: SettingError: more cells than can be told apart.

    >>> from featmap.geometry import convolution
    >>> scene = kernel_scene(convolution(5, channels=1, filters=1, kernel=3, stride=2, padding=1))
    >>> scene.rows.read(0), scene.rows.read(2), scene.rows.numbers
    ([0, 1, 2], [4, 5, 6], (None, 0, 1, 2, 3, 4, None))
    """
    check_size("inputs", layer.input_size, MOST_INPUTS)
    rows, columns = (axis_scene(rule, size) for rule, size in zip(layer.rules, layer.input_size, strict=True))
    check_size("cells with padding and zeros", (rows.cells, columns.cells), MOST_CELLS)
    check_size("outputs", (rows.outputs, columns.outputs), MOST_CELLS)
    return Scene(layer.input_size, rows, columns, title(layer), captions(layer))


def check_size(what: str, size: tuple[int, int], most: int) -> None:
    """Raises: SettingError: too many to be told apart."""
    if max(size) > most:
        raise SettingError(
            f"a picture of {size[0]}x{size[1]} {what} would not be legible, the most is {most}x{most}.",
            "Draw the same kernel on a smaller input: it moves in the same way.",
        )


def axis_scene(rule: Window | TransposedWindow, size: int) -> AxisScene:
    """One axis of the scene."""
    outputs = rule.output_size(size)
    if isinstance(rule, Window):
        places, gap, start, step = range(-rule.before, size + rule.after), 1, -rule.before, rule.stride
    else:
        gap, start, step = rule.stride, rule.before - rule.span + 1, 1
        places = range(min(start, 0), max((size - 1) * gap + 1, outputs + rule.before))
    kinds = tuple(kind_of(place, size, gap) for place in places)
    inputs = (place // gap if kind == Kind.INPUT else None for place, kind in zip(places, kinds, strict=True))
    taps = range(0, rule.span, rule.dilation)
    return AxisScene(kinds, tuple(inputs), start - places.start, step, taps, outputs)


def kind_of(place: int, size: int, gap: int) -> Kind:
    """The kind of a cell, where input i is at `i * gap`."""
    if not 0 <= place <= (size - 1) * gap:
        return Kind.PADDING
    return Kind.ZERO if place % gap else Kind.INPUT


def title(layer: ConvolutionArithmetic) -> str:
    """The settings in words; those without effect are left out."""
    words = ["transposed convolution" if layer.transpose else "convolution"]
    words += [f"kernel {layer.kernel[0]} × {layer.kernel[1]}", f"stride {both(layer.stride)}"]
    if layer.padding != ((0, 0), (0, 0)):
        words.append(f"padding {sides(layer.padding)}")
    if layer.dilation != (1, 1):
        words.append(f"dilation {both(layer.dilation)}")
    if layer.output_padding != (0, 0):
        words.append(f"output padding {both(layer.output_padding)}")
    return ", ".join(words)


def both(setting: tuple[int, int]) -> str:
    """One number where rows and columns agree."""
    return str(setting[0]) if setting[0] == setting[1] else f"{setting[0]} × {setting[1]}"


def sides(padding: tuple[tuple[int, int], tuple[int, int]]) -> str:
    """The padding in as few words as possible."""
    (above, below), (left, right) = padding
    if above == below and left == right:
        return both((above, left))
    return f"{above} above, {below} below, {left} left, {right} right"


def captions(layer: ConvolutionArithmetic) -> tuple[str, ...]:
    """The sums of the output size, and how a transposed convolution is drawn."""
    rows, columns = (size_formula(rule, size) for rule, size in zip(layer.rules, layer.input_size, strict=True))
    sums = (f"rows and columns: {rows}",) if rows == columns else (f"rows: {rows}", f"columns: {columns}")
    if not layer.transpose:
        return sums
    zeros = "with zeros between the inputs, " if max(layer.stride) > 1 else ""
    return *sums, f"Seen from the output: {zeros}the kernel is turned round and moves by 1."
