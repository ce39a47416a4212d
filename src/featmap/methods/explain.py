"""The arithmetic of one value: products under the sliding window, their sums, bias, normalisation, nonlinearity.

Everything is computed in float64 from the layer's own input, so that the printed sum is the network's value.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float64
from torch import Tensor

from featmap.errors import AddressSyntaxError, NoSuchStage
from featmap.geometry import Box
from featmap.graph.operators.normalization import BatchNorm
from featmap.graph.operators.table import operator_of, printed_name
from featmap.graph.receptive.unit_box import UnitBox, unit_box
from featmap.images.inputs import one_of
from featmap.images.listing import Images
from featmap.methods.shared.filters import Filters, check_real, filters_of, source_maps
from featmap.methods.shared.taps import Tap, kernel_values, taps, window_values
from featmap.network.address import Address
from featmap.network.differing import note_differences
from featmap.network.layers import CapturedLayer
from featmap.network.network import CapturedNetwork
from featmap.network.resolve import Place
from featmap.result import Result
from featmap.run.as_maps import as_maps
from featmap.run.batches import run_batches
from featmap.run.program.constants import exact_constants

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Term:
    """What one input channel contributes: the values under the window, the kernel, and the sum of their products."""

    channel: int
    window: Float64[Numbers, "*tap"]
    kernel: Float64[Numbers, "*tap"]
    sum: float


@dataclass(frozen=True)
class NormalizationStep:
    """The normalisation between the weighted sum and z: scale and shift, `None` where they depend on other values."""

    operator: str
    scale: float | None
    shift: float | None


@dataclass(frozen=True, eq=False)
class Explanation(Result):
    """The arithmetic of one value.

    conv = the terms' sums + bias; z = conv * scale + shift; a = nonlinearity(z). `a` is `None` where the layer has no
    activation. `window` is the box of the window on the layer's input, uncut; `field` the unit's box on the image.
    """

    address: str
    source: str
    terms: tuple[Term, ...]
    bias: float | None
    conv: float
    normalizations: tuple[NormalizationStep, ...]
    z: float
    nonlinearity: str | None
    a: float | None
    window: Box
    field: UnitBox
    weights_source: str

    @property
    def value(self) -> float:
        """The value of the address's stage."""
        stage = Address.parse(self.address).stage
        return {"conv": self.conv, "z": self.z, "a": self.a if self.a is not None else self.z}[stage or "a"]

    @property
    def largest(self) -> tuple[Term, ...]:
        """The terms, largest contributions first; of equal ones the lower channel."""
        return tuple(sorted(self.terms, key=lambda term: (-abs(term.sum), term.channel)))

    def _data(self) -> dict[str, Any]:
        terms = [
            {"channel": term.channel, "window": term.window.tolist(), "kernel": term.kernel.tolist(), "sum": term.sum}
            for term in self.terms
        ]
        return {
            "address": self.address,
            "input": self.source,
            "terms": terms,
            "bias": self.bias,
            "conv": self.conv,
            "normalization": [
                {"operator": norm.operator, "scale": norm.scale, "shift": norm.shift} for norm in self.normalizations
            ],
            "z": self.z,
            "nonlinearity": self.nonlinearity,
            "a": self.a,
            "value": self.value,
            "window": self.window.as_list(),
            "box": self.field.box.as_list(),
            "status": str(self.field.status),
            "weights": self.weights_source,
        }

    def __repr__(self) -> str:
        return f"Explanation({self.address} = {self.value:.6g}, {len(self.terms)} input channels)"


def explain(network: CapturedNetwork, image: Images, unit: str | Address) -> Explanation:
    """The arithmetic of one unit's value; see `featmap.Network.explain`."""
    batch = one_of(network, image, "one value belongs to one")
    # At another size the model may have been captured again, as another graph.
    network = network.at(tuple(batch.values.shape[1:]))
    place, layer = _unit_place(network, unit)
    check_real(network, layer)
    filters = filters_of(network, layer)
    nodes = dict.fromkeys([filters.source, *layer.stages.values()])
    note_differences(network, list(nodes))
    values = run_batches(network, batch.values, list(nodes), fold=False, dtype=torch.float64)
    return _Explainer(network, layer, place, filters, values).explanation()


