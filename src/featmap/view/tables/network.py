"""Tables of a plan, a receptive field, maps and an occlusion's cost, for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from featmap.geometry.setting import axis_words
from featmap.methods.maps import FeatureMaps
from featmap.methods.occlusion_cost import OcclusionCost
from featmap.methods.plan import MAC_CONVENTION, Plan, PlanRow
from featmap.methods.receptive_field import FieldAnswer
from featmap.view.tables.parts import WIDEST, count, counted, field_texts, natural_width, shape_text, size_text, table

_PLAN_HEADINGS = (
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
"""The headings of a plan that are left out where space is short; addresses and output shapes never are."""


def plan_table(plan: Plan, width: int = WIDEST) -> RenderableType:
    """The plan as a table with its totals and conventions below."""
    return Group(plan_rows(plan, width), Text(""), Text(plan_summary(plan)))


def plan_rows(plan: Plan, width: int = WIDEST) -> RenderableType:
    """The plan's rows; entries that do not fit are left out, and their headings named."""
    made, left_out = _fitting_table(plan, width)
    hint = [Text(f"left out for lack of space: {', '.join(left_out)}", style="dim")] if left_out else []
    return Group(Text(f"{plan.model}, input {shape_text(plan.input_shape)}", style="bold"), made, *hint)


def _fitting_table(plan: Plan, width: int) -> tuple[Table, tuple[str, ...]]:
    """The table with as many entries per row as fit, and the headings left out; the rest is never cut."""
    rows = [_plan_row(row) for row in plan]
    for number in range(len(_FIRST_LEFT_OUT)):
        made = _table_without(_FIRST_LEFT_OUT[:number], rows)
        if made.width is not None and made.width <= width:
            return made, _FIRST_LEFT_OUT[:number]
    return _table_without(_FIRST_LEFT_OUT, rows), _FIRST_LEFT_OUT


def _table_without(left_out: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    kept = [at for at, (heading, _) in enumerate(_PLAN_HEADINGS) if heading not in left_out]
    made = table([_PLAN_HEADINGS[at] for at in kept], [[row[at] for at in kept] for row in rows])
    made.width = natural_width(made)
    return made


def _plan_row(row: PlanRow) -> list[str]:
    size, stride, _ = field_texts(row.receptive_field) if row.sees_image else ("none", "-", "")
    output = shape_text(row.output_shape)
    status = "?" if row.receptive_field is None else str(row.receptive_field.status)
    status = status if row.sees_image else "-"
    stages = " ".join(row.stages)
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
    for path, images in plan.joined_images.items():
        lines.append(
            f"{path} is called once for {images} images joined along the batch, which are its calls #1 to #{images}"
        )
    if plan.random_operators:
        lines.append(f"random in evaluation too: {', '.join(plan.random_operators)}")
    if plan.batch_statistics:
        lines.append(f"statistics of the batch in evaluation too: {', '.join(plan.batch_statistics)}")
    if plan.written_state:
        lines.append(f"written in evaluation: {', '.join(plan.written_state)}")
    return "\n".join(lines)


def field_text(answer: FieldAnswer) -> str:
    """A receptive field in words."""
    size, stride, offset = field_texts(answer.field)
    lines = [f"{answer.address} in an input of {shape_text(answer.input_shape)}"]
    if answer.box is not None:
        box = answer.box
        pixels = counted(box.size[0], "sample") if len(box.axes) == 1 else f"{shape_text(box.size)} pixels"
        lines.append(f"  sees {box.words} ({pixels}), {answer.status}")
    has_steps = any(steps is not None for steps in answer.field.steps)
    moves = f"no even stride: units move by {stride}" if has_steps else f"stride {stride}, offset {offset}"
    unit = "samples" if len(answer.field.axes) == 1 else "pixels"
    lines.append(f"  receptive field {size} {unit}, {moves}, {answer.field.status}")
    return "\n".join(lines)


def field_facts(answer: FieldAnswer) -> RenderableType:
    """A receptive field: what it is along each axis, rows and columns of a picture."""
    field, axes = answer.field, axis_words(len(answer.field.axes))
    names = ("size", "stride", "offset")
    values = [[_known(value) for value in getattr(field, name)] for name in names]
    if any(steps is not None for steps in field.steps):
        # Units that have no stride move by uneven steps.
        moves = field_texts(field)[1].split(" x ")
        values[1] = moves if len(moves) == len(axes) else moves * len(axes)
    rows = [[name, *each] for name, each in zip(names, values, strict=True)]
    if answer.box is not None:
        rows.insert(0, ["sees", *(f"{axis.start}:{axis.stop}" for axis in answer.box.axes)])
    certain = f"the box is {answer.status}, " if answer.box is not None else ""
    return Group(
        Text(f"{answer.address} in an input of {shape_text(answer.input_shape)}", style="bold"),
        table((("", "left"), *((words.cells, "right") for words in axes)), rows),
        Text(f"in {'samples' if len(axes) == 1 else 'pixels'}; {certain}the receptive field {field.status}"),
    )


def _known(value: float | None) -> str:
    return "-" if value is None else f"{float(value):.4g}"


_MAP_HEADINGS = (
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
    complex_ones = [maps.address for maps in every if maps.values.is_complex()]
    said = [Text(f"magnitudes, of complex values: {', '.join(complex_ones)}")] if complex_ones else []
    return Group(
        table(_MAP_HEADINGS, [_map_row(maps) for maps in every]),
        Text(""),
        *said,
        *(Text(f"images: {_listed(maps.images)}\nweights: {maps.weights_source}") for maps in every[:1]),
    )


def _map_row(maps: FeatureMaps) -> list[str]:
    summary, (_, channels, *size) = maps.summary, maps.values.shape
    values = [f"{summary[name]:.4g}" for name in ("minimum", "maximum", "mean")]
    return [maps.address, str(channels), shape_text(tuple(size)), *values, f"{summary['fraction_positive']:.1%}"]


def _listed(names: Sequence[str], shown: int = 5) -> str:
    """Names, the first of them where they are many.

    >>> _listed("abcdefg")
    'a, b, c, d, e and 2 more'
    """
    more = f" and {len(names) - shown:,} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more


_COST_HEADINGS = (
    ("layer", "left"),
    ("MACs", "right"),
    ("can change", "right"),
    ("recomputed", "right"),
    ("", "left"),
)


def cost_table(cost: OcclusionCost) -> RenderableType:
    """The recomputed part per layer of an occlusion, and the gain."""
    rows = [
        [row.address, count(row.macs), f"{row.exact:.1%}", f"{row.recomputed:.1%}", "" if row.is_regional else "whole"]
        for row in cost.layers
    ]
    ends = [Text(f"computed whole, with all that follows: {', '.join(cost.region_ends)}")] if cost.region_ends else []
    windows = f"{cost.positions} windows of {shape_text(cost.window)}"
    return Group(
        Text(f"occlusion, {windows}, stride {shape_text(cost.stride)}", style="bold"),
        table(_COST_HEADINGS, rows),
        Text(""),
        *ends,
        Text(
            f"gain over one full run per window, in multiply-adds: {cost.expected:.2f}x of at most {cost.ceiling:.2f}x"
        ),
    )
