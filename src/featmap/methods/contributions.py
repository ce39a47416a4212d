"""Contributions of the input maps to one feature map; with the bias they sum to stage conv."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float64
from torch import Tensor
from torch.nn import functional

from featmap.errors import AddressSyntaxError, NoSuchStage
from featmap.images.inputs import one_of
from featmap.images.listing import Images
from featmap.methods.shared.filters import Filters, check_real, filters_of, source_maps
from featmap.network.address import Address
from featmap.network.differing import note_differences
from featmap.network.layers import CapturedLayer
from featmap.network.network import CapturedNetwork
from featmap.result_array import ArrayResult
from featmap.run.as_maps import as_maps
from featmap.run.batches import run_batches


@dataclass(frozen=True, eq=False)
class Contributions(ArrayResult):
    """What the input maps contribute to one feature map at stage conv.

    `values` is a float64 tensor (input channel, row, column), `channels` the input channels in that order. Their sum
    over the input channels, plus `bias`, is `conv`, a tensor (row, column); of signals it is (position), of volumes
    (plane, row, column). `notes` say why the model's own next call
    may give others.
    """

    address: str
    source: str
    channels: tuple[int, ...]
    values: Float64[Tensor, " channel *place"]
    bias: float | None
    conv: Float64[Tensor, "*place"]
    weights_source: str
    notes: tuple[str, ...] = ()

    @property
    def _array(self) -> Tensor:
        return self.values

    @property
    def shares(self) -> Float64[Tensor, " channel"]:
        """For each input channel the share of the sum of all absolute contributions; 0 where nothing contributes."""
        sizes = self.values.abs().flatten(1).sum(dim=1)
        return sizes / sizes.sum().clamp_min(torch.finfo(torch.float64).tiny)

    def _data(self) -> dict[str, Any]:
        totals = self.values.flatten(1).sum(dim=1)
        return {
            "address": self.address,
            "input": self.source,
            "bias": self.bias,
            "contributions": [
                {"channel": channel, "share": float(share), "sum": float(total)}
                for channel, share, total in zip(self.channels, self.shares, totals, strict=True)
            ],
            "shape": list(self.conv.shape),
            "weights": self.weights_source,
            "notes": list(self.notes),
        }

    def __repr__(self) -> str:
        top = [int(at) for at in self.shares.argsort(descending=True)[:3]]
        largest = ", ".join(f"{self.channels[at]} ({self.shares[at]:.1%})" for at in top)
        return f"Contributions({self.address} from {len(self.channels)} input maps; largest: {largest})"


def contributions(network: CapturedNetwork, image: Images, address: str | Address) -> Contributions:
    """What every input map contributes to one feature map; see `featmap.Network.contributions`."""
    batch = one_of(network, image, "contributions belong to one")
    # At another size the model may have been captured again, as another graph.
    network = network.at(tuple(batch.values.shape[1:]))
    layer, channel = _layer_and_channel(network, address)
    check_real(network, layer)
    filters = filters_of(network, layer)
    nodes = [filters.source, layer.producer]
    notes = note_differences(network, nodes)
    values = run_batches(network, batch.values, nodes, fold=False, dtype=torch.float64)
    maps = {
        filters.source: source_maps(network, filters, values[filters.source]),
        layer.producer: as_maps(network.sized, layer.producer, values[layer.producer])[0],
    }
    return replace(_result(network, layer, channel, filters, maps), notes=notes)


def _layer_and_channel(network: CapturedNetwork, address: str | Address) -> tuple[CapturedLayer, int]:
    asked = Address.parse(address)
    # Contributions are those to the weighted sum, which a layer has whether it has an activation or not.
    place = network.place(replace(asked, stage="conv") if asked.stage is None else asked)
    if place.address.channel is None:
        raise AddressSyntaxError(f"'{place.address}' names no single feature map.", "Name one: LAYER/CHANNEL.")
    if place.layer is None:
        raise NoSuchStage(f"'{place.address}' belongs to no layer with kernels.", "Ask about a convolution.")
    return place.layer, place.address.channel


def _result(
    network: CapturedNetwork, layer: CapturedLayer, channel: int, filters: Filters, maps: dict[int, Tensor]
) -> Contributions:
    channels = filters.inputs_of(channel)
    parts = each_input(maps[filters.source][channels.start : channels.stop], filters, channel)
    return Contributions(
        address=f"{layer.name}:conv/{channel}",
        source=network.resolver.describe(filters.source),
        channels=tuple(channels),
        values=parts,
        bias=None if filters.bias is None else float(filters.bias[channel]),
        conv=maps[layer.producer][channel],
        weights_source=network.weights_source,
    )


_FUNCTIONS: dict[int, tuple[Callable[..., Tensor], Callable[..., Tensor]]] = {
    1: (functional.conv1d, functional.conv_transpose1d),
    2: (functional.conv2d, functional.conv_transpose2d),
    3: (functional.conv3d, functional.conv_transpose3d),
}
"""torch's convolutions, plain and transposed, by the number of axes of maps."""


def each_input(
    maps: Float64[Tensor, " channel *place"], filters: Filters, channel: int
) -> Float64[Tensor, " channel *output_place"]:
    """Each input map filtered with its own kernel of one filter, not summed."""
    kernels, settings, count = filters.weight[channel], filters.settings, maps.shape[0]
    plain, transposed = _FUNCTIONS[len(settings.kernel)]
    if settings.transposed:
        padding = [before for before, _ in settings.padding]
        return transposed(
            maps[None],
            kernels[:, None],
            None,
            settings.stride,
            padding,
            settings.output_padding,
            count,
            settings.dilation,
        )[0]
    # torch pads the last axis first.
    padded = functional.pad(maps[None], [side for pair in reversed(settings.padding) for side in pair])
    return plain(padded, kernels[:, None], None, settings.stride, 0, settings.dilation, count)[0]
