"""Measuring images: one pass of the network over them, each value measured as it is made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from threading import Lock

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from featmap.errors import WorkError
from featmap.images.entries import batched
from featmap.images.entry import Entry
from featmap.images.reading import ReadImage
from featmap.index.build.running import RunningPerMap
from featmap.index.schema.description import Description, IndexedLayer
from featmap.index.schema.totals import Totals, places_per_map
from featmap.network.network import CapturedNetwork
from featmap.network.randomness import random_numbers_apart
from featmap.run.as_maps import as_maps, with_one_plane
from featmap.run.batches import can_batch
from featmap.run.magnitudes import measured
from featmap.run.program.program import Program
from featmap.statistics.array_types import Floats
from featmap.statistics.comoments import CoMomentsOfMaps
from featmap.statistics.largest import LargestValues
from featmap.statistics.maps import MapStatistics, measure_into
from featmap.statistics.strongest import Strongest
from featmap.threads import InTurn

Tick = Callable[[int], None]
"""Called with the number of images done since the last call."""
Reader = Callable[[Sequence[Entry]], Iterable[ReadImage]]
"""Reads entries in their order."""


@dataclass(frozen=True, eq=False)
class ImageTable:
    """Arrays (image, map): each image's maximum, its first position, the mean, and how many values are above 0."""

    maximum: NDArray[np.float32]
    place: NDArray[np.int32]
    mean: NDArray[np.float32]
    positive: NDArray[np.int32]

    @classmethod
    def empty(cls, images: int, maps: int) -> ImageTable:
        shape = (images, maps)
        whole = (np.empty(shape, np.float32), np.empty(shape, np.int32))
        return cls(*whole, np.empty(shape, np.float32), np.empty(shape, np.int32))

    def cut(self, images: int) -> ImageTable:
        """The part of the first images."""
        return ImageTable(self.maximum[:images], self.place[:images], self.mean[:images], self.positive[:images])


@dataclass(frozen=True, eq=False)
class Block:
    """Some images, measured. `tried` counts those that were read, `skipped` are pairs of a name and the reason.

    `full` holds whole maps (image, channel, row, column) by address. `warned` holds the warnings of another process.
    """

    tried: int
    images: tuple[ReadImage, ...]
    skipped: tuple[tuple[str, str], ...]
    table: ImageTable
    totals: Totals
    full: dict[str, NDArray[np.float16]]
    warned: tuple[tuple[type[Warning], str], ...] = ()


Finish = Callable[[], Block]
"""Sums up what was measured, which takes a while, in any thread."""


class Measurer:
    """A network prepared to measure the layers of an index. Its `runner` may run batches side by side."""

    def __init__(self, network: CapturedNetwork, description: Description, device: torch.device | None = None) -> None:
        self.runner = InTurn()
        self.network = network
        self.description = description
        self.places = {layer.address: network.place(layer.address).node for layer in description.layers}
        self.layers: dict[int, list[tuple[int, IndexedLayer]]] = {}
        for number, layer in enumerate(description.layers):
            self.layers.setdefault(self.places[layer.address], []).append((number, layer))
        wanted = list(self.layers)
        self.program = Program(network.captured, network.tensors, wanted, device=device)
        shape = (description.batch, *network.input_shape)
        self.batch = description.batch if can_batch(network, self.program, wanted, shape) else 1

    def block(
        self, entries: Sequence[Entry], tried: int, read: Reader, floors: Sequence[Floats] | None = None
    ) -> Block:
        """Measures the block of these entries and sums it up; see `measured`."""
        return self.measured(entries, tried, read, floors)()

    def measured(
        self,
        entries: Sequence[Entry],
        tried: int,
        read: Reader,
        floors: Sequence[Floats] | None = None,
        tick: Tick | None = None,
    ) -> Finish:
        """Measures the block of these entries, before which `tried` others were read; its images are numbered from 0.

        `floors` are, for every layer and map, values up to which none need be kept in the tails.
        """
        broken: dict[str, str] = {}
        while True:
            part = _Part(self, len(entries), tried, floors)
            found = part.measure(read([entry for entry in entries if entry.name not in broken]), tick)
            if not found:
                break
            # Sums with a NaN or infinity are lost; the block is measured again without those images.
            broken |= found
            tick = None
        part.skipped += broken.items()
        return part.block


@dataclass(frozen=True, eq=False)
class _Found:
    """The results of a batch: the statistics of every map, and by layer the rows whose co-moments are taken."""

    first: int
    images: list[ReadImage]
    statistics: MapStatistics
    rows: dict[int, Tensor]


