"""The values of the untouched image, kept once for all changes of the image."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from featmap.geometry import Box
from featmap.graph.sized_graph import SizedGraph
from featmap.run.region.patches.patches import Cached, Layout
from featmap.run.region.patches.scratch import Scratch


class Untouched:
    """The values of the untouched image, by node, on the boxes `boxes` (the whole map where none is named)."""

    def __init__(self, sized: SizedGraph, values: Mapping[int, Tensor], boxes: Mapping[int, Box] | None = None) -> None:
        self.sized = sized
        self.values = values
        self.boxes = boxes or {}
        self.memory = Scratch()
        self._places: dict[int, Cached] = {}
        self._layouts: dict[int, Layout] = {}

    def places(self, index: int) -> Cached | None:
        """The places of a value, None where the value was not kept."""
        if index not in self.values:
            return None
        if index not in self._places:
            places = self.layout(index).to_places(self.values[index])[0].contiguous()
            box = self.boxes.get(index, Box(0, 0, places.shape[0], places.shape[1]))
            self._places[index] = Cached(places, box)
        return self._places[index]

    def layout(self, index: int) -> Layout:
        """Where a value's axes are."""
        if index not in self._layouts:
            axes, shape = self.sized.axes[index], self.sized.shape(index)
            others = tuple(size for axis, size in enumerate(shape) if axis not in axes.known)
            self._layouts[index] = Layout(axes, others)
        return self._layouts[index]
