"""The arithmetic of one value: products under the sliding window, their sums, bias, normalisation, nonlinearity.

Everything is computed in float64 from the layer's own input, so that the printed sum is the network's value.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from featmap.errors import AddressSyntaxError, NoSuchStage
from featmap.geometry import Box
from featmap.graph.operators.table import operator_of, printed_name
from featmap.graph.receptive.unit_box import UnitBox, unit_box
from featmap.images.inputs import one_of
from featmap.images.listing import Images
from featmap.methods.shared.filters import Filters, check_real, filters_of, source_maps
from featmap.methods.shared.norm_step import NormalizationStep, norm_step
from featmap.methods.shared.operand_terms import (
    OperandTerms,
    Term,
    is_sum_of_operands,
    operand_terms,
    operands_of,
)
from featmap.methods.shared.taps import Tap, kernel_values, taps, window_values
from featmap.network.address import Address
from featmap.network.differing import note_differences
from featmap.network.network import CapturedNetwork
from featmap.network.resolve import Place
from featmap.result import Result
from featmap.run.as_maps import as_maps
from featmap.run.batches import run_batches
from featmap.run.magnitudes import is_complex


@dataclass(frozen=True, eq=False)
class Explanation(Result):
    """The arithmetic of one value.

    `total` = the terms' sums + bias, which is `conv` where these are products of a convolution or linear layer, else
    conv is `None`; z = total * scale + shift; a = nonlinearity(z). `a` is `None` where the layer has no activation. The
    kernels of a sum, a concatenation, a pool or a resize are what each value counts: 1 or a factor, 1 / count, 1 at the
    maximum. `window` is the box of the window on the layer's input, uncut; `field` the unit's box on the image.
    """

    address: str
    source: str
    terms: tuple[Term, ...]
    bias: float | None
    conv: float | None
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
        if stage == "conv":
            return self.total
        return self.z if stage == "z" or self.a is None else self.a

    @property
    def total(self) -> float:
        """The sum of the terms and the bias, before any normalisation."""
        return self.conv if self.conv is not None else math.fsum(term.sum for term in self.terms) + (self.bias or 0.0)

    @property
    def largest(self) -> tuple[Term, ...]:
        """The terms, largest contributions first; of equal ones the lower channel."""
        return tuple(sorted(self.terms, key=lambda term: (-abs(term.sum), term.channel)))

    def _data(self) -> dict[str, Any]:
        terms = [
            {
                **({"input": term.source} if term.source else {}),
                "channel": term.channel,
                "window": term.window.tolist(),
                "kernel": term.kernel.tolist(),
                "sum": term.sum,
            }
            for term in self.terms
        ]
        return {
            "address": self.address,
            "input": self.source,
            "terms": terms,
            "bias": self.bias,
            "conv": self.conv,
            "normalization": [
                {
                    "operator": norm.operator,
                    "scale": norm.scale,
                    "shift": norm.shift,
                    "mean": norm.mean,
                    "variance": norm.variance,
                }
                for norm in self.normalizations
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
        count = f"{len(self.terms)} {'input channels' if self.conv is not None else 'terms'}"
        return f"Explanation({self.address} = {self.value:.6g}, {count})"


def explain(network: CapturedNetwork, image: Images, unit: str | Address) -> Explanation:
    """The arithmetic of one unit's value; see `featmap.Network.explain`."""
    batch = one_of(network, image, "one value belongs to one")
    # At another size the model may have been captured again, as another graph.
    network = network.at(tuple(batch.values.shape[1:]))
    place = network.place(unit)
    if place.address.unit is None:
        raise AddressSyntaxError(
            f"'{place.address}' names no single value.", "Name a unit: LAYER:STAGE/CHANNEL@ROW,COLUMN."
        )
    asked = _Asked.of(network, place)
    nodes = list(dict.fromkeys([*asked.read, *asked.stages.values(), *asked.normalizations]))
    note_differences(network, nodes)
    values = run_batches(network, batch.values, nodes, fold=False, dtype=torch.float64)
    return _Explainer(network, place, asked, values).explanation()


