"""A convolution as a matrix: the sparse one that maps the flattened input to the flattened output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from jaxtyping import Float64
from torch import Tensor

from featmap.errors import InputError, TooLittleMemory
from featmap.geometry import TransposedWindow, Window
from featmap.methods.shared.filters import Filters, filters_of
from featmap.methods.shared.taps import open_mesh, taps
from featmap.network.differing import note_differences
from featmap.network.layers import CapturedLayer
from featmap.network.network import CapturedNetwork
from featmap.result_array import ArrayResult
from featmap.run.memory import available_bytes

LARGEST_ENTRIES = 200_000_000
"""A matrix with more entries than this (3 GB) is refused."""


@dataclass(frozen=True, eq=False)
class LayerMatrix(ArrayResult):
    """A layer's linear part as a sparse matrix.

    `matrix` is a coalesced float64 sparse tensor (output values, input values), both flattened in the order channel,
    row, column. Entries are the weights that meet an input value; those on padding have no column. A weight that
    happens to be 0 counts as an entry: the numbers describe the structure. As an array it is dense.
    """

    address: str
    matrix: Float64[Tensor, "output input"]
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    distinct_weights: int

    @property
    def _array(self) -> Tensor:
        rows, columns = self.matrix.shape
        needed, available = 8 * rows * columns, available_bytes()
        if needed > 0.8 * available:
            problem = (
                f"The matrix of '{self.address}', {rows:,} x {columns:,}, takes {needed / 2**30:.1f} GiB as an array"
            )
            remedy = "Take the sparse tensor, .matrix, or a smaller input size: layer.as_matrix((8, 8))."
            raise TooLittleMemory(f"{problem}; {available / 2**30:.1f} GiB are available.", remedy)
        return self.matrix.to_dense()

    @property
    def entries(self) -> int:
        """How many cells of the matrix hold a weight."""
        return int(self.matrix.values().numel())

    @property
    def share_of_nonzeros(self) -> float:
        """Entries divided by all cells."""
        rows, columns = self.matrix.shape
        return self.entries / (rows * columns)

    def _data(self) -> dict[str, Any]:
        return {
            "address": self.address,
            "shape": list(self.matrix.shape),
            "input_shape": list(self.input_shape),
            "output_shape": list(self.output_shape),
            "entries": self.entries,
            "share_of_nonzeros": self.share_of_nonzeros,
            "distinct_weights": self.distinct_weights,
        }

    def __repr__(self) -> str:
        rows, columns = self.matrix.shape
        return (
            f"LayerMatrix({self.address}: {rows:,} x {columns:,}, {self.entries:,} non-zeros "
            f"({self.share_of_nonzeros:.3%}), made of {self.distinct_weights:,} distinct weights)"
        )


def layer_matrix(
    network: CapturedNetwork, layer: CapturedLayer, input_size: tuple[int, ...] | None = None
) -> LayerMatrix:
    """The layer's matrix for an input map of `input_size` rows and columns (as in the network, if not given)."""
    filters = filters_of(network, layer)
    # The matrix depends on the weights, not on what the layer reads.
    made = [index for index in network.graph[layer.producer].inputs if not network.graph[index].depends_on_input]
    note_differences(network, made)
    size = input_size or network.sized.size(filters.source)
    rules = filters.rules
    outputs = tuple(rule.output_size(count) for rule, count in zip(rules, size, strict=True))
    _check_entries(layer, filters, outputs)
    groups = filters.settings.groups
    shape_in = (filters.weight.shape[1] * groups, *size)
    shape_out = (filters.weight.shape[0], *outputs)
    matrix = _matrix(filters, rules, shape_in, shape_out)
    return LayerMatrix(f"{layer.name}:conv", matrix, shape_in, shape_out, int(filters.weight.numel()))


def _check_entries(layer: CapturedLayer, filters: Filters, outputs: tuple[int, ...]) -> None:
    entries = filters.weight.numel() * prod(outputs)
    if entries > LARGEST_ENTRIES:
        raise InputError(
            f"The matrix of '{layer.name}' would have up to {entries:,} entries; {LARGEST_ENTRIES:,} are allowed.",
            "Give a smaller input size: layer.as_matrix((8, 8)).",
        )


def _matrix(
    filters: Filters,
    rules: tuple[Window | TransposedWindow, ...],
    shape_in: tuple[int, ...],
    shape_out: tuple[int, ...],
) -> Float64[Tensor, "output input"]:
    axes = [_axis(rule, shape_in[at + 1], shape_out[at + 1]) for at, rule in enumerate(rules)]
    # Every combination of a meeting along each axis, for every pair of channels that are connected.
    meetings = [open_mesh([axis[part] for axis in axes]) for part in range(3)]
    spatial_out, spatial_in = _flat(meetings[0], shape_out[1:]), _flat(meetings[1], shape_in[1:])
    places_out, places_in = prod(shape_out[1:]), prod(shape_in[1:])
    outs: list[Tensor] = []
    ins: list[Tensor] = []
    values: list[Tensor] = []
    for channel in range(shape_out[0]):
        for at, source in enumerate(filters.inputs_of(channel)):
            outs.append((channel * places_out + spatial_out).flatten())
            ins.append((source * places_in + spatial_in).flatten())
            values.append(filters.weight[channel, at][tuple(meetings[2])].flatten())
    size = (shape_out[0] * places_out, shape_in[0] * places_in)
    # torch says of what it takes for values that it may be a list, and not of what.
    made = torch.sparse_coo_tensor  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    indices = torch.stack([torch.cat(outs), torch.cat(ins)])
    return made(indices, torch.cat(values), size, check_invariants=False).coalesce()


def _flat(places: Sequence[Tensor], size: Sequence[int]) -> Tensor:
    """The numbers of places in the order of the flattened map, from their indices along each axis."""
    flat = torch.zeros(1, dtype=torch.long)
    for at, count in zip(places, size, strict=True):
        flat = flat * count + at
    return flat


def _axis(rule: Window | TransposedWindow, size: int, outputs: int) -> tuple[Tensor, Tensor, Tensor]:
    """All meetings along an axis: output index, input index, kernel index; those on padding left out."""
    found = [
        (output, tap.source, tap.kernel)
        for output in range(outputs)
        for tap in taps(rule, output, size)
        if 0 <= tap.source < size
    ]
    table = torch.tensor(found, dtype=torch.long).reshape(-1, 3)
    return table[:, 0], table[:, 1], table[:, 2]
