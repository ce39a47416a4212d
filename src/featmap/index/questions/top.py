"""The images that excite a map most: each one's strongest unit, with exactly the pixels that it can see.

Every image counts once, by its largest value. Of equal values the earlier image comes first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featmap.errors import NoSuchChannel, NotKept, SettingError
from featmap.geometry import Box
from featmap.index.questions.chosen import ROWS_AT_ONCE, Choice, check_any, check_table
from featmap.index.schema.description import Description, IndexedLayer
from featmap.index.store.snapshot import Snapshot
from featmap.methods.shared.count import checked_channels, checked_count
from featmap.network.address import Address
from featmap.plain_data import PlainData
from featmap.result_table import TableResult

SHOWN = 9
"""The default number of images."""


@dataclass(frozen=True)
class TopExample:
    """One image's strongest unit of a map: its value, its (row, column), and the input pixels that it can see.

    `number` and `image` are the image's number and name in the index, `path` that of its file when it was indexed,
    `digest` its SHA-256 then. `field` is the uncut box, which may reach beyond the image.
    """

    number: int
    image: str
    path: str
    label: str
    value: float
    unit: tuple[int, ...]
    box: Box
    field: Box
    digest: str

    def to_dict(self) -> dict[str, PlainData]:
        """The example as plain data."""
        return {
            "image": self.image,
            "number": self.number,
            "label": self.label or None,
            "value": self.value,
            "unit": list(self.unit),
            "box": self.box.as_list(),
            "path": self.path or None,
        }


@dataclass(frozen=True, eq=False)
class TopImages(TableResult):
    """The images that excite one map most, strongest first; `images` were considered, `chosen` says which."""

    address: str
    images: int
    chosen: str
    examples: tuple[TopExample, ...]
    description: Description

    @property
    def title(self) -> str:
        """The map's address, with what is ranked where that is not the values."""
        return self.description.layer(self.address).said(self.address)

    def _data(self) -> dict[str, Any]:
        examples = [example.to_dict() for example in self.examples]
        said = {"address": self.address, **self.description.layer(self.address).numbers_of}
        return {**said, "images": self.images, "chosen": self.chosen or "all", "examples": examples}

    def rows(self) -> list[dict[str, PlainData]]:
        """One row per example."""
        return [example.to_dict() for example in self.examples]

    def __repr__(self) -> str:
        return f"TopImages({self.title}: {len(self.examples)} of {self.images} images{_among(self.chosen)})"


@dataclass(frozen=True, eq=False)
class TopSheet(TableResult):
    """The strongest images of several maps of a layer."""

    address: str
    maps: tuple[TopImages, ...]

    @property
    def title(self) -> str:
        """The layer's address, with what is ranked where that is not the values."""
        return self.maps[0].description.layer(self.address).said(self.address)

    def _data(self) -> dict[str, Any]:
        return {"address": self.address, "maps": [each.to_dict() for each in self.maps]}

    def rows(self) -> list[dict[str, PlainData]]:
        """One row per map and example."""
        return [{**row, "map": each.address} for each in self.maps for row in each.rows()]

    def __repr__(self) -> str:
        return f"TopSheet({self.title}: {len(self.maps)} maps)"


def _among(chosen: str) -> str:
    return f", {chosen}" if chosen else ""


@dataclass(frozen=True)
class Values:
    """Which maxima count: from `least` to `most`, both included; None means no bound."""

    least: float | None = None
    most: float | None = None

    @property
    def is_all(self) -> bool:
        return self.least is None and self.most is None

    def check(self) -> None:
        """Raises: SettingError: they are not numbers, or no value can be within them."""
        for name, bound in vars(self).items():
            if bound is not None and (not isinstance(bound, Real) or bound != bound):
                raise SettingError(f"{name} is {bound!r}.", "Give a number.")
        if self.least is not None and self.most is not None and self.least > self.most:
            raise SettingError(
                f"least is {self.least:g}, most is {self.most:g}: no value is within.", "Give the smaller one as least."
            )

    def words(self) -> str:
        """The bounds, '' for none."""
        parts = [f"from {self.least:g}"] if self.least is not None else []
        parts += [f"up to {self.most:g}"] if self.most is not None else []
        return f"value {' '.join(parts)}" if parts else ""

    def hold(self, values: NDArray[np.float32]) -> NDArray[np.bool_]:
        """A mask of the values within the bounds."""
        # As float64, both: a bound rounded to float32 could admit a value beyond it, and numpy 1 rounds it so.
        exact = values.astype(np.float64)
        low = -np.inf if self.least is None else self.least
        return (exact >= low) & (exact <= (np.inf if self.most is None else self.most))


