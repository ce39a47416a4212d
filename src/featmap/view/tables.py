"""How does a result look in a terminal and in a notebook? Rich tables, printed to text or to HTML."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from featmap.geometry import ReceptiveField
from featmap.methods.contributions import Contributions
from featmap.methods.explain import Explanation, Normalization, Term
from featmap.methods.maps import FeatureMaps
from featmap.methods.occlusion_cost import OcclusionCost
from featmap.methods.plan import MAC_CONVENTION, Plan, PlanRow
from featmap.methods.receptive_field import FieldAnswer

WIDTH = 110
WIDEST = 300


def as_text(content: RenderableType, width: int = WIDTH) -> str:
    """What rich would print, without colours."""
    buffer = io.StringIO()
    Console(file=buffer, width=width, color_system=None, legacy_windows=False, emoji=False).print(content)
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


_FIRST_LEFT_OUT = ("details", "operator", "stages", "stride", "parameters", "MACs", "status", "field")
"""The columns of a plan that give way where room is short; addresses and output shapes never do."""


def plan_table(plan: Plan, width: int = WIDEST) -> RenderableType:
    """The plan as a table with its totals and conventions below."""
    return Group(plan_rows(plan, width), Text(""), Text(plan_summary(plan)))


def plan_rows(plan: Plan, width: int = WIDEST) -> RenderableType:
    """The plan's rows; columns that do not fit are left out, and named."""
    made, left_out = _fitting_table(plan, width)
    hint = [Text(f"left out for want of room: {', '.join(left_out)}", style="dim")] if left_out else []
    return Group(Text(f"{plan.model}, input {shape_text(plan.input_shape)}", style="bold"), made, *hint)


def _fitting_table(plan: Plan, width: int) -> tuple[Table, tuple[str, ...]]:
    """The table with as many columns as fit, and the columns left out; what still does not fit is not cut."""
    rows = [_plan_row(row) for row in plan]
    for number in range(len(_FIRST_LEFT_OUT)):
        made = _table_without(_FIRST_LEFT_OUT[:number], rows)
        if made.width is not None and made.width <= width:
            return made, _FIRST_LEFT_OUT[:number]
    return _table_without(_FIRST_LEFT_OUT, rows), _FIRST_LEFT_OUT


