"""Any value as feature maps, whatever the order of its axes."""

from __future__ import annotations

from jaxtyping import Shaped
from torch import Tensor

from featmap.graph.sized_graph import SizedGraph


def as_maps(
    sized: SizedGraph, node: int, values: Shaped[Tensor, "*axes"], size: tuple[int, int] | None = None
) -> Shaped[Tensor, "image channel row column"]:
    """A node's value as (image, channel, row, column), whatever the order of its axes; `sized` is for one image.

    `size` are the rows and columns, where the values are those of a box and not of the whole map.
    """
    axes, shape = sized.axes[node], list(sized.shape(node))
    if len(shape) == 4 and shape[0] == 1 and (axes.row, axes.column) == (2, 3):
        # As most are.
        return values
    rows, columns = size or sized.size(node)
    for axis, count in ((axes.row, rows), (axes.column, columns)):
        if axis is not None:
            shape[axis] = count
    apart = values.reshape(-1, *shape)
    spatial = [axis + 1 for axis in (axes.row, axes.column) if axis is not None]
    others = [axis for axis in range(1, apart.ndim) if axis not in spatial]
    return apart.permute(0, *others, *spatial).reshape(len(apart), -1, rows, columns)
