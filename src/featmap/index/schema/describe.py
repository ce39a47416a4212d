"""The description of an index to be built: its layers with their boxes, and what fits the budgets."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from featmap.errors import InputError
from featmap.graph.graph import Node, TensorSpec
from featmap.graph.operators.table import operator_of
from featmap.graph.receptive.fields import receptive_fields
from featmap.graph.receptive.unit_boxes import UnitBoxes
from featmap.graph.rectified import rectified_values
from featmap.index.schema.budget import QUANTILE_BYTES, block_length, correlated_places, tail_lengths
from featmap.index.schema.description import Description, IndexedLayer
from featmap.index.schema.fingerprint import network_fingerprint, preprocessing_fingerprint
from featmap.index.schema.wish import Wish
from featmap.network.address import Address
from featmap.network.differing import remarks
from featmap.network.network import CapturedNetwork
from featmap.network.resolve import Place
from featmap.run.magnitudes import is_complex
from featmap.run.memory import batch_size, peak_bytes

_BATCH = 8
_UNBOUNDED = (-np.inf, np.inf)


def describe(network: CapturedNetwork, wish: Wish, planned: int = 0) -> Description:
    """The description of an index that is to be built, over `planned` images (0: unknown).

    Raises: AddressError, SettingError, InputError: the network takes no images.
    """
    wish.check()
    if not network.takes_images:
        raise InputError(f"{network.name} takes no images.", "An index is over images; ask a network of images.")
    stage = wish.stage or "a"
    full = wanted_places(network, wish.full or (), stage)
    places = wanted_places(network, wish.layers, stage)
    places = list({place.key: place for place in (*places, *full)}.values())
    shapes = [(network.resolver.channels(place.node), *network.sized.size(place.node)) for place in places]
    quantile_bytes = QUANTILE_BYTES if wish.quantile_bytes is None else wish.quantile_bytes
    correlation = wish.correlation or "auto"
    macs = sum(network.sized.macs(node.index) or 0 for node in network.graph if node.depends_on_input)
    batch = _batch(network, places)
    return Description(
        model=network.name,
        weights_source=network.weights_source,
        network=network_fingerprint(network),
        preprocessing=preprocessing_fingerprint(network),
        preprocessing_record=dict(network.preprocessing.to_dict()),
        input_shape=network.input_shape,
        layers=_layers(
            network,
            places,
            correlated_places(shapes, macs, correlation),
            tail_lengths(shapes, quantile_bytes, planned),
        ),
        stage=stage,
        top_k=wish.top_k or 100,
        table=True if wish.table is None else wish.table,
        full=tuple(place.key for place in full),
        correlation=correlation,
        quantile_bytes=quantile_bytes,
        planned=planned,
        block=wish.block or block_length(shapes, _full_bytes(network, full), batch),
        batch=batch,
        notes=tuple(text for _, text in remarks(network, [place.node for place in places])),
    )


def wanted_places(network: CapturedNetwork, layers: Sequence[str | Address] | None, stage: str) -> list[Place]:
    """What these addresses name, or every layer where none are given; `stage` where they name none and have it.

    Raises: AddressError. InputError: the network has no layer.
    """
    if layers is None:
        found = [network.resolver.stage_of(layer, stage if stage in layer.stages else None) for layer in network.layers]
    else:
        found = [_at_stage(network, Address.parse(address), stage) for address in layers]
    if not found and layers is None:
        raise InputError(f"{network.name} has no layer that makes feature maps.")
    return list({place.key: place for place in found}.values())


def _at_stage(network: CapturedNetwork, address: Address, stage: str) -> Place:
    plain = address.of_layer
    if address.stage is None:
        # For a layer its wished stage, else its last one; for any other operator its value.
        layer = next((layer for layer in network.layers if layer.name == plain.named_call), None)
        if layer is not None:
            return network.resolver.stage_of(layer, stage if stage in layer.stages else None)
    return network.place(plain)


def _batch(network: CapturedNetwork, places: Sequence[Place]) -> int:
    """How many images run at once; an index records it, because the last digits of a value may depend on it."""
    return batch_size(peak_bytes(network.sized, [place.node for place in places], keep_wanted=False), _BATCH)


def _full_bytes(network: CapturedNetwork, full: Sequence[Place]) -> int:
    """The size of the whole maps of one image."""
    sizes = (network.resolver.channels(place.node) * math.prod(network.sized.size(place.node)) for place in full)
    return 2 * sum(sizes)


def _layers(
    network: CapturedNetwork, places: Sequence[Place], correlated: Sequence[int], tails: Sequence[int]
) -> tuple[IndexedLayer, ...]:
    boxes, fields = UnitBoxes(network.sized), receptive_fields(network.sized)
    rectified = rectified_values(network.sized)
    found: list[IndexedLayer] = []
    for place, over, tail in zip(places, correlated, tails, strict=True):
        channels = network.resolver.channels(place.node)
        group, examples = boxes.alike(place.node, channels)
        spans = [boxes.of(place.node, channel) for channel in examples]
        found.append(
            IndexedLayer(
                address=place.key,
                first=found[-1].maps.stop if found else 0,
                channels=channels,
                size=network.sized.size(place.node),
                field=fields[place.node].as_dict(),
                bounds=_bounds(network.graph[place.node]) if not is_complex(network.sized, place.node) else _UNBOUNDED,
                group=group,
                boxes=tuple(map(_sides, spans)),
                correlated=over,
                tail=tail,
                input_size=network.sized.image_size,
                rectified=place.node in rectified,
                magnitudes=is_complex(network.sized, place.node),
            )
        )
    return tuple(found)


def _sides(spans: Sequence[NDArray[np.int64]]) -> dict[str, Any]:
    axes = [axis.tolist() for axis in spans]
    return {"rows": axes[0], "columns": axes[1]} if len(axes) == 2 else {"axes": axes}


def _bounds(node: Node) -> tuple[float, float]:
    """The values at which the nonlinearity saturates. A rectifier's 0 is none: those are counted as sparsity."""
    low, high = operator_of(node).saturation(node)
    return -np.inf if low is None else _rounded(low, node), np.inf if high is None else _rounded(high, node)


def _rounded(bound: float, node: Node) -> float:
    """The bound rounded to the node's type: 0.7, for instance, does not exist in bfloat16."""
    assert isinstance(node.spec, TensorSpec)
    is_half = node.spec.dtype in (torch.bfloat16, torch.float16)
    return float(torch.tensor(bound, dtype=torch.float64).to(node.spec.dtype)) if is_half else float(bound)
