"""Checks of the arrays of an index: as described, whole, and in agreement about the images."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featmap.errors import FeatmapError
from featmap.index.schema import layout
from featmap.index.schema.layout import ArrayLayout
from featmap.index.store.snapshot import Snapshot
from featmap.index.store.storage import guarded
from featmap.index.verify.findings import Say, some, values_of

_BYTES_AT_ONCE = 2**26
_DIGEST = re.compile("[0-9a-f]{64}")


def check_arrays(snapshot: Snapshot, say: Say, unread: set[str]) -> str:
    """Checks that every array is as it was made and every chunk can be read; the others are added to `unread`."""
    description = snapshot.description
    growing = layout.growing(description)
    chunks = 0
    for part in (*growing, *layout.standing(description), *layout.naming(description)):
        try:
            problem = _difference(snapshot, part, grows=part in growing)
            # The table and whole maps are read with their blocks.
            is_large = part.name.startswith(("table/", "full/"))
            chunks += 0 if problem or is_large else _read(snapshot, part)
        except FeatmapError as error:
            problem = error.problem
        if problem:
            say(problem)
            unread.add(part.name)
    for axis, found in _lengths(snapshot, [part for part in growing if part.name not in unread]).items():
        if len(set(found.values())) > 1:
            say(f"Lengths along {axis} differ: " + some(f"{name} has {length}" for name, length in found.items()))
            unread.update(found)
    arrays = {part.name for part in (*growing, *layout.standing(description), *layout.naming(description))}
    named = arrays | {name.partition("/")[0] for name in arrays}
    for what, names in zip(("are not listed", "are not described"), _unlike(named, _listed(snapshot)), strict=True):
        if names:
            say(f"Arrays or groups {what}: {some(names)}.")
    return f"{len(arrays)} arrays are as described; {chunks} chunks of those beside the table can be read"


def _listed(snapshot: Snapshot) -> set[str]:
    """The names of all arrays and groups, as a reader without featmap finds them."""
    from zarr.core.sync import sync

    async def names() -> set[str]:
        keys = [key async for key in snapshot.root.store.list()]
        return {key.removesuffix("/zarr.json") for key in keys if key.endswith("/zarr.json")}

    with guarded(snapshot.path):
        return sync(names())


def _unlike(wanted: set[str], found: set[str]) -> tuple[list[str], list[str]]:
    return sorted(wanted - found), sorted(found - wanted)


def _difference(snapshot: Snapshot, part: ArrayLayout, *, grows: bool) -> str:
    """How an array differs from what the description asks for."""
    with guarded(snapshot.path):
        if part.name not in snapshot.root:
            return f"{part.name} is missing."
        found = snapshot.root[part.name]
        shape = (found.shape[0], *part.shape[1:]) if grows else part.shape
        got = (found.shape, found.chunks, found.metadata.dimension_names)
        if got != (shape, part.chunks, part.axes):
            return f"{part.name} has shape, chunks and axes {got}; wanted {(shape, part.chunks, part.axes)}."
        wanted = "text" if part.dtype is str else str(np.dtype(part.dtype))
        if _type_name(found.dtype) != wanted:
            return f"{part.name} has type {_type_name(found.dtype)}; wanted {wanted}."
    return ""


def _type_name(dtype: Any) -> str:
    return "text" if dtype.kind in "TUO" else str(dtype)


def _read(snapshot: Snapshot, part: ArrayLayout) -> int:
    """Reads a whole array, a few chunks at once; returns how many there are."""
    with guarded(snapshot.path):
        found = snapshot.root[part.name]
    row = max(1, found.dtype.itemsize * int(np.prod(found.shape[1:])) if found.dtype.kind in "iuf" else 64)
    rows = max(1, _BYTES_AT_ONCE // (row * part.chunks[0])) * part.chunks[0]
    for first in range(0, found.shape[0], rows):
        values_of(snapshot, part.name, (slice(first, min(first + rows, found.shape[0])),))
    return found.nchunks


def _lengths(snapshot: Snapshot, parts: list[ArrayLayout]) -> dict[str, dict[str, int]]:
    """The lengths of arrays that grow along the same axis."""
    found: dict[str, dict[str, int]] = {}
    for part in parts:
        found.setdefault(part.axes[0], {})[part.name] = snapshot.length(part.name)
    return found


def check_names_of_maps(snapshot: Snapshot, say: Say) -> str:
    """Checks the names of maps."""
    layers = snapshot.description.layers
    layer = np.concatenate([np.full(layer.channels, number) for number, layer in enumerate(layers)])
    channel = np.concatenate([np.arange(layer.channels) for layer in layers])
    for name, wanted in (("map/layer", layer), ("map/channel", channel)):
        wrong = np.flatnonzero(values_of(snapshot, name) != wanted)
        if len(wrong):
            say(f"{name} is wrong for maps {some(wrong)}.")
    return f"{len(channel)} maps of {len(layers)} layers are named as described"


def check_blocks(snapshot: Snapshot, say: Say) -> str:
    """Checks that blocks are contiguous and hold all images."""
    first, images, tried = (values_of(snapshot, f"block/{name}") for name in ("first", "images", "tried"))
    if (images < 0).any() or (first != np.cumsum(images) - images).any():
        say("Blocks do not follow one another: block/first does not agree with the sums of block/images.")
    if images.sum() != snapshot.images:
        say(f"Blocks hold {images.sum()} images, the index {snapshot.images}.")
    odd = np.flatnonzero((images > tried) | (tried > snapshot.description.block))
    if len(odd):
        say(f"Blocks {some(odd)} hold more images than were read, or were wanted in a block.")
    return f"{len(images)} blocks hold {snapshot.images} images without a gap"


def check_images(snapshot: Snapshot, say: Say) -> str:
    """Checks that names, digests, sizes and labels are valid, and that no image is also skipped."""
    names, digests, skipped, reasons = (
        [str(text) for text in values_of(snapshot, name)]
        for name in ("image/name", "image/digest", "skipped/name", "skipped/reason")
    )
    rows, columns, labels = (values_of(snapshot, f"image/{name}") for name in ("rows", "columns", "label"))
    for what, found in (("Images", names), ("Skipped images", skipped), ("Labels", snapshot.labels)):
        for problem in _problems_of_names(found):
            say(f"{what} {problem}.")
    both = [name for name in dict.fromkeys(skipped) if name in set(names)]
    wrong = {
        "are in the index and skipped too": both,
        "have no SHA-256": _named(names, np.array([_DIGEST.fullmatch(digest) is None for digest in digests], bool)),
        "have no size": _named(names, (rows < 1) | (columns < 1)),
        "have a label that is not there": _named(names, (labels < -1) | (labels >= len(snapshot.labels))),
        "are skipped without a reason": [name for name, why in zip(skipped, reasons, strict=False) if not why],
    }
    for problem, found in wrong.items():
        if found:
            say(f"Images {problem}: {some(found)}.")
    return f"{len(names)} images have a name of their own, a digest, a size and a label; {len(skipped)} are skipped"


def _problems_of_names(names: list[str]) -> Iterator[str]:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        yield f"have the same name: {some(twice)}"
    if "" in names:
        yield f"have no name: {some(number for number, name in enumerate(names) if not name)}"


def _named(names: list[str], which: NDArray[np.bool_]) -> list[str]:
    return [names[number] for number in np.flatnonzero(which[: len(names)]).tolist()]
