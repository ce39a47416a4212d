"""Sheets of a layer: for every map the images that excite it most, each cropped to what the strongest unit can see,
beside that unit's projection, as in the figures of Zeiler and Fergus (2014).

Images are read one by one, twice: once to find the strongest units, once to project them. Projections are kept in
a temporary file, so memory does not grow with their number.
"""

from __future__ import annotations

import mmap
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float32
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from featmap.errors import AddressError, ImageError, ImagesNeeded, InputError, NoSuchChannel, OutputError
from featmap.geometry import Box
from featmap.geometry.place import place_of
from featmap.images.inputs import Inputs
from featmap.images.listing import Images
from featmap.methods.project import Asked, check_shows_images
from featmap.methods.shared.count import checked_channels, checked_count
from featmap.methods.shared.projection import ProjectionQuestion
from featmap.network.address import Address
from featmap.network.differing import remarks
from featmap.network.network import CapturedNetwork
from featmap.network.randomness import random_numbers_apart
from featmap.plain_data import PlainData
from featmap.result import Result
from featmap.run.batches import Progress
from featmap.run.execution import Execution
from featmap.run.magnitudes import MAGNITUDES, VALUES, directions, is_complex, measured
from featmap.run.projection import Unit, on_box


@dataclass(frozen=True, eq=False)
class Example:
    """One image's strongest unit of a map: its value, what it sees of the image, and its projection.

    `values` (channel, row, column) are the projection on `box`, the part of `field` inside the image; `picture` is the
    whole image as the network sees it.
    """

    image: str
    value: float
    unit: tuple[int, ...]
    box: Box
    field: Box
    picture: Image.Image | None
    values: Float32[NDArray[np.float32], " channel *place"]

    @property
    def crop(self) -> Image.Image:
        """What the unit can see of the image. Raises: OutputError: it is a signal or a volume."""
        if self.picture is None:
            raise OutputError(f"'{self.image}' is not a picture.", "Cut `box` out of the signal or volume.")
        return self.picture.crop((self.box.left, self.box.top, self.box.right, self.box.bottom))

    def to_dict(self) -> dict[str, PlainData]:
        """The example as plain data."""
        return {
            "image": self.image,
            "value": self.value,
            "unit": list(self.unit),
            "box": self.box.as_list(),
            "field": self.field.as_list(),
        }


@dataclass(frozen=True, eq=False)
class Sheet(Result):
    """The strongest examples of some maps of a layer, strongest first. `examples` by channel.

    An image on which a map is 0 everywhere does not excite it, and is not an example. `skipped` are the pictures in a
    folder that could not be read, each with the reason; `images` counts the others. `through_gradient` and
    `own_gradients` are those of its projections. `notes` say why the model's own next calls may give other examples.
    `numbers_of` says what the values are: of complex maps "magnitudes".
    """

    address: str
    question: ProjectionQuestion
    images: int
    k: int
    examples: Mapping[int, tuple[Example, ...]]
    through_gradient: tuple[str, ...]
    weights_source: str
    skipped: tuple[tuple[str, str], ...] = ()
    own_gradients: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    numbers_of: str = VALUES

    @property
    def title(self) -> str:
        """The address, with what is ranked where that is not the values."""
        return f"{self.numbers_of} of {self.address}" if self.numbers_of != VALUES else self.address

    def _data(self) -> dict[str, Any]:
        return {
            "address": self.address,
            **({"numbers_of": self.numbers_of} if self.numbers_of != VALUES else {}),
            "images": self.images,
            "k": self.k,
            "rule": self.question.rule,
            "start": self.question.start,
            "norm": self.question.norm,
            "through_gradient": list(self.through_gradient),
            "own_gradients": list(self.own_gradients),
            "maps": [
                {"channel": channel, "examples": [example.to_dict() for example in examples]}
                for channel, examples in self.examples.items()
            ],
            "weights": self.weights_source,
            "skipped": [{"name": name, "reason": reason} for name, reason in self.skipped],
            "notes": list(self.notes),
        }

    def __repr__(self) -> str:
        return (
            f"Sheet({self.title}: maps {len(self.examples)}, images {self.images}, the strongest {self.k} of each "
            f"map, {self.question.rule}; weights: {self.weights_source})"
        )


