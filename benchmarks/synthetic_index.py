"""An index with made-up values, written through the real writer in the layout of a build of that size."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

import featmap as fm
from featmap.images.entries import Entry
from featmap.images.reading import ReadImage
from featmap.index.build.measure import Block, ImageTable
from featmap.index.schema.describe import describe
from featmap.index.schema.description import Description
from featmap.index.schema.totals import Totals
from featmap.index.schema.wish import Wish
from featmap.index.store.snapshot import Snapshot
from featmap.index.store.writer import Writer
from featmap.statistics.per_map import PerMap
from featmap.statistics.strongest import Strongest

MAPS = 512
LABELS = tuple(f"label {number}" for number in range(100))
_BLOCK = 8192


def synthetic_index(path: Path, images: int) -> None:
    """Maxima of one layer's maps: exponential, the places uniform, a label of a hundred for every image."""
    torch.manual_seed(0)
    net = fm.trace(nn.Sequential(nn.Conv2d(3, MAPS, 3), nn.ReLU()), (3, 16, 16))._captured
    wish = Wish(correlation="none", quantile_bytes=0, block=_BLOCK)
    Writer.begin(path, describe(net, wish, images))
    writer = Writer.of(Snapshot.of(path))
    description = writer.description
    strongest = Strongest.none(MAPS, description.top_k)
    random = np.random.default_rng(0)
    for first in range(0, images, _BLOCK):
        block = _block(description, random, first, min(_BLOCK, images - first))
        here = Strongest.of(block.table.maximum, block.table.place, description.top_k)
        strongest = strongest.merged(here.numbered_from(first))
        totals = replace(block.totals, images=first + len(block.images), strongest=strongest)
        writer.add(block, totals)
    writer.tidy()


def _block(description: Description, random: np.random.Generator, first: int, count: int) -> Block:
    places = description.layers[0].places
    maximum = random.standard_exponential((count, MAPS), np.float32)
    place = random.integers(0, places, (count, MAPS), np.int32)
    names = [f"photos/{first + at:08}.jpg" for at in range(count)]
    read = tuple(
        ReadImage(Entry(name, LABELS[(first + at) % len(LABELS)], None, f"/data/{name}"), "0" * 64, (375, 500))
        for at, name in enumerate(names)
    )
    table = ImageTable(maximum, place, maximum / 2, place)
    totals = Totals(
        count, PerMap.none(MAPS), Strongest.none(MAPS, description.top_k), (np.zeros((MAPS, 0), np.float32),), (None,)
    )
    return Block(count, read, (), table, totals, {})
