"""`featmap solve`: the paddings and strides that give a wanted size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from featmap.cli.options import parse
from featmap.cli.options.common import Json, answers, by, count, print_json

if TYPE_CHECKING:
    from featmap.geometry import AxisSolution, SizeSolution, TransposedWindow, Window

EXAMPLES = (
    ("Every padding and stride that halve 224:", "featmap solve 224 --output 112 --kernel 7"),
    ("The padding that keeps the size:", "featmap solve 224 --output same --kernel 3"),
    ("A transposed convolution that doubles 14:", "featmap solve 14 --output 28 --kernel 4 --transpose"),
    ("A pool that makes one value of 7:", "featmap solve 7 --output 1 --kernel 7 --pool"),
)
SHOWN = 12
"""Answers that are printed without --all."""


def command(
    size: Annotated[str, Argument(metavar="SIZE", help="Input rows and columns: [bold]HxW[/bold] or one number.")],
    output: Annotated[str, Option(metavar="SIZE", help="Wanted rows and columns, or [bold]same[/bold].")],
    kernel: Annotated[str, Option(metavar="K", help="Kernel rows and columns: [bold]3[/bold] or [bold]3x5[/bold].")],
    stride: Annotated[str | None, Option(metavar="S", help="Only this stride.", show_default="any")] = None,
    dilation: Annotated[str, Option(metavar="D", help="Distance of neighbouring weights.")] = "1",
    transpose: Annotated[bool, Option("--transpose", help="A transposed convolution.")] = False,
    pool: Annotated[bool, Option("--pool", help="A maximum or average pool.")] = False,
    ceil_mode: Annotated[bool, Option("--ceil", help="A pool in ceil mode, which rounds up.")] = False,
    show_all: Annotated[bool, Option("--all", help=f"Print all answers, not the first {SHOWN}.")] = False,
    as_json: Json = False,
) -> None:
    """Every padding and stride that give a wanted size, or why none does.

    Paddings below the kernel's span: with more, a window would cover
    only padding. Those that PyTorch's layer takes come first, of these the
    symmetric ones, then the smallest. Answers that PyTorch or TensorFlow
    have a name for show it; those that PyTorch's layer does not take are marked.

    [bold]same[/bold] wants size / stride, rounded up (transposed: size × stride),
    at stride 1 unless --stride says otherwise.
    """
    from featmap.geometry import solve_size

    numbers = parse.size(size), parse.pair(kernel, "--kernel"), parse.pair(dilation, "--dilation")
    question = AskedSizes(*numbers, transpose, pool or ceil_mode, ceil_mode)
    found = solve_size(
        question.size,
        "same" if output.strip().lower() == "same" else parse.pair(output, "--output"),
        question.kernel,
        stride=None if stride is None else parse.pair(stride, "--stride"),
        dilation=question.dilation,
        transpose=transpose,
        pool=question.pool,
        ceil_mode=ceil_mode,
    )
    if as_json:
        print_json(as_document(question, found))
    else:
        print_answers(question, found, None if show_all else SHOWN)


@dataclass(frozen=True)
class AskedSizes:
    """The settings shared by all answers; pairs are (rows, columns)."""

    size: tuple[int, int]
    kernel: tuple[int, int]
    dilation: tuple[int, int]
    transpose: bool
    pool: bool
    ceil_mode: bool

    @property
    def kind(self) -> str:
        """The operator that has the kernel."""
        if self.pool:
            return "ceil-mode pool kernel" if self.ceil_mode else "pool kernel"
        return "transposed kernel" if self.transpose else "kernel"

    def rule(self, way: AxisSolution, axis: int) -> Window | TransposedWindow:
        """The operator of an answer along one axis."""
        return way.rule(self.kernel[axis], self.dilation[axis], transpose=self.transpose, ceil_mode=self.ceil_mode)

    def output_size(self, found: SizeSolution) -> list[int]:
        """The size that was solved for."""
        firsts = found.rows[0], found.columns[0]
        return [self.rule(way, axis).output_size(self.size[axis]) for axis, way in enumerate(firsts)]


def as_document(question: AskedSizes, found: SizeSolution) -> dict[str, Any]:
    """The answer as data; `solutions` serve both axes, each of `rows` goes with each of `columns`."""
    return {
        "output_size": question.output_size(found),
        "solutions": [as_data(way) for way in found.common],
        "rows": [as_data(way) for way in found.rows],
        "columns": [as_data(way) for way in found.columns],
        "settings": asdict(question),
    }


def as_data(way: AxisSolution) -> dict[str, Any]:
    """One answer; `padding` is [before, after]."""
    strides = {"stride": way.stride, "last_stride": way.last_stride}
    names = {"conventions": list(way.conventions), "not_in_pytorch": way.not_in_pytorch or None}
    return {"padding": [way.before, way.after], **strides, "output_padding": way.output_padding, **names}


def print_answers(question: AskedSizes, found: SizeSolution, most: int | None) -> None:
    """One table if rows and columns have the same question, else one for each."""
    from rich.text import Text

    dilated = f" with dilation {by(question.dilation, brief=True)}" if max(question.dilation) > 1 else ""
    sizes = f"{by(question.size)} → {by(question.output_size(found))}"
    answers().print(Text(f"{sizes} with {question.kind} {by(question.kernel)}{dilated}", "bold"))
    if found.rows == found.columns and question.size[0] == question.size[1]:
        print_axis("rows and columns", question, 0, found.rows, most)
    else:
        print_axis("rows", question, 0, found.rows, most)
        print_axis("columns", question, 1, found.columns, most)


def print_axis(name: str, question: AskedSizes, axis: int, ways: Sequence[AxisSolution], most: int | None) -> None:
    """The answers of one axis, aligned, each with its sum and its names."""
    from rich.text import Text

    shown = ways[:most]
    reasons = list(dict.fromkeys(way.not_in_pytorch for way in shown if way.not_in_pytorch))
    cells = [cells_of(way, question, axis, reasons) for way in shown]
    widths = [max(len(row[entry]) for row in cells) for entry in range(3)]
    console = answers()
    console.print(Text(f"\n{name}: {count(len(ways), 'answer')}"))
    for setting, formula, names in cells:
        text = Text.assemble("  ", (f"{setting:<{widths[0]}}", "bold cyan"), f"   {formula:<{widths[1]}}   ", names)
        text.rstrip()
        console.print(text)
    if len(shown) < len(ways):
        console.print(Text(f"  and {len(ways) - len(shown):,} more (--all prints them)", "dim"))
    for number, reason in enumerate(reasons, 1):
        console.print(Text(f"  [{number}] {reason}", "dim"))


def cells_of(way: AxisSolution, question: AskedSizes, axis: int, reasons: Sequence[str]) -> tuple[str, str, str]:
    """An answer, its sum, and its names with the number of the reason why PyTorch does not take it."""
    from featmap.geometry import size_formula

    mark = [f"[{reasons.index(way.not_in_pytorch) + 1}]"] if way.not_in_pytorch else []
    names = " ".join([*mark, ", ".join(way.conventions)])
    return settings(way), size_formula(question.rule(way, axis), question.size[axis]), names


def settings(way: AxisSolution) -> str:
    """An answer in words.

    >>> from featmap.geometry import AxisSolution
    >>> settings(AxisSolution(1, 1, 2)), settings(AxisSolution(0, 1, 2, 1, larger=None))
    ('padding 1, stride 2', 'padding 0 before + 1 after, every stride from 2, output padding 1')
    """
    padding = str(way.before) if way.is_symmetric else f"{way.before} before + {way.after} after"
    extra = f", output padding {way.output_padding}" if way.output_padding else ""
    return f"padding {padding}, {strides(way)}{extra}"


def strides(way: AxisSolution) -> str:
    """The stride of an answer, or all of them.

    >>> from featmap.geometry import AxisSolution
    >>> strides(AxisSolution(0, 0, 1, larger=0)), strides(AxisSolution(0, 0, 1, larger=5))
    ('stride 1', 'strides 1 to 6')
    """
    if way.larger is None:
        return f"every stride from {way.stride}"
    return f"strides {way.stride} to {way.last_stride}" if way.larger else f"stride {way.stride}"
