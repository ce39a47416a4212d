"""Checks that totals are possible: counts, moments, extremes, strongest images, largest values, correlations.

They constrain one another: the largest value is the maximum, no mean is beyond the extremes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featmap.index.schema import layout
from featmap.index.schema.description import Description
from featmap.index.schema.totals import places_per_map
from featmap.index.store.snapshot import Snapshot
from featmap.index.verify.findings import Say, some
from featmap.statistics.array_types import Floats
from featmap.statistics.comoments import CoMoments
from featmap.statistics.per_map import PerMap
from featmap.statistics.strongest import Strongest

Wrong = dict[str, Any]
"""What can be wrong, in words, and for which maps it is, as truth values."""
RELATIVE = 1e-4
"""Sums in single precision, and moments in another order, differ by less."""


def check_sums(snapshot: Snapshot, say: Say) -> str:
    """Checks that counts, moments, extremes, strongest images and co-moments are possible."""
    description, images = snapshot.description, snapshot.images
    found, strongest = snapshot.per_map(slice(None)), snapshot.strongest(slice(None))
    say_maps(say, description, _impossible(found, images, places_per_map(description)))
    unbounded = np.concatenate(
        [np.full(layer.channels, not np.isfinite(layer.bounds).any()) for layer in description.layers]
    )
    say_maps(say, description, {"Values are at a bound that the nonlinearity lacks": unbounded & (found.at_bound > 0)})
    say_maps(say, description, _impossible_strongest(strongest, found, images, places_per_map(description)))
    for number, layer in enumerate(description.layers):
        comoments = snapshot.comoments(number)
        if comoments is not None:
            part = snapshot.per_map(layer.maps)
            wrong = _impossible_comoments(comoments, part, is_over_all=layer.correlated == layer.places)
            say_maps(say, description, wrong, layer.first)
    kept = sum(layer.correlated > 0 for layer in description.layers)
    return f"what is known over all images of {description.maps} maps is possible; so are {kept} layers' correlations"


def say_maps(say: Say, description: Description, wrong: Wrong, first: int = 0) -> None:
    """Reports each problem of some maps, by their addresses."""
    for problem, which in wrong.items():
        if which.any():
            say(f"{problem}: {some(_addresses(description, np.flatnonzero(which) + first))}.")


def _addresses(description: Description, maps: NDArray[np.int64]) -> Iterator[str]:
    firsts = np.array([layer.first for layer in description.layers])
    for number, layer_number in zip(maps.tolist(), np.searchsorted(firsts, maps, "right") - 1, strict=True):
        layer = description.layers[layer_number]
        yield f"{layer.address}/{number - layer.first}"


def _impossible(found: PerMap, images: int, places: NDArray[np.int64]) -> Wrong:
    if not images:
        none = PerMap.none(len(places))
        different = [getattr(found, name) != getattr(none, name) for name in layout.PER_MAP]
        return {"Something is known although there are no images": np.logical_or.reduce(different)}
    count = images * places
    low, high = found.minimum.astype(np.float64), found.maximum.astype(np.float64)
    slack = RELATIVE * np.maximum(np.abs(low), np.abs(high))
    numbers = np.isfinite(found.mean) & np.isfinite(found.squares) & np.isfinite(low) & np.isfinite(high)
    counts = (found.positive, found.at_bound)
    return {
        "Moments or extremes are no numbers": ~numbers,
        "The mean is outside of minimum and maximum": numbers & ~_between(found.mean, low - slack, high + slack),
        "The sum of squared distances is impossible": numbers
        & ~_between(
            # The variance is largest where half of the values are the minimum and half the maximum.
            found.squares,
            -count * slack**2,
            count * ((high - low) ** 2 / 4 + 2 * slack * (high - low) + slack**2),
        ),
        "A count of values is impossible": ~np.logical_and.reduce([_between(part, 0, count) for part in counts]),
        "The count of images with values above 0 is impossible": ~_between(
            found.positive_images, -(-found.positive // places), np.minimum(images, found.positive)
        ),
        "Values above 0 and the maximum disagree": (found.positive > 0) != (high > 0),
    }


def _between(values: NDArray[Any], low: Any, high: Any) -> NDArray[np.bool_]:
    return (values >= low) & (values <= high)


def _impossible_strongest(found: Strongest, per_map: PerMap, images: int, places: NDArray[np.int64]) -> Wrong:
    filled = min(images, found.value.shape[1])
    value, image, place = (part[:, :filled] for part in (found.value, found.image, found.place))
    rest = ~np.isnan(found.value[:, filled:]) | (found.image[:, filled:] != -1) | (found.place[:, filled:] != -1)
    # Of equal values the earlier image comes first.
    falls = (value[:, 1:] < value[:, :-1]) | ((value[:, 1:] == value[:, :-1]) & (image[:, 1:] > image[:, :-1]))
    inside = _between(image, 0, images - 1) & _between(place, 0, places[:, None] - 1)
    in_order = np.sort(image, axis=1)
    wrong = {
        "The number of strongest images is wrong": rest.any(axis=1) | np.isnan(value).any(axis=1),
        "Strongest images are not in order": ~falls.all(axis=1),
        "A strongest image or its position does not exist": ~inside.all(axis=1),
        "A strongest image is named twice": (in_order[:, 1:] == in_order[:, :-1]).any(axis=1),
    }
    if filled:
        wrong["The strongest image's value is not the maximum"] = value[:, 0] != per_map.maximum
    return wrong


def _impossible_comoments(found: CoMoments, per_map: PerMap, *, is_over_all: bool) -> Wrong:
    if not found.count:
        return {"Correlations are known although there are no images": (found.mean != 0) | found.products.any(axis=1)}
    own = np.diag(found.products)
    bound = np.sqrt(np.maximum(own, 0))
    slack = RELATIVE * np.maximum(np.abs(per_map.minimum), np.abs(per_map.maximum)).astype(np.float64)
    apart = _between(found.mean, per_map.minimum - slack, per_map.maximum + slack)
    products = np.abs(found.products) <= np.outer(bound, bound) * (1 + RELATIVE) + found.count * np.outer(slack, slack)
    wrong = {
        "Correlations hold NaN or infinity": ~np.isfinite(found.mean) | ~np.isfinite(found.products).all(axis=1),
        "The mean of correlated positions is outside of minimum and maximum": np.isfinite(found.mean) & ~apart,
        "A correlation is outside of -1 to 1": np.isfinite(found.products).all(axis=1) & ~products.all(axis=1),
    }
    if is_over_all:
        wrong["Correlations disagree with mean and sum of squared distances"] = (
            np.abs(found.mean - per_map.mean) > slack
        ) | (np.abs(own - per_map.squares) > RELATIVE * per_map.squares + found.count * slack**2)
    return wrong


def check_tails(snapshot: Snapshot, say: Say) -> str:
    """Checks that the largest values are in order, complete, and agree with the maximum and the counts."""
    description = snapshot.description
    for number, layer in enumerate(description.layers):
        if layer.tail:
            part = snapshot.per_map(layer.maps)
            wrong = _impossible_tail(snapshot.tail(number), part, min(layer.tail, snapshot.images * layer.places))
            say_maps(say, description, wrong, layer.first)
    kept = [layer.tail for layer in description.layers if layer.tail]
    return f"{len(kept)} layers' largest values, up to {max(kept, default=0)} a map, are in order"


def _impossible_tail(tail: Floats, per_map: PerMap, filled: int) -> Wrong:
    values = tail[:, :filled]
    wrong = {
        "The number of largest values is wrong": np.isnan(values).any(axis=1) | ~np.isnan(tail[:, filled:]).all(axis=1),
        "The largest values are not in order": (values[:, 1:] > values[:, :-1]).any(axis=1),
        "The largest values and the count above 0 disagree": (
            (values > 0).sum(axis=1) != np.minimum(per_map.positive, filled)
        ),
    }
    if filled:
        wrong["The largest value is not the maximum"] = values[:, 0] != per_map.maximum
    return wrong
