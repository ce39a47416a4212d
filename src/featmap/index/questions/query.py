"""The image that others are compared with: one of the index, or another one, measured in the same way."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from featmap.errors import ImageBroken, InputError, NoSuchImage, NotKept, SettingError
from featmap.images.entries import entries
from featmap.images.reading import read_image
from featmap.images.signals import taken_by
from featmap.index.build.measure import Measurer
from featmap.index.questions.chosen import check_table, names
from featmap.index.schema.description import IndexedLayer
from featmap.index.schema.same import check_same
from featmap.index.schema.wish import Wish
from featmap.index.store.snapshot import Snapshot
from featmap.network.address import Address
from featmap.network.network import CapturedNetwork

By = Literal["maximum", "mean"]
BYS = ("maximum", "mean")
_NAMED = 3


@dataclass(frozen=True, eq=False)
class Query:
    """The image to compare with: its name, its values (map) of the layer, and its number where it is in the index."""

    name: str
    values: NDArray[np.floating[Any]]
    number: int = -1
    path: str = ""
    digest: str | None = None


def check_by(by: str) -> None:
    """Raises: SettingError: not a measure that images are compared by."""
    if by not in BYS:
        raise SettingError(f"by is {by!r}.", f"It is one of {', '.join(BYS)}.")


def layer_in_table(snapshot: Snapshot, address: str | Address) -> IndexedLayer:
    """The layer of an address, of which every image's values are kept. Raises: NotKept, SettingError."""
    check_table(snapshot, "this question")
    asked = Address.parse(address)
    layer = snapshot.description.layer(asked.of_layer)
    if asked.channel is not None:
        raise SettingError(f"'{asked}' is one map; images are compared by all of a layer.", f"Ask by {layer.address}.")
    return layer


def query_of(snapshot: Snapshot, image: Any, address: str | Address, by: By) -> Query:
    """An image of the index, by its number or its name. Raises: NotKept, SettingError."""
    check_by(by)
    layer = layer_in_table(snapshot, address)
    if isinstance(image, str | Path):
        number = _number(snapshot, str(image))
    elif isinstance(image, int | np.integer):
        number = int(image)
    else:
        raise InputError(
            f"A {type(image).__name__} is not an image of '{snapshot.path}'.",
            "Give a number or a name; for another picture, give the network too (net=...).",
        )
    if not 0 <= number < snapshot.images:
        raise NotKept(
            f"There is no image {number}; '{snapshot.path}' has {snapshot.images}.", "Images are counted from 0."
        )
    values = snapshot.read(f"table/{by}", (number, layer.maps))
    name, path, digest = (snapshot.texts(f"image/{what}", [number])[0] for what in ("name", "path", "digest"))
    return Query(name, values, number, path, digest)


def _number(snapshot: Snapshot, image: str) -> int:
    within: list[str] = []
    for number, name in names(snapshot):
        if name == image:
            return number
        # A path that leads to the image, from the folder above that which was indexed.
        if image.endswith(f"/{name}") or name.endswith(f"/{image}"):
            within.append(name)
    more = f" and {len(within) - _NAMED} more" if len(within) > _NAMED else ""
    raise NoSuchImage(
        f"There is no image '{image}' in '{snapshot.path}'.",
        "`index.names()` lists all names; for another picture, give the network too (net=...).",
        f"The nearest names are {', '.join(within[:_NAMED])}{more}." if within else "",
    )


def query_of_picture(snapshot: Snapshot, network: CapturedNetwork, image: Any, address: str | Address, by: By) -> Query:
    """Any image, run through the network of the index. Raises: OtherIndex, ImageError, NotKept, SettingError."""
    check_by(by)
    layer = layer_in_table(snapshot, address)
    check_same(snapshot.description, network, Wish(), snapshot.path)
    listed = list(entries(image, taken=taken_by(network)))
    if len(listed) != 1:
        raise InputError(f"{len(listed)} images were given; one is compared with the others.", "Give one image.")
    read = read_image(network, listed[0])
    if read.problem:
        raise ImageBroken(read.problem, "Give another image.")
    alone = replace(snapshot.description, layers=(replace(layer, first=0, tail=0, correlated=0),), full=())
    block = Measurer(network, alone).block(listed, 0, lambda asked: [read for _ in asked])
    for _, problem in block.skipped:
        raise ImageBroken(problem, "Give another image.")
    return Query(listed[0].name, getattr(block.table, by)[0], path=listed[0].path)
