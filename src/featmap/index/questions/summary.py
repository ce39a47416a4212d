"""The content of an index: network, layers, images, labels, and the images that could not be read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from featmap.index.questions.chosen import names
from featmap.index.schema.description import Description
from featmap.index.store.snapshot import Snapshot
from featmap.result import Result

SHOWN = 10


@dataclass(frozen=True)
class IndexSummary(Result):
    """An index in short. `labels` are the numbers of images by label, `names` the first images' names, `skipped` the
    images that could not be read, each with the reason."""

    path: str
    description: Description
    images: int
    blocks: int
    labels: dict[str, int]
    names: tuple[str, ...]
    skipped: tuple[tuple[str, str], ...]

    def _data(self) -> dict[str, Any]:
        whole = self.description
        return {
            "index": self.path,
            "model": whole.model,
            "weights": whole.weights_source,
            "network_fingerprint": whole.network,
            "preprocessing": whole.preprocess.describe(),
            "preprocessing_fingerprint": whole.preprocessing,
            "input_shape": list(whole.input_shape),
            "featmap": whole.version,
            "notes": list(whole.notes),
            "images": self.images,
            "blocks": self.blocks,
            "block": whole.block,
            "top_k": whole.top_k,
            "table": whole.table,
            "labels": self.labels,
            "first_names": list(self.names),
            "skipped": [{"name": name, "reason": reason} for name, reason in self.skipped],
            "layers": [
                {
                    "address": layer.address,
                    **layer.numbers_of,
                    "maps": layer.channels,
                    "size": list(layer.size),
                    "receptive_field": layer.field,
                    "correlated_places": layer.correlated,
                    "largest_values": layer.tail,
                    "full": layer.address in whole.full,
                }
                for layer in whole.layers
            ],
        }

    def __repr__(self) -> str:
        return f"IndexSummary({self.path}: {self.description.model}, {self.images} images)"


def summary(snapshot: Snapshot) -> IndexSummary:
    """An index in short."""
    numbers = snapshot.read("image/label")
    counts = np.bincount(numbers[numbers >= 0], minlength=len(snapshot.labels))
    return IndexSummary(
        snapshot.path,
        snapshot.description,
        snapshot.images,
        snapshot.length("block/images"),
        {label: int(count) for label, count in zip(snapshot.labels, counts, strict=True)},
        tuple(str(name) for name in snapshot.read("image/name", slice(0, SHOWN))),
        _skipped(snapshot),
    )


def _skipped(snapshot: Snapshot) -> tuple[tuple[str, str], ...]:
    """The images that could not be read, without those that a later build could."""
    pairs = zip(snapshot.read("skipped/name"), snapshot.read("skipped/reason"), strict=True)
    skipped = {str(name): str(reason) for name, reason in pairs}
    for _, name in names(snapshot) if skipped else ():
        skipped.pop(name, None)
    return tuple(skipped.items())