@dataclass(frozen=True)
class _Asked:
    """What is taken apart: the node that sums, the values that it reads, and what follows up to the activation."""

    producer: int
    read: tuple[int, ...]
    filters: Filters | None
    stages: dict[str, int]
    normalizations: tuple[int, ...]
    nonlinearity: int | None

    @staticmethod
    def of(network: CapturedNetwork, place: Place) -> _Asked:
        """Raises: NoSuchStage: what cannot be taken apart."""
        layer = place.layer
        if layer is not None:
            check_real(network, layer)
        producer = layer.producer if layer is not None else place.node
        operator = operator_of(network.graph[producer])
        stages = layer.stages if layer is not None else {"z": place.node}
        norms = layer.normalizations if layer is not None else ()
        nonlinearity = layer.nonlinearity if layer is not None else None
        if layer is not None and layer.kind in ("convolution", "linear"):
            filters = filters_of(network, layer)
            return _Asked(producer, (filters.source,), filters, stages, norms, nonlinearity)
        read = tuple(operands_of(network, producer))
        if operator.is_normalization and len(read) == 1 and operator.joins_positions is False:
            return _Asked(producer, read, None, stages, (producer, *norms), nonlinearity)
        if not is_sum_of_operands(operator) or is_complex(network.sized, producer):
            raise NoSuchStage(
                f"'{place.address}' is not a sum but a value of {printed_name(network.graph[producer])}.",
                "Ask about a convolution, a linear layer, a sum, a concatenation, a pool or a normalisation.",
            )
        return _Asked(producer, read, None, stages, norms, nonlinearity)


class _Explainer:
    def __init__(self, network: CapturedNetwork, place: Place, asked: _Asked, values: dict[int, Tensor]) -> None:
        self.network = network
        self.place = place
        self.asked = asked
        self.values = values
        assert place.address.channel is not None
        assert place.address.unit is not None
        self.channel: int = place.address.channel
        self.unit: tuple[int, ...] = place.address.unit

    def explanation(self) -> Explanation:
        stages = {stage: self._at(node) for stage, node in self.asked.stages.items()}
        nonlinearity = self.asked.nonlinearity
        found = self._summed()
        return Explanation(
            address=str(self.place.address),
            source=found.source,
            terms=found.terms,
            bias=found.constant,
            conv=stages.get("conv"),
            normalizations=tuple(map(self._normalization, self.asked.normalizations)),
            z=stages["z"] if "z" in stages else stages["a"],
            nonlinearity=None if nonlinearity is None else printed_name(self.network.graph[nonlinearity]),
            a=None if nonlinearity is None else stages["a"],
            window=found.window,
            field=unit_box(self.network.sized, self.place.node, self.unit, self.channel),
            weights_source=self.network.weights_source,
        )

    def _at(self, node: int) -> float:
        maps = as_maps(self.network.sized, node, self.values[node])
        return float(maps[(0, self.channel, *self.unit)])

    def _summed(self) -> OperandTerms:
        if self.asked.filters is not None:
            return self._filtered(self.asked.filters)
        if self.asked.producer in self.asked.normalizations:
            return self._normalized()
        return operand_terms(self.network, self.asked.producer, self.values, self.channel, self.unit)

    def _filtered(self, filters: Filters) -> OperandTerms:
        """The terms of a convolution or linear layer, one per input channel."""
        maps = source_maps(self.network, filters, self.values[filters.source])
        channels, found = filters.inputs_of(self.channel), self._taps(filters, maps)
        windows = window_values(maps[channels.start : channels.stop], found)
        kernels = kernel_values(filters.weight[self.channel], found)
        sums = (windows * kernels).flatten(1).sum(dim=1)
        terms = tuple(
            Term(channel, windows[at].numpy(), kernels[at].numpy(), float(sums[at]))
            for at, channel in enumerate(channels)
        )
        bias = None if filters.bias is None else float(filters.bias[self.channel])
        window = Box.empty(len(found))
        if all(found):
            window = Box(*(axis[0].source for axis in found), *(axis[-1].source + 1 for axis in found))
        return OperandTerms(self.network.resolver.describe(filters.source), terms, bias, window)

    def _taps(self, filters: Filters, maps: Float64[Tensor, " channel *place"]) -> list[tuple[Tap, ...]]:
        """The meetings of window and kernel along each axis of the maps."""
        each = zip(filters.rules, self.unit, maps.shape[1:], strict=True)
        return [taps(rule, at, size) for rule, at, size in each]

    def _normalized(self) -> OperandTerms:
        """The value that a normalisation of its own reads, before anything is done to it."""
        source = self.asked.read[0]
        value = as_maps(self.network.sized, source, self.values[source])[(0, self.channel, *self.unit)]
        one = np.ones((1,) * len(self.unit))
        term = Term(self.channel, one * float(value), one, float(value))
        return OperandTerms(self.network.resolver.describe(source), (term,), None, Box.at(self.unit))

    def _normalization(self, index: int) -> NormalizationStep:
        (source,) = operands_of(self.network, index)[:1]
        return norm_step(self.network, index, self.values.get(source), self.channel, self.unit)