def _unit_place(network: CapturedNetwork, unit: str | Address) -> tuple[Place, CapturedLayer]:
    place = network.place(unit)
    if place.address.unit is None:
        raise AddressSyntaxError(
            f"'{place.address}' names no single value.", "Name a unit: LAYER:STAGE/CHANNEL@ROW,COLUMN."
        )
    if place.layer is None:
        raise NoSuchStage(
            f"'{place.address}' belongs to no layer with kernels.", "Ask about a convolution or a linear layer."
        )
    return place, place.layer


class _Explainer:
    def __init__(
        self, network: CapturedNetwork, layer: CapturedLayer, place: Place, filters: Filters, values: dict[int, Tensor]
    ) -> None:
        self.network = network
        self.layer = layer
        self.place = place
        self.filters = filters
        self.values = values
        assert place.address.channel is not None
        assert place.address.unit is not None
        self.channel: int = place.address.channel
        self.unit: tuple[int, ...] = place.address.unit

    def explanation(self) -> Explanation:
        bias = None if self.filters.bias is None else float(self.filters.bias[self.channel])
        stages = {stage: self._at(node) for stage, node in self.layer.stages.items()}
        nonlinearity = self.layer.nonlinearity
        return Explanation(
            address=str(self.place.address),
            source=self.network.resolver.describe(self.filters.source),
            terms=self._terms(),
            bias=bias,
            conv=stages["conv"],
            normalizations=self._normalizations(),
            z=stages["z"],
            nonlinearity=None if nonlinearity is None else printed_name(self.network.graph[nonlinearity]),
            a=stages.get("a"),
            window=self._window_box(),
            field=unit_box(self.network.sized, self.place.node, self.unit, self.channel),
            weights_source=self.network.weights_source,
        )

    def _at(self, node: int) -> float:
        maps = as_maps(self.network.sized, node, self.values[node])
        return float(maps[(0, self.channel, *self.unit)])

    def _input_maps(self) -> Float64[Tensor, " channel *place"]:
        return source_maps(self.network, self.filters, self.values[self.filters.source])

    def _terms(self) -> tuple[Term, ...]:
        maps = self._input_maps()
        channels = self.filters.inputs_of(self.channel)
        found = self._taps(maps)
        windows = window_values(maps[channels.start : channels.stop], found)
        kernels = kernel_values(self.filters.weight[self.channel], found)
        sums = (windows * kernels).flatten(1).sum(dim=1)
        return tuple(
            Term(channel, windows[at].numpy(), kernels[at].numpy(), float(sums[at]))
            for at, channel in enumerate(channels)
        )

    def _taps(self, maps: Float64[Tensor, " channel *place"]) -> list[tuple[Tap, ...]]:
        """The meetings of window and kernel along each axis of the maps."""
        each = zip(self.filters.rules, self.unit, maps.shape[1:], strict=True)
        return [taps(rule, at, size) for rule, at, size in each]

    def _window_box(self) -> Box:
        found = self._taps(self._input_maps())
        if not all(found):
            return Box.empty(len(found))
        return Box(*(axis[0].source for axis in found), *(axis[-1].source + 1 for axis in found))

    def _normalizations(self) -> tuple[NormalizationStep, ...]:
        return tuple(self._normalization(index) for index in self.layer.normalizations)

    def _normalization(self, index: int) -> NormalizationStep:
        node = self.network.graph[index]
        operator = operator_of(node)
        if not isinstance(operator, BatchNorm) or not operator.scales_and_shifts(self.network.graph, node):
            return NormalizationStep(printed_name(node), None, None)
        constants = exact_constants(self.network.graph, self.network.tensors)
        scale, shift = constants.scale_and_shift(node)
        return NormalizationStep(printed_name(node), float(scale[self.channel]), float(shift[self.channel]))