def _table_without(left_out: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    kept = [at for at, (heading, _) in enumerate(_PLAN_COLUMNS) if heading not in left_out]
    made = table([_PLAN_COLUMNS[at] for at in kept], [[row[at] for at in kept] for row in rows])
    made.width = _natural_width(made)
    return made


def _natural_width(content: Table) -> int:
    console = Console(width=WIDEST)
    return console.measure(content).maximum


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
        f"activations {size_text(totals.activation_bytes)} for one image; with the input at most "
        f"{size_text(totals.peak_bytes)} alive at once",
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


def explanation_table(explanation: Explanation, shown: int = LARGEST_SHOWN, width: int | None = None) -> RenderableType:
    """The arithmetic of one value: the largest contributions, the rest in one row, then the way to the value.

    Of each window the largest products are written out, three of them or as many as fit into the width.
    """
    for products in (3, 2, 1):
        made = table(_EXPLANATION_COLUMNS, _explanation_rows(explanation, shown, products))
        made.width = _natural_width(made)
        if width is None or made.width <= width:
            break
    window = explanation.window
    place = f"rows {window.top}:{window.bottom}, columns {window.left}:{window.right} of {explanation.source}"
    return Group(
        Text(f"{explanation.address} = {explanation.value:.6g}", style="bold"),
        Text(f"window over {place}; {_plural(len(explanation.terms), 'input channel')}"),
        made,
        Text(f"weights: {explanation.weights_source}"),
    )


_EXPLANATION_COLUMNS = (("", "left"), ("window x kernel", "left"), ("value", "right"))


def _explanation_rows(explanation: Explanation, shown: int, products: int) -> list[list[str]]:
    largest, others = explanation.largest[:shown], explanation.largest[shown:]
    rows = [[f"channel {term.channel}", _grid(term, products), f"{term.sum:+.6g}"] for term in largest]
    if others:
        name = _plural(len(others), "other channel")
        rows.append([name, "", f"{sum(term.sum for term in others):+.6g}"])
    if explanation.bias is not None:
        rows.append(["bias", "", f"{explanation.bias:+.6g}"])
    return [*rows, ["conv", "sum of the above", f"{explanation.conv:.6g}"], *_after_conv(explanation)]


def _after_conv(explanation: Explanation) -> list[list[str]]:
    rows = [[norm.operator, _affine(norm), ""] for norm in explanation.normalizations]
    rows.append(["z", "", f"{explanation.z:.6g}"])
    if explanation.a is not None:
        rows.append(["a", f"{explanation.nonlinearity}(z)", f"{explanation.a:.6g}"])
    return rows


def _affine(norm: Normalization) -> str:
    if norm.scale is None or norm.shift is None:
        return "by the map's own statistics"
    return f"x {norm.scale:.6g} {'-' if norm.shift < 0 else '+'} {abs(norm.shift):.6g}"


def _grid(term: Term, shown: int) -> str:
    """The largest products of a window, which say most about its sum."""
    products = (term.window * term.kernel).ravel()
    order = sorted(range(len(products)), key=lambda at: -abs(products[at]))[:shown]
    pairs = (f"{term.window.ravel()[at]:.3g} x {term.kernel.ravel()[at]:.3g}" for at in order)
    return " + ".join(pairs) + (" + ..." if len(products) > shown else "")


def contributions_table(contributions: Contributions, shown: int = LARGEST_SHOWN) -> RenderableType:
    """What the input maps add to a map: the largest shares, the rest in one row, the bias, and their sum."""
    shares = contributions.shares.tolist()
    sums = contributions.values.sum(dim=(1, 2)).tolist()
    order = sorted(range(len(shares)), key=lambda at: (-shares[at], at))
    rows = [[f"channel {contributions.channels[at]}", f"{shares[at]:.1%}", f"{sums[at]:+.6g}"] for at in order[:shown]]
    if others := order[shown:]:
        share, total = (sum(values[at] for at in others) for values in (shares, sums))
        rows.append([_plural(len(others), "other channel"), f"{share:.1%}", f"{total:+.6g}"])
    if contributions.bias is not None:
        rows.append(["bias", "", f"{contributions.bias * contributions.conv.numel():+.6g}"])
    rows.append(["conv", "", f"{float(contributions.conv.sum()):.6g}"])
    size = shape_text(tuple(contributions.conv.shape))
    inputs = f"{_plural(len(contributions.channels), 'input map')} of {contributions.source}"
    return Group(
        Text(f"{contributions.address}, a map of {size}, from {inputs}", style="bold"),
        table((("", "left"), ("share", "right"), ("sum", "right")), rows),
        Text("share: of all contributions by absolute value; sum: over all rows and columns"),
        Text(f"weights: {contributions.weights_source}"),
    )


_MAP_COLUMNS = (
    ("address", "left"),
    ("maps", "right"),
    ("size", "right"),
    ("minimum", "right"),
    ("maximum", "right"),
    ("mean", "right"),
    ("positive", "right"),
)


def maps_table(every: Sequence[FeatureMaps]) -> RenderableType:
    """A row for the maps of each address: how many, how large, and the range of their values over all images."""
    return Group(
        table(_MAP_COLUMNS, [_map_row(maps) for maps in every]),
        Text(""),
        *(Text(f"images: {_listed(maps.images)}\nweights: {maps.weights_source}") for maps in every[:1]),
    )


def _map_row(maps: FeatureMaps) -> list[str]:
    summary, (_, channels, rows, columns) = maps.to_json(), maps.values.shape
    values = [f"{summary[name]:.4g}" for name in ("minimum", "maximum", "mean")]
    return [maps.address, str(channels), f"{rows} x {columns}", *values, f"{summary['fraction_positive']:.1%}"]


def _listed(names: Sequence[str], shown: int = 5) -> str:
    """Names, the first of them where they are many.

    >>> _listed("abcdefg")
    'a, b, c, d, e and 2 more'
    """
    more = f" and {len(names) - shown:,} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more


def _plural(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' * (number != 1)}"


_COST_COLUMNS = (
    ("layer", "left"),
    ("MACs", "right"),
    ("can change", "right"),
    ("recomputed", "right"),
    ("", "left"),
)


def cost_table(cost: OcclusionCost) -> RenderableType:
    """What an occlusion recomputes per layer, and what that gains."""
    rows = [
        [row.address, count(row.macs), f"{row.exact:.1%}", f"{row.recomputed:.1%}", "" if row.is_regional else "whole"]
        for row in cost.layers
    ]
    windows = f"{cost.positions} windows of {cost.window[0]} x {cost.window[1]}"
    return Group(
        Text(f"occlusion, {windows}, stride {cost.stride[0]} x {cost.stride[1]}", style="bold"),
        table(_COST_COLUMNS, rows),
        Text(""),
        Text(
            f"gain over one full run per window, in multiply-adds: {cost.expected:.2f}x of at most {cost.ceiling:.2f}x"
        ),
    )
