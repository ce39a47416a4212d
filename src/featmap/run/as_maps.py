"""Any value as feature maps, whatever the order of its axes."""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Shaped
from torch import Tensor

from featmap.graph.sized_graph import SizedGraph


def as_maps(
    sized: SizedGraph, node: int, values: Shaped[Tensor, "*axes"], size: Sequence[int] | None = None
) -> Shaped[Tensor, "image channel *place"]:
    """A node's value as (image, channel, row, column), whatever the order of its axes; `sized` is for one image.

    A signal has its position in the place of row and column, a volume plane, row and column. `size` is that of a map,
    where the values are those of a box and not of the whole map.
    """
    axes, shape = sized.axes[node], list(sized.shape(node))
    if len(shape) == len(axes.spatial) + 2 and shape[0] == 1 and axes.spatial == tuple(range(2, len(shape))):
        # As most are.
        return values
    size = size or sized.size(node)
    for axis, count in zip(axes.spatial, size, strict=True):
        if axis is not None:
            shape[axis] = count
    apart = values.reshape(-1, *shape)
    spatial = [axis + 1 for axis in axes.in_space]
    others = [axis for axis in range(1, apart.ndim) if axis not in spatial]
    return apart.permute(0, *others, *spatial).reshape(len(apart), -1, *size)


def with_one_plane(maps: Shaped[Tensor, "image channel *place"]) -> Shaped[Tensor, "image channel row column"]:
    """Maps with any number of axes as rows and columns: all axes but the last as rows, in the same order of places."""
    return maps.reshape(*maps.shape[:2], -1, maps.shape[-1])
