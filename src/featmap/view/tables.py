"""How does a result look in a terminal and in a notebook? Rich tables, printed to text or to HTML."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from featmap.geometry import ReceptiveField
from featmap.methods.explain import Explanation, Term
from featmap.methods.plan import MAC_CONVENTION, Plan, PlanRow
from featmap.methods.receptive_field import FieldAnswer

WIDTH = 110
WIDEST = 300


def as_text(content: RenderableType, width: int = WIDTH) -> str:
    """What rich would print, without colours."""
    buffer = io.StringIO()
    Console(file=buffer, width=width, color_system=None, legacy_windows=False).print(content)
    lines = (line.rstrip() for line in buffer.getvalue().split("\n"))
    return "\n".join(lines).rstrip("\n")


def table(columns: Sequence[tuple[str, str]], rows: Sequence[Sequence[str]], title: str = "") -> Table:
    """A compact table; each column has a heading and an alignment (left, right)."""
    made = Table(box=None, pad_edge=False, header_style="bold", title=title or None, title_justify="left")
    for heading, justify in columns:
        made.add_column(heading, justify="right" if justify == "right" else "left", no_wrap=justify == "right")
    for row in rows:
        made.add_row(*(Text(cell) for cell in row))
    return made


def count(value: float | None) -> str:
    """A large whole number with a unit letter, three digits.

    >>> [count(value) for value in (896, 1792, 138357544, None)]
    ['896', '1.79K', '138M', '?']
    """
    if value is None:
        return "?"
    power = min(int(math.log10(value)) // 3, 5) if value >= 1000 else 0
    scaled = value / 1000**power
    return f"{scaled:.0f}" if power == 0 else f"{scaled:.{max(0, 2 - int(math.log10(scaled)))}f}{' KMGTP'[power]}"


def size_text(bytes_: float) -> str:
    """A number of bytes.

    >>> size_text(4616192)
    '4.4 MiB'
    """
    for unit in ("B", "KiB", "MiB", "GiB"):
        if bytes_ < 1024 or unit == "GiB":
            return f"{bytes_:.0f} {unit}" if unit == "B" else f"{bytes_:.1f} {unit}"
        bytes_ /= 1024
    raise AssertionError


def shape_text(shape: tuple[int, ...]) -> str:
    """A shape as channels x rows x columns."""
    return " x ".join(map(str, shape)) if shape else "1"


def field_texts(field: ReceptiveField) -> tuple[str, str, str]:
    """Size, stride and offset of a receptive field."""
    return _pair(field.size), _pair(field.stride), _pair(field.offset)


def _pair(values: tuple[object, object]) -> str:
    texts = ["-" if value is None else _short(value) for value in values]
    return texts[0] if texts[0] == texts[1] else " x ".join(texts)


def _short(value: object) -> str:
    return str(value) if isinstance(value, int) else f"{float(value):.4g}"  # type: ignore[arg-type]


_PLAN_COLUMNS = (
    ("layer", "left"),
    ("operator", "left"),
    ("details", "left"),
    ("output", "right"),
    ("parameters", "right"),
    ("MACs", "right"),
    ("field", "right"),
    ("stride", "right"),
    ("status", "left"),
    ("stages", "left"),
)


def plan_table(plan: Plan, width: int = WIDEST) -> RenderableType:
    """The plan as a table with its totals and conventions below; details are left out where they do not fit."""
    return Group(
        Text(f"{plan.model}, input {shape_text(plan.input_shape)}", style="bold"),
        _fitting_table(plan, width),
        Text(""),
        Text(plan_summary(plan)),
    )


def _fitting_table(plan: Plan, width: int) -> Table:
    """The widest choice of columns that fits."""
    console = Console(width=WIDEST)
    made = table(_PLAN_COLUMNS, [_plan_row(row) for row in plan])
    for left_out in ({"details"}, {"details", "status"}, {"details", "status", "stages"}):
        if console.measure(made).maximum <= width:
            return made
        kept = [at for at, (heading, _) in enumerate(_PLAN_COLUMNS) if heading not in left_out]
        made = table([_PLAN_COLUMNS[at] for at in kept], [[_plan_row(row)[at] for at in kept] for row in plan])
    return made


def _plan_row(row: PlanRow) -> list[str]:
    size, stride, _ = field_texts(row.receptive_field)
    output = shape_text(row.output_shape)
    status, stages = str(row.receptive_field.status), " ".join(row.stages)
    costs = [count(row.parameters), count(row.macs)]
    return [row.address, row.operator, row.details, output, *costs, size, stride, status, stages]


def plan_summary(plan: Plan) -> str:
    """Totals, conventions and notes, a line each."""
    totals = plan.totals
    unused = f" ({totals.unused_parameters:,} of them unused in evaluation)" if totals.unused_parameters else ""
    lines = [
        f"parameters {totals.parameters:,}{unused}",
        f"MACs {totals.macs:,} for one image: {MAC_CONVENTION}",
        f"activations {size_text(totals.activation_bytes)} for one image, at most {size_text(totals.peak_bytes)} of "
        "them alive at once",
        f"input: {plan.preprocessing}",
        f"weights: {plan.weights_source}",
    ]
    if totals.unknown_macs:
        lines.append(f"MACs unknown and left out of the sum: {', '.join(totals.unknown_macs)}")
    if plan.unknown_operators:
        lines.append(f"operators treated as reading the whole map: {', '.join(plan.unknown_operators)}")
    return "\n".join(lines)


def field_text(answer: FieldAnswer) -> str:
    """A receptive field in words."""
    size, stride, offset = field_texts(answer.field)
    lines = [f"{answer.address} in an input of {shape_text(answer.input_shape)}"]
    if answer.box is not None:
        box = answer.box
        rows, columns = f"rows {box.top}:{box.bottom}", f"columns {box.left}:{box.right}"
        lines.append(f"  sees {rows}, {columns} ({box.height} x {box.width} pixels), {answer.status}")
    lines.append(f"  receptive field {size} pixels, stride {stride}, offset {offset}, {answer.field.status}")
    return "\n".join(lines)


LARGEST_SHOWN = 8


def explanation_table(explanation: Explanation, shown: int = LARGEST_SHOWN) -> RenderableType:
    """The arithmetic of one value: the largest contributions, the rest in one row, then the way to the value."""
    largest, others = explanation.largest[:shown], explanation.largest[shown:]
    rows = [[f"channel {term.channel}", _grid(term), f"{term.sum:+.6g}"] for term in largest]
    if others:
        rows.append([f"{len(others)} other channels", "", f"{sum(term.sum for term in others):+.6g}"])
    if explanation.bias is not None:
        rows.append(["bias", "", f"{explanation.bias:+.6g}"])
    rows += [["conv", "sum of the above", f"{explanation.conv:.6g}"], *_after_conv(explanation)]
    window = explanation.window
    place = f"rows {window.top}:{window.bottom}, columns {window.left}:{window.right} of {explanation.source}"
    return Group(
        Text(f"{explanation.address} = {explanation.value:.6g}", style="bold"),
        Text(f"window over {place}; {len(explanation.terms)} input channels"),
        table((("", "left"), ("window x kernel", "left"), ("value", "right")), rows),
        Text(f"weights: {explanation.weights_source}"),
    )


def _after_conv(explanation: Explanation) -> list[list[str]]:
    rows: list[list[str]] = []
    for norm in explanation.normalizations:
        how = f"x {norm.scale:.6g} + {norm.shift:.6g}" if norm.scale is not None else "by the map's own statistics"
        rows.append([norm.operator, how, ""])
    rows.append(["z", "", f"{explanation.z:.6g}"])
    if explanation.a is not None:
        rows.append(["a", f"{explanation.nonlinearity}(z)", f"{explanation.a:.6g}"])
    return rows


def _grid(term: Term) -> str:
    """The largest products of a window, which say most about its sum."""
    products = (term.window * term.kernel).ravel()
    order = sorted(range(len(products)), key=lambda at: -abs(products[at]))[:3]
    pairs = (f"{term.window.ravel()[at]:.3g} x {term.kernel.ravel()[at]:.3g}" for at in order)
    return " + ".join(pairs) + (" + ..." if len(products) > 3 else "")
