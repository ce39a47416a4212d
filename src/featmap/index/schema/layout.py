"""The arrays of an index: names, axes, types and chunks, the same for plain zarr and xarray.

image/    name, path, label, digest, rows, columns         one per image
label/    name                                             one per label
skipped/  name, reason                                     images that could not be read
block/    first, images, tried, digest                     one per commit
table/    maximum, place, mean, positive                   (image, map)
map/      layer, channel, and what is known over all       (map), (map, k)
          images
tail/     one array per layer: its largest values          (channel, rank)
comoment/ one array per layer: means, then the upper       (number)
          triangle of the products, row by row
full/     one array per layer whose whole maps are kept    (image, channel, row, column)
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from featmap.index.schema.description import Description
from featmap.statistics.per_map import PerMap

TABLE = ("maximum", "place", "mean", "positive")
PER_MAP = tuple(field.name for field in fields(PerMap))
STRONGEST = ("value", "image", "place")
_TYPES = {"mean": "float64", "squares": "float64", "minimum": "float32", "maximum": "float32"}
_TEXTS = 1024
_CHUNK = 65536
"""So many numbers, 256 KiB of float32, are one file."""
_FEWEST_ROWS = 128
"""Of images in a file of the table: few may be planned, and many come later."""


@dataclass(frozen=True)
class ArrayLayout:
    """One array: its name, the lengths and names of its axes, its chunks and type. The first axis grows from 0."""

    name: str
    shape: tuple[int, ...]
    axes: tuple[str, ...]
    chunks: tuple[int, ...]
    dtype: Any

    def created(self, root: Any) -> None:
        """The array in a zarr group. A checksum in every chunk reveals corruption on disk."""
        from zarr.codecs import ZstdCodec

        root.create_array(
            self.name,
            shape=self.shape,
            chunks=self.chunks,
            dtype=self.dtype,
            dimension_names=self.axes,
            compressors=[ZstdCodec(level=1, checksum=True)],
            fill_value=self.fill,
        )

    @property
    def fill(self) -> Any:
        """The value where nothing was written yet, or a chunk was lost: unknown.

        A count of 0 or an empty name instead of a lost one is detected elsewhere.
        """
        if self.dtype is str:
            return ""
        return float("nan") if self.name.startswith(("tail/", "comoment/")) else _FILL.get(self.name, 0)


_FILL = {
    "map/minimum": float("inf"),
    "map/maximum": float("-inf"),
    "map/strongest_value": float("nan"),
    "map/strongest_image": -1,
    "map/strongest_place": -1,
}


def growing(description: Description) -> list[ArrayLayout]:
    """The arrays that grow with every block."""
    texts = ("image/name", "image/path", "image/digest", "skipped/name", "skipped/reason", "block/digest", "label/name")
    numbers = ("image/label", "image/rows", "image/columns", "block/first", "block/images", "block/tried")
    found = [ArrayLayout(name, (0,), (name.partition("/")[0],), (_TEXTS,), str) for name in texts]
    found += [ArrayLayout(name, (0,), (name.partition("/")[0],), (_CHUNK // 8,), "int64") for name in numbers]
    if description.table:
        types = {"maximum": "float32", "mean": "float32", "place": "int32", "positive": "int32"}
        shape, chunks = (0, description.maps), _table_chunks(description)
        found += [ArrayLayout(f"table/{name}", shape, ("image", "map"), chunks, types[name]) for name in TABLE]
    for number, layer in enumerate(description.layers):
        if layer.address in description.full:
            shape = (layer.channels, *layer.size)
            chunks = (max(1, min(description.block, _CHUNK * 4 // (shape[0] * shape[1] * shape[2]))), *shape)
            axes = ("image", f"channel_{number}", f"row_{number}", f"column_{number}")
            found.append(ArrayLayout(full_name(number), (0, *shape), axes, chunks, "float16"))
    return found


def standing(description: Description) -> list[ArrayLayout]:
    """The arrays that are rewritten with every block."""
    maps, k = description.maps, description.top_k
    found = [ArrayLayout(f"map/{name}", (maps,), ("map",), (_CHUNK,), _TYPES.get(name, "int64")) for name in PER_MAP]
    rows = max(1, _CHUNK // k)
    types = {"value": "float32", "image": "int64", "place": "int32"}
    found += [
        ArrayLayout(f"map/strongest_{name}", (maps, k), ("map", "k"), (rows, k), types[name]) for name in STRONGEST
    ]
    for number, layer in enumerate(description.layers):
        if layer.tail:
            shape = (layer.channels, layer.tail)
            chunks = (max(1, 4 * _CHUNK // layer.tail), min(layer.tail, 4 * _CHUNK))
            found.append(
                ArrayLayout(tail_name(number), shape, (f"channel_{number}", f"rank_{number}"), chunks, "float32")
            )
        if layer.correlated:
            length = layer.channels + layer.channels * (layer.channels + 1) // 2
            found.append(ArrayLayout(comoment_name(number), (length,), (f"number_{number}",), (8 * _CHUNK,), "float64"))
    return found


def naming(description: Description) -> list[ArrayLayout]:
    """The arrays that say which map is which; written once."""
    return [
        ArrayLayout(f"map/{name}", (description.maps,), ("map",), (_CHUNK,), "int64") for name in ("layer", "channel")
    ]


def _table_chunks(description: Description) -> tuple[int, int]:
    """Tall for many images, so that one map is read from few files; at least a block, if one fills up."""
    block = min(description.block, max(description.planned or description.block, _FEWEST_ROWS))
    rows = max(block, min(description.planned // 128, 8192))
    return rows, max(1, min(description.maps, max(16, 2 * _CHUNK // rows)))


def tail_name(number: int) -> str:
    """The array of a layer's largest values."""
    return f"tail/{number:04}"


def comoment_name(number: int) -> str:
    """The array of a layer's co-moments."""
    return f"comoment/{number:04}"


def full_name(number: int) -> str:
    """The array of a layer's whole maps."""
    return f"full/{number:04}"
