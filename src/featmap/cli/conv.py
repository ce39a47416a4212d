"""`featmap conv`: the size and cost of one convolution."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from featmap.cli.options import parse
from featmap.cli.options.common import Fact, Json, by, count, print_facts, print_json, print_message
from featmap.view.formats.format import Content
from featmap.view.formats.table import alternatives, suffixes

if TYPE_CHECKING:
    from featmap.geometry import ConvolutionArithmetic

KERNEL_FILES = alternatives(suffixes((Content.KERNEL,)))
EXAMPLES = (
    ("A 5x5 kernel on a 32x32 image of 3 channels:", "featmap conv 32 --channels 3 --filters 6 --kernel 5"),
    ("As data:", "featmap conv 224x320 --channels 3 --filters 64 --kernel 7 --stride 2 --json"),
    ("The kernel sliding, animated:", "featmap conv 7 --channels 1 --filters 1 --kernel 3 --draw kernel.svg"),
)


def command(
    size: Annotated[str, Argument(metavar="SIZE", help="Input rows and columns: [bold]HxW[/bold] or one number.")],
    channels: Annotated[int, Option(help="Input maps.")],
    filters: Annotated[int, Option(help="Filters; each makes one feature map.")],
    kernel: Annotated[str, Option(metavar="K", help="Kernel rows and columns: [bold]3[/bold] or [bold]3x5[/bold].")],
    stride: Annotated[str, Option(metavar="S", help="Steps of the window: [bold]2[/bold] or [bold]2x1[/bold].")] = "1",
    padding: Annotated[
        str, Option(metavar="P", help="[bold]1[/bold], [bold]1x2[/bold], same, or top,left,bottom,right.")
    ] = "0",
    dilation: Annotated[str, Option(metavar="D", help="Distance of neighbouring weights.")] = "1",
    groups: Annotated[int, Option(help="Groups of channels that do not see each other.")] = 1,
    transpose: Annotated[bool, Option("--transpose", help="A transposed convolution.")] = False,
    output_padding: Annotated[str, Option(metavar="P", help="Extra rows and columns of a transposed one.")] = "0",
    draw: Annotated[
        Path | None, Option(metavar="FILE", help=f"Draw the sliding kernel, animated: {KERNEL_FILES}.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Sizes, weights and cost of one convolution, and how they are computed.

    One MAC is one multiply and add per weight and output value; biases are not counted among them.
    """
    from featmap.geometry import convolution

    layer = convolution(
        parse.size(size),
        channels=channels,
        filters=filters,
        kernel=parse.pair(kernel, "--kernel"),
        stride=parse.pair(stride, "--stride"),
        padding=parse.padding(padding),
        dilation=parse.pair(dilation, "--dilation"),
        groups=groups,
        transpose=transpose,
        output_padding=parse.pair(output_padding, "--output-padding"),
    )
    if draw is not None:
        save_picture(layer, draw)
    if as_json:
        print_json(as_document(layer))
    else:
        print_table(layer)


def as_document(layer: ConvolutionArithmetic) -> dict[str, Any]:
    """The answer as data; pairs are [rows, columns], `padding` is [[above, below], [left, right]]."""
    from featmap.geometry import size_formula

    formulas = (size_formula(rule, size) for rule, size in zip(layer.rules, layer.input_size, strict=True))
    answer = {name: getattr(layer, name) for name in NUMBERS}
    settings = {name: getattr(layer, name) for name in SETTINGS}
    return {
        **answer,
        "receptive_field": layer.receptive_field.as_dict(),
        "formula": dict(zip(("rows", "columns"), formulas, strict=True)),
        "settings": settings,
    }


NUMBERS = (
    "output_size",
    "feature_maps",
    "weights",
    "weights_without_bias",
    "products_per_value",
    "macs",
    "dense_weights",
    "dense_unit_weights",
    "dense_unit_weights_without_bias",
    "kernels",
    "weight_shape",
    "input_values",
    "output_values",
)
SETTINGS = (
    "input_size",
    "channels",
    "filters",
    "kernel",
    "stride",
    "padding",
    "dilation",
    "groups",
    "transpose",
    "output_padding",
)


def print_table(layer: ConvolutionArithmetic) -> None:
    """The answer as a table: each number with its derivation."""
    kind = "transposed convolution" if layer.transpose else "convolution"
    before, after = by(layer.input_size), by(layer.output_size)
    print_facts(
        f"{kind}: {count(layer.channels, 'map')} of {before} → {count(layer.filters, 'feature map')} of {after}",
        [*size_facts(layer), *weight_facts(layer), *field_facts(layer), dense_fact(layer)],
    )


def size_facts(layer: ConvolutionArithmetic) -> list[Fact]:
    """Rows and columns, in one line where they are computed in the same way."""
    from featmap.geometry import size_formula

    facts: list[Fact] = []
    for axis, name in enumerate(("rows", "columns")):
        rule = layer.rules[axis]
        spans = f"   kernel {rule.kernel} with dilation {rule.dilation} spans {rule.span}" if rule.dilation > 1 else ""
        formula = size_formula(rule, layer.input_size[axis]) + spans
        facts.append((name, str(layer.output_size[axis]), formula))
    return [("rows, columns", *facts[0][1:])] if facts[0][1:] == facts[1][1:] else facts


def weight_facts(layer: ConvolutionArithmetic) -> list[Fact]:
    """Kernels, weights, products and MACs."""
    shared = f" / {layer.groups} groups" if layer.groups > 1 else ""
    channels = f"{count(layer.channels, 'channel')}{shared}"
    area = by(layer.kernel)
    biases = f"{count(layer.filters, 'bias', 'biases')} ({layer.weights_without_bias:,} without)"
    products = f"{channels} × {by(layer.taps)}, and the bias"
    values, each = f"{by(layer.output_size)} × {layer.filters} values", f"{layer.products_per_value:,} products"
    if layer.transpose:
        products = f"at most: {products}"
        values = f"{by(layer.input_size)} × {layer.channels} input values"
        each = f"{layer.weights_without_bias // layer.channels:,} weights"
    return [
        ("kernels", f"{layer.kernels:,}", f"{count(layer.filters, 'filter')} × {channels}"),
        ("weights", f"{layer.weights:,}", f"{count(layer.kernels, 'kernel')} × {area} + {biases}"),
        ("products per value", f"{layer.products_per_value:,}", products),
        ("MACs", f"{layer.macs:,}", f"{values} × {each}"),
    ]


def field_facts(layer: ConvolutionArithmetic) -> list[Fact]:
    """The receptive field of one unit."""
    from featmap.view.tables.parts import field_texts

    field = layer.receptive_field
    if None in field.stride:
        return [("receptive field", by(field.size), f"units move by {field_texts(field)[1]}, {field.status}")]
    stride, offset = (by(numbers, brief=True) for numbers in (field.stride, field.offset))
    return [("receptive field", by(field.size), f"stride {stride}, first at {offset}, {field.status}")]


def dense_fact(layer: ConvolutionArithmetic) -> Fact:
    """The fully connected layer that would replace it."""
    how = f"{layer.output_values:,} units × ({count(layer.input_values, 'input')} + 1 bias)"
    return "dense layer instead", f"{layer.dense_weights:,}", how


def save_picture(layer: ConvolutionArithmetic, path: Path) -> None:
    """The sliding kernel as a file."""
    from featmap.view.kernel.file import save_kernel

    save_kernel(layer, path)
    print_message(f"wrote {path}")
