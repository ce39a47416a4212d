"""Comparison of an index with its images: every array of a snapshot against the oracle that kept all maps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

import featmap as fm
from featmap.index.questions.distribution import quantile
from featmap.index.schema.budget import QUANTILES
from featmap.index.schema.description import IndexedLayer
from featmap.index.store.snapshot import Snapshot
from featmap.statistics.positions import chosen_places
from featmap.testing.index_oracle import IndexOracle

SHARE = 4e-6
"""Sums within an image are taken in float32: they may be off by that share of how far the map's values lie apart."""


@dataclass(frozen=True)
class Maps:
    """The values of an indexed layer, with how far apart they lie, (channel)."""

    address: str
    spread: np.ndarray
    places: int


def assert_index_is(path: str, oracle: IndexOracle) -> None:
    """Everything in the index is what the oracle says: in every digit, but for sums."""
    snapshot = Snapshot.of(path)
    assert snapshot.images == oracle.images
    assert [layer.address for layer in snapshot.description.layers] == list(oracle.maps)
    for number, layer in enumerate(snapshot.description.layers):
        values = oracle.maps[layer.address]
        assert values.shape == (oracle.images, layer.channels, *layer.size)
        maps = Maps(layer.address, np.ptp(values, axis=(0, 2, 3)).astype(np.float64), layer.places)
        if snapshot.description.table:
            _assert_table(snapshot, layer, maps, oracle)
        _assert_per_map(snapshot, layer, maps, oracle)
        _assert_strongest(snapshot, layer, oracle)
        _assert_tail(snapshot, number, layer, oracle)
        assert_correlation(snapshot, number, layer, oracle)
        if layer.address in snapshot.description.full:
            whole = snapshot.read(f"full/{number:04}")
            np.testing.assert_allclose(whole.astype(np.float32), values, rtol=1e-3, atol=1e-7)


def _assert_table(snapshot: Snapshot, layer: IndexedLayer, maps: Maps, oracle: IndexOracle) -> None:
    found = snapshot.table(slice(None), layer.maps)
    np.testing.assert_array_equal(found.maximum, oracle.maximum(maps.address))
    np.testing.assert_array_equal(found.place, oracle.place(maps.address))
    np.testing.assert_array_equal(found.positive, oracle.positive(maps.address))
    mean = oracle.mean(maps.address)
    assert (np.abs(found.mean - mean) <= SHARE * maps.spread + 1e-7 * np.abs(mean)).all()


def _assert_per_map(snapshot: Snapshot, layer: IndexedLayer, maps: Maps, oracle: IndexOracle) -> None:
    found, values = snapshot.per_map(layer.maps), oracle.maps[maps.address].astype(np.float64)
    count = oracle.images * layer.places
    np.testing.assert_array_equal(found.minimum, values.min(axis=(0, 2, 3)))
    np.testing.assert_array_equal(found.maximum, values.max(axis=(0, 2, 3)))
    np.testing.assert_array_equal(found.positive, oracle.positive(maps.address).sum(axis=0))
    np.testing.assert_array_equal(found.positive_images, (oracle.maximum(maps.address) > 0).sum(axis=0))
    mean = values.mean(axis=(0, 2, 3))
    assert (np.abs(found.mean - mean) <= SHARE * maps.spread + 1e-12 * np.abs(mean)).all()
    for channel in range(layer.channels):
        squares = oracle.squares(maps.address, channel)
        assert abs(found.squares[channel] - squares) <= SHARE * count * maps.spread[channel] ** 2
        assert found.at_bound[channel] == oracle.at_bound(maps.address, channel, layer.bounds)


def _assert_strongest(snapshot: Snapshot, layer: IndexedLayer, oracle: IndexOracle) -> None:
    found, k = snapshot.strongest(layer.maps), snapshot.description.top_k
    maximum, place = oracle.maximum(layer.address), oracle.place(layer.address)
    for channel in range(layer.channels):
        expected = oracle.strongest(layer.address, channel, k)
        nothing = [-1] * (k - len(expected))
        assert found.image[channel].tolist() == expected + nothing
        assert found.place[channel].tolist() == place[expected, channel].tolist() + nothing
        np.testing.assert_array_equal(found.value[channel][: len(expected)], maximum[expected, channel])
        assert np.isnan(found.value[channel][len(expected) :]).all()


def _assert_tail(snapshot: Snapshot, number: int, layer: IndexedLayer, oracle: IndexOracle) -> None:
    for channel in range(layer.channels):
        kept = snapshot.tail(number, channel)
        expected = oracle.largest(layer.address, channel, layer.tail)
        assert len(kept) == layer.tail
        np.testing.assert_array_equal(kept[: len(expected)], expected)
        assert np.isnan(kept[len(expected) :]).all()
        for share in QUANTILES:
            found = quantile(kept, oracle.images * layer.places, share)
            true = oracle.quantile(layer.address, channel, str(share))
            # What is not kept is not known; where as many are kept as there are values, everything is.
            assert found == true or (found is None and layer.tail < oracle.images * layer.places)


def assert_correlation(snapshot: Snapshot, number: int, layer: IndexedLayer, oracle: IndexOracle) -> None:
    """The correlations over the places that count are numpy's, and numbers for every map."""
    comoments = snapshot.comoments(number)
    assert (comoments is None) == (layer.correlated == 0)
    if comoments is None:
        return
    assert comoments.count == oracle.images * layer.correlated
    found = comoments.correlation()
    assert np.isfinite(found).all()
    choose = None if layer.correlated == layer.places else lambda every, n: chosen_places(every, layer.correlated, n)
    np.testing.assert_allclose(found, oracle.correlation(layer.address, choose), atol=1e-6)


def stages_of(net: fm.Network) -> list[str]:
    """The full addresses of every stage of every layer."""
    return [f"{layer.address}:{stage}" for layer in net.layers for stage in layer.stages]


def with_drawn_weights(module: nn.Module, seed: int) -> nn.Module:
    """The module with weights and statistics that depend on the seed alone; some maps are the same everywhere.

    Of every convolution that has a bias the first map of three is fed by nothing: 0, above or below it.
    """
    drawn = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for part in module.modules():
            for name, tensor in (*part.named_parameters(recurse=False), *part.named_buffers(recurse=False)):
                if tensor.is_floating_point():
                    values = torch.randn(tensor.shape, generator=drawn, dtype=tensor.dtype)
                    tensor.copy_(values.abs() + 0.5 if name == "running_var" else values)
            if isinstance(part, nn.Conv2d) and part.bias is not None and part.out_channels > 1:
                part.weight[0] = 0
                part.bias[0] = [0.0, 0.1, -0.3][seed % 3]
    return module