def top(snapshot: Snapshot, address: str | Address, k: int | None, choice: Choice, values: Values) -> TopImages:
    """The strongest images of one map; see `featmap.Index.top`."""
    layer, channel = snapshot.description.map(address)
    return _of_map(snapshot, layer, channel, _count(snapshot, k, choice, values), choice, values)


def top_sheet(
    snapshot: Snapshot,
    address: str | Address,
    k: int | None,
    choice: Choice,
    values: Values,
    channels: Sequence[int] | None = None,
) -> TopSheet:
    """The strongest images of several maps of a layer; see `featmap.Index.top`."""
    layer = snapshot.description.layer(address)
    wanted = range(layer.channels) if channels is None else checked_channels(channels)
    for channel in wanted:
        layer.check_channel(channel)
    if not len(wanted):
        raise NoSuchChannel("No map is asked for.", f"Ask for 0 to {layer.channels - 1}.")
    count = _count(snapshot, k, choice, values)
    maps = tuple(_of_map(snapshot, layer, channel, count, choice, values) for channel in wanted)
    return TopSheet(layer.address, maps)


def _count(snapshot: Snapshot, k: int | None, choice: Choice, values: Values) -> int:
    """How many images of a map are shown; by default as many as were kept, at most `SHOWN`."""
    values.check()
    check_any(snapshot)
    if k is not None:
        return checked_count(k)
    return min(SHOWN, snapshot.description.top_k) if choice.is_all and values.is_all else SHOWN


def _of_map(snapshot: Snapshot, layer: IndexedLayer, channel: int, k: int, choice: Choice, values: Values) -> TopImages:
    column = layer.first + channel
    if choice.is_all and values.is_all:
        images, found = snapshot.images, _kept(snapshot, column, k)
    else:
        images, found = _filtered(snapshot, column, k, choice, values)
    words = ", ".join(filter(None, (choice.words(), values.words())))
    examples = _examples(snapshot, layer, channel, found)
    return TopImages(f"{layer.address}/{channel}", images, words, examples, snapshot.description)


_Found = tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int32]]
"""Numbers of images, values, positions."""


def _kept(snapshot: Snapshot, column: int, k: int) -> _Found:
    kept = snapshot.description.top_k
    if k > kept:
        remedy = f"Ask for at most {kept}, or build the index with top_k={k} (--top-k {k})."
        if snapshot.description.table:
            remedy += " With a filter, such as least=0 (--least 0), the table of all images is searched, for any k."
        raise NotKept(f"k is {k}; '{snapshot.path}' keeps the {kept} strongest images of each map.", remedy)
    strongest = snapshot.strongest(slice(column, column + 1))
    there = np.flatnonzero(strongest.image[0] >= 0)[:k]
    return strongest.image[0, there], strongest.value[0, there], strongest.place[0, there]


def _filtered(snapshot: Snapshot, column: int, k: int, choice: Choice, values: Values) -> tuple[int, _Found]:
    check_table(snapshot, "a filter")
    numbers = choice.numbers(snapshot)
    best, maxima, considered = np.zeros(0, np.int64), np.zeros(0, np.float32), 0
    for first in range(0, snapshot.images, ROWS_AT_ONCE):
        here = numbers[(numbers >= first) & (numbers < first + ROWS_AT_ONCE)]
        if not len(here):
            continue
        column_values = snapshot.read("table/maximum", (slice(first, first + ROWS_AT_ONCE), column))[here - first]
        passing = values.hold(column_values)
        considered += int(passing.sum())
        best = np.concatenate([best, here[passing]])
        maxima = np.concatenate([maxima, column_values[passing]])
        order = _strongest_first(maxima, k)
        best, maxima = best[order], maxima[order]
    places = [int(snapshot.read("table/place", (int(number), column))) for number in best]
    return considered, (best, maxima, np.array(places, np.int32))


def _strongest_first(values: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    """The positions of the k largest values, largest first; of equal ones the first."""
    if len(values) > k:
        least = np.partition(values, len(values) - k)[len(values) - k]
        candidates = np.flatnonzero(values >= least)
    else:
        candidates = np.arange(len(values))
    return candidates[np.argsort(-values[candidates], kind="stable")[:k]]


def _examples(snapshot: Snapshot, layer: IndexedLayer, channel: int, found: _Found) -> tuple[TopExample, ...]:
    numbers, values, places = found
    names, paths, digests = (snapshot.texts(f"image/{what}", numbers) for what in ("name", "path", "digest"))
    labels = snapshot.numbers("image/label", numbers)
    examples: list[TopExample] = []
    for at, number in enumerate(numbers.tolist()):
        unit = layer.unit(int(places[at]))
        box, field = layer.box(channel, unit), layer.field_box(channel, unit)
        label = snapshot.labels[labels[at]] if labels[at] >= 0 else ""
        examples.append(
            TopExample(number, names[at], paths[at], label, float(values[at]), unit, box, field, digests[at])
        )
    return tuple(examples)