class _Part:
    """The sums of a block while it is measured."""

    def __init__(self, measurer: Measurer, count: int, tried: int, floors: Sequence[Floats] | None) -> None:
        layers = measurer.description.layers
        self.measurer = measurer
        self.description = measurer.description
        self.count = count
        self.tried = tried
        self.table = ImageTable.empty(count, self.description.maps)
        self.running = RunningPerMap(self.description.maps)
        self.images: list[ReadImage] = []
        self.skipped: list[tuple[str, str]] = []
        self.broken: dict[int, str] = {}
        least = [None] * len(layers) if floors is None else floors
        self.tails = [
            LargestValues(layer.channels, layer.tail, floor) for layer, floor in zip(layers, least, strict=True)
        ]
        self.comoments = [
            CoMomentsOfMaps(layer.channels, layer.correlated) if layer.correlated else None for layer in layers
        ]
        self.locks = [Lock() for _ in layers]
        self.full = {
            layer.address: np.empty((count, layer.channels, *layer.size), np.float16)
            for layer in layers
            if layer.address in self.description.full
        }

    def measure(self, images: Iterable[ReadImage], tick: Tick | None) -> dict[str, str]:
        """Takes in the images; returns the reason for each that turns out to be no numbers, by its name."""
        with random_numbers_apart():
            batches = self._numbered(batched(self._readable(images, tick), self.measurer.batch))
            for found in self.measurer.runner.each(self._measured, batches):
                self._take(found)
                if tick is not None:
                    tick(len(found.images))
        names = {at: self.images[at].entry.name for at in self.broken}
        return {names[at]: f"'{names[at]}' {reason}" for at, reason in self.broken.items()}

    def _readable(self, images: Iterable[ReadImage], tick: Tick | None) -> Iterator[ReadImage]:
        for image in images:
            if image.values is not None:
                yield image
                continue
            self.skipped.append((image.entry.name, image.problem))
            if tick is not None:
                tick(1)

    def _numbered(self, batches: Iterable[list[ReadImage]]) -> Iterator[tuple[int, list[ReadImage]]]:
        """Each batch with the number of its first image."""
        first = 0
        for batch in batches:
            yield first, batch
            first += len(batch)

    def _measured(self, numbered: tuple[int, list[ReadImage]]) -> _Found:
        """The results of one batch; other batches may be measured at the same time."""
        first, images = numbered
        measurer = self.measurer
        found = _Found(first, images, MapStatistics.empty(len(images), self.description.maps), {})
        values = torch.stack([image.values for image in images if image.values is not None])
        for node, value in measurer.program.each(values, measurer.network.other_inputs):
            maps = with_one_plane(measured(as_maps(measurer.network.sized, node, value)))
            for number, layer in measurer.layers[node]:
                self._measure_layer(found, number, layer, maps)
        here, statistics = slice(first, first + len(images)), found.statistics
        self.table.maximum[here], self.table.place[here] = statistics.maximum, statistics.place
        self.table.mean[here], self.table.positive[here] = statistics.mean, statistics.positive
        return found

    def _measure_layer(self, found: _Found, number: int, layer: IndexedLayer, maps: Tensor) -> None:
        measure_into(found.statistics, layer.first, maps, layer.bounds)
        if layer.tail:
            with self.locks[number]:
                self.tails[number].add(maps, found.statistics.maximum, layer.first)
        comoments = self.comoments[number]
        if comoments is not None:
            found.rows[number] = comoments.rows(maps, self.tried + found.first)
        if layer.address in self.full:
            self._keep_whole(layer, maps, found.first)

    def _take(self, found: _Found) -> None:
        """Adds a batch to the sums, whose last digits depend on the order of batches."""
        is_number = np.isfinite(found.statistics.mean)
        for layer in () if is_number.all() else self.description.layers:
            for at in np.flatnonzero(~is_number[:, layer.maps].all(axis=1)).tolist():
                self.broken.setdefault(found.first + at, f"gives values that are no numbers in {layer.address}.")
        self.running.add(found.statistics, is_first=found.first == 0)
        for number, rows in found.rows.items():
            comoments = self.comoments[number]
            assert comoments is not None
            comoments.add_rows(rows)
        self.images += [ReadImage(image.entry, image.digest, image.size) for image in found.images]

    def _keep_whole(self, layer: IndexedLayer, maps: Tensor, start: int) -> None:
        # An index holds float32, whatever the network computes in.
        maps = maps.float()
        halves = maps.half()
        if bool((halves.isinf() & maps.isfinite()).any()):
            raise WorkError(
                f"'{layer.address}' has values beyond {np.finfo(np.float16).max:,.0f}, more than float16 holds.",
                "Leave its whole maps out (full, --full); everything else in the index is float32.",
            )
        kept = self.full[layer.address]
        kept[start : start + len(maps)] = halves.reshape(len(maps), *kept.shape[1:]).cpu().numpy()

    def block(self) -> Block:
        """The block measured so far."""
        count = len(self.images)
        full = {address: maps[:count] for address, maps in self.full.items()}
        table = self.table.cut(count)
        totals = self._totals(table) if count else Totals.none(self.description)
        return Block(self.count, tuple(self.images), tuple(self.skipped), table, totals, full)

    def _totals(self, table: ImageTable) -> Totals:
        description, count = self.description, len(table.maximum)
        strongest = Strongest.of(table.maximum, table.place, description.top_k)
        per_map = self.running.found(table.maximum, table.positive, places_per_map(description))
        tails = tuple(tail.values() for tail in self.tails)
        comoments = tuple(None if comoments is None else comoments.found() for comoments in self.comoments)
        return Totals(count, per_map, strongest, tails, comoments)