@dataclass(frozen=True)
class _Found:
    """A unit that is among the strongest of its map."""

    image: int
    unit: Unit
    value: float


def sheet(
    network: CapturedNetwork,
    images: Images | None,
    layer: str | Address,
    question: ProjectionQuestion,
    channels: Sequence[int] | None = None,
    k: int = 9,
    *,
    execution: Execution | None = None,
    progress: Progress | None = None,
) -> Sheet:
    """The sheet of a layer; see `featmap.Network.sheet`."""
    if images is None:
        raise ImagesNeeded(
            f"The maps of '{layer}' respond to something only where there are images.",
            "Give images: a folder, a list of paths, or a float tensor (image, channel, row, column).",
        )
    k = checked_count(k)
    check_shows_images(network, "Sheets")
    work = _Sheet(network, Inputs(network, images), layer, question, channels, execution or Execution())
    with random_numbers_apart():
        return work.made(k, progress)


class _Sheet:
    def __init__(
        self,
        network: CapturedNetwork,
        images: Inputs,
        layer: str | Address,
        question: ProjectionQuestion,
        channels: Sequence[int] | None,
        execution: Execution,
    ) -> None:
        self.images = images
        self.skipped: dict[int, tuple[str, str]] = {}
        # The first image decides the size of all.
        size = self._first_size()
        self.network = network.at(size)
        self.size = size
        self.place = self.network.place(layer)
        address = self.place.address
        if address.unit is not None or (address.channel is not None and channels is not None):
            raise AddressError(f"A sheet is of a layer; '{address}' says more.", f"Ask for {address.of_layer}.")
        if address.channel is not None:
            channels = [address.channel]
        self.key = self.place.key
        self.channels = self._checked(channels)
        self.question = question
        self.asked = Asked(self.network, question, execution)
        self.projector = self.asked.projector(self.place.node)

    def _first_size(self) -> tuple[int, ...]:
        """The size of the first image that can be read. Raises: ImageError."""
        first: ImageError | None = None
        for number, entry in enumerate(self.images.entries):
            try:
                return tuple(self.images[number].values.shape[1:])
            except ImageError as error:
                first = first or error
                if not entry.is_found:
                    raise
        assert first is not None
        raise first

    def _checked(self, channels: Sequence[int] | None) -> list[int]:
        count = self.network.resolver.channels(self.place.node)
        if channels is None:
            return list(range(count))
        asked = checked_channels(channels)
        wrong = [channel for channel in asked if not 0 <= channel < count]
        if wrong or not asked:
            problem = f"'{self.key}' has no map {wrong[0]}; it has {count}." if wrong else "No map is asked for."
            raise NoSuchChannel(problem, f"Ask for 0 to {count - 1}.")
        return list(dict.fromkeys(asked))

    def made(self, k: int, progress: Progress | None) -> Sheet:
        """The sheet; a step of progress is one image looked at or projected."""
        names: list[str] = []
        strongest = self._strongest(k, names, progress)
        by_image: dict[int, list[tuple[int, int, _Found]]] = defaultdict(list)
        for channel, found in strongest.items():
            for rank, entry in enumerate(found):
                by_image[entry.image].append((channel, rank, entry))
        examples: dict[int, dict[int, Example]] = {channel: {} for channel in strongest}
        done, total = len(self.images), 2 * len(self.images)
        for number, wanted in sorted(by_image.items()):
            for (channel, rank, _), example in zip(wanted, self._examples(number, names, wanted), strict=True):
                examples[channel][rank] = example
            done += 1
            if progress is not None:
                progress(done, total)
        if progress is not None and done < total:
            progress(total, total)
        return Sheet(
            self.key,
            self.question,
            len(self.images) - len(self.skipped),
            k,
            {channel: tuple(found[rank] for rank in sorted(found)) for channel, found in examples.items()},
            self.projector.engine.through_gradient,
            self.network.weights_source,
            tuple(self.skipped.values()),
            self.projector.engine.own_gradients,
            tuple(text for _, text in remarks(self.network, [self.place.node])),
            MAGNITUDES if is_complex(self.network.sized, self.place.node) else VALUES,
        )

    def _image(self, number: int) -> tuple[str, Tensor]:
        batch = self.images[number]
        self.images.check_size(batch, self.size)
        return batch.names[0], batch.values[0].detach()

    def _strongest(self, k: int, names: list[str], progress: Progress | None) -> dict[int, list[_Found]]:
        """For every map the strongest unit of each image, and of those the k best; ties to the first image."""
        best: dict[int, list[_Found]] = {channel: [] for channel in self.channels}
        for number in range(len(self.images)):
            try:
                name, image = self._image(number)
            except (ImageError, InputError) as error:
                entry = self.images.entries[number]
                if not entry.is_found:
                    raise
                self.skipped[number] = (entry.name, error.problem)
                names.append(entry.name)
                if progress is not None:
                    progress(number + 1, 2 * len(self.images))
                continue
            names.append(name)
            maps = self.projector.maps(self.projector.activations(image))
            values, places = measured(maps).flatten(1).max(dim=1)
            if bool(values[self.channels].isnan().any()):
                raise InputError(f"Some maps of '{names[-1]}' hold no numbers (NaN).", "Leave this image out.")
            starts = self.question.started(values.double(), self.place.address.stage).cpu()
            turned = directions(maps.flatten(1).gather(1, places[:, None])[:, 0]).cpu()
            for channel in self.channels:
                place = place_of(int(places[channel]), maps.shape[1:])
                unit = Unit(channel, place, float(starts[channel]), turned[channel].item())
                if values[channel] == 0:
                    # Nothing in the image excites the map: its largest value is at every position.
                    continue
                ranked = [*best[channel], _Found(number, unit, float(values[channel]))]
                best[channel] = sorted(ranked, key=lambda found: -found.value)[:k]
            if progress is not None:
                progress(number + 1, 2 * len(self.images))
        return best

    def _examples(self, number: int, names: list[str], wanted: list[tuple[int, int, _Found]]) -> Iterator[Example]:
        _, image = self._image(number)
        picture = self.network.shown(image)
        forward = self.projector.forward(image)
        entries = [entry for _, _, entry in wanted]
        at = 0
        for part, signal in self.projector.units(forward, [entry.unit for entry in entries]):
            boxes = [self.asked.boxes(self.place.node, unit) for unit in part]
            values = _spooled([on_box(signal, position, box) for position, (box, _) in enumerate(boxes)])
            for unit, (box, field), kept in zip(part, boxes, values, strict=True):
                yield Example(names[number], entries[at].value, unit.place, box, field, picture, kept)
                at += 1


def _spooled(projections: Sequence[Tensor]) -> list[NDArray[np.float32]]:
    """The projections in one temporary file, which is deleted with the last of them."""
    sizes = [projection.numel() for projection in projections]
    size_bytes = 4 * max(sum(sizes), 1)
    with tempfile.TemporaryFile() as file:
        file.truncate(size_bytes)
        mapped = mmap.mmap(file.fileno(), size_bytes)
    kept = np.frombuffer(mapped, dtype=np.float32)
    found: list[NDArray[np.float32]] = []
    first = 0
    for projection, size in zip(projections, sizes, strict=True):
        part = kept[first : first + size].reshape(tuple(projection.shape))
        part[:] = projection.float().numpy()
        found.append(part)
        first += size
    if hasattr(mmap, "MADV_DONTNEED"):
        # Written values stay in the file and are read back on access.
        mapped.madvise(mmap.MADV_DONTNEED)
    return found
