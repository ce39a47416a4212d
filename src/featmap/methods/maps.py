"""Feature maps of images.

Whole images run through the captured graph in batches; only the wanted stages are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Shaped
from torch import Tensor

from featmap.errors import AddressError, AmbiguousAddress, NoSuchLayer, TooLittleMemory
from featmap.graph.receptive.unit_box import UnitBox, unit_box
from featmap.graph.sized_graph import SizedGraph
from featmap.images.inputs import Batch, batch_of
from featmap.images.listing import Images
from featmap.network.address import Address
from featmap.network.differing import note_differences
from featmap.network.network import CapturedNetwork
from featmap.network.resolve import Place, check_unit
from featmap.result_array import ArrayResult
from featmap.run.as_maps import as_maps
from featmap.run.batches import Progress, run_batches
from featmap.run.magnitudes import MAGNITUDES, VALUES, measured
from featmap.run.memory import available_bytes, size_bytes


@dataclass(frozen=True, eq=False)
class FeatureMaps(ArrayResult):
    """The feature maps of one layer's stage for some images.

    `values` is a tensor (image, channel, row, column); vectors, as of a classifier, have one row and one column. Those
    of signals are (image, channel, position), those of volumes (image, channel, plane, row, column).
    `images` names the images. `weights_source` says whose weights they were made with.
    """

    address: str
    values: Shaped[Tensor, "image channel *place"]
    images: tuple[str, ...]
    weights_source: str
    place: Place
    sized: SizedGraph

    @property
    def _array(self) -> Tensor:
        return self.values

    @property
    def stage(self) -> str:
        """conv, z or a."""
        return self.place.address.stage or "a"

    @property
    def is_signed(self) -> bool:
        """Whether the values are shown around 0: before the nonlinearity, or where some are below 0."""
        return not self.values.is_complex() and (self.stage != "a" or bool((self.values < 0).any()))

    @property
    def numbers_of(self) -> str:
        """What is shown and summed up of them: their values, or of complex ones their magnitudes."""
        return MAGNITUDES if self.values.is_complex() else VALUES

    @property
    def title(self) -> str:
        """The address, with what is shown where that is not the values."""
        return f"{self.numbers_of} of {self.address}" if self.numbers_of != VALUES else self.address

    def at(self, *unit: int) -> Shaped[Tensor, "image channel"]:
        """The values of the units at one position, row and column of a picture: a tensor (image, channel).

        Raises: UnitOutOfRange.
        """
        check_unit(self.address, unit, self.values.shape[2:])
        return self.values[(slice(None), slice(None), *unit)]

    def receptive_field(self, *unit: int, channel: int | None = None) -> UnitBox:
        """The input pixels that can influence the unit at a row and column, with the status of that answer.

        Without a channel those that can influence the unit of any channel.
        """
        self.at(*unit)
        return unit_box(self.sized, self.place.node, unit, channel)

    @property
    def summary(self) -> dict[str, float]:
        """The minimum, maximum and mean of what is shown, and `fraction_positive`, the share of it above 0."""
        values = measured(self.values)
        return {
            "minimum": float(values.min()),
            "maximum": float(values.max()),
            "mean": float(values.double().mean()),
            "fraction_positive": float((values > 0).double().mean()),
        }

    def _data(self) -> dict[str, Any]:
        return {
            "address": self.address,
            "shape": list(self.values.shape),
            "images": list(self.images),
            "weights": self.weights_source,
            **({"numbers_of": self.numbers_of} if self.numbers_of != VALUES else {}),
            **self.summary,
        }

    def __repr__(self) -> str:
        summary = self.summary
        images, channels, *size = self.values.shape
        shape = " x ".join(map(str, size))
        return (
            f"FeatureMaps({self.address}: {images} image{'s' * (images != 1)} x {channels} maps of {shape}, "
            f"{self.numbers_of} {summary['minimum']:.4g} to {summary['maximum']:.4g}, "
            f"mean {summary['mean']:.4g}, {summary['fraction_positive']:.1%} positive; weights: {self.weights_source})"
        )


class MapSet(ArrayResult, Mapping[str, FeatureMaps]):
    """Feature maps by full address. Any spelling of an address finds them: `features.21`, `features.21:a`.

    Those of a single address are one array, too.
    """

    def __init__(self, maps: Sequence[FeatureMaps], resolve: Callable[[str | Address], Place]) -> None:
        self._maps = {maps_.address: maps_ for maps_ in maps}
        self._resolve = resolve

    def __getitem__(self, address: str | Address) -> FeatureMaps:
        if isinstance(address, str) and address in self._maps:
            return self._maps[address]
        place = self._resolve(address)
        for maps in self._maps.values():
            if maps.place.node == place.node:
                return maps
        raise KeyError(f"{place.key} was not asked for; these are: {', '.join(self._maps)}")

    def __contains__(self, address: object) -> bool:
        try:
            self[str(address)]
        except (KeyError, AddressError):
            return False
        return True

    def __iter__(self) -> Iterator[str]:
        return iter(self._maps)

    def __len__(self) -> int:
        return len(self._maps)

    @property
    def _array(self) -> Tensor:
        if len(self) != 1:
            first = next(iter(self))
            problem = f"The maps of {len(self)} addresses are not one array: {', '.join(self)}."
            raise AmbiguousAddress(problem, f"Take those of one: maps['{first}'].")
        return next(iter(self.values())).values

    def _data(self) -> dict[str, Any]:
        return {"maps": [maps.to_dict() for maps in self._maps.values()]}

    def __repr__(self) -> str:
        return "\n".join(map(repr, self._maps.values()))


def feature_maps(
    network: CapturedNetwork,
    images: Images,
    layers: Sequence[str | Address] | str | Address | None = None,
    *,
    dtype: torch.dtype | None = None,
    device: torch.device | None = None,
    progress: Progress | None = None,
) -> MapSet:
    """The feature maps of the wanted layers for all images; see `featmap.Network.maps`."""
    batch = batch_of(network, images)
    network = network.at(tuple(batch.values.shape[1:]))
    places = _places(network, layers)
    note_differences(network, [place.node for place in places])
    _check_memory(network, places, len(batch.names))
    values = run_batches(
        network, batch.values, [place.node for place in places], dtype=dtype, device=device, progress=progress
    )
    return MapSet([_maps(network, place, values[place.node], batch) for place in places], network.place)


def _places(network: CapturedNetwork, layers: Sequence[str | Address] | str | Address | None) -> list[Place]:
    if layers is None:
        found = list(network.layer_places())
        if not found:
            raise NoSuchLayer(
                f"{network.name} has no layer: no convolution, linear layer, merge or normalisation.",
                "Name one of its operators; `featmap plan` lists them.",
            )
        return found
    wanted = layers if isinstance(layers, Iterable) and not isinstance(layers, str | bytes) else [layers]
    places = [network.place(Address.parse(address).of_layer) for address in wanted]
    return list({place.key: place for place in places}.values())


def _check_memory(network: CapturedNetwork, places: Sequence[Place], images: int) -> None:
    total = images * sum(size_bytes(network.sized.specs[place.node]) for place in places)
    available = available_bytes()
    if total > 0.8 * available:
        raise TooLittleMemory(
            f"The maps of {images} images and {len(places)} layers take {total / 2**30:.1f} GiB; "
            f"{available / 2**30:.1f} GiB are available.",
            "Ask for fewer layers or fewer images at a time.",
        )


def _maps(network: CapturedNetwork, place: Place, values: Shaped[Tensor, "*axes"], batch: Batch) -> FeatureMaps:
    laid_out = as_maps(network.sized, place.node, values)
    return FeatureMaps(place.key, laid_out, batch.names, network.weights_source, place, network.sized)
