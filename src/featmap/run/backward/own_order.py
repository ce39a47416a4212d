"""Signals in a value's own order of axes, with units in the place of images, and back."""

from __future__ import annotations

import numpy as np
from jaxtyping import Shaped
from torch import Tensor

from featmap.run.backward.signal import Signal, WholeSignal, on_whole_map, signal_at
from featmap.run.region.patches.patches import Layout
from featmap.run.region.untouched import Untouched


class OwnOrder:
    """Translates between signals and tensors in the order of axes that a value has."""

    def __init__(self, untouched: Untouched) -> None:
        self.sized = untouched.sized
        self._untouched = untouched

    def of(self, signal: Signal, index: int, item: int | None = None) -> Tensor:
        """A signal on the whole of a value, or of one of its tensors."""
        if isinstance(signal, WholeSignal):
            return signal.values
        return self.patch(on_whole_map(signal, self.size(index, item)).values, index, item)

    def patch(
        self, maps: Shaped[Tensor, "unit channel row column"], index: int, item: int | None = None
    ) -> Shaped[Tensor, "*axes"]:
        """(unit, channel, row, column) in the value's own order."""
        return self._layout(index, item).from_places(maps.permute(0, 2, 3, 1))

    def maps(self, patch: Shaped[Tensor, "*axes"], index: int) -> Shaped[Tensor, "unit channel row column"]:
        """(unit, channel, row, column) from the value's own order."""
        return self._layout(index).to_places(patch).permute(0, 3, 1, 2)

    def signal(self, values: Tensor, index: int, item: int | None = None) -> Signal:
        """The signal that values on the whole of a value, or of one of its tensors, are."""
        axes = self.sized.axes[index]
        if not axes.is_plane or axes.batch != 0:
            return WholeSignal(values)
        zeros = np.zeros(len(values), dtype=np.int64)
        return signal_at(self._layout(index, item).to_places(values).permute(0, 3, 1, 2), zeros, zeros)

    def size(self, index: int, item: int | None = None) -> tuple[int, ...]:
        """Rows and columns of a value, or of one of its tensors."""
        if item is None:
            return self.sized.size(index)
        shape = self._shape(index, item)
        return tuple(1 if axis is None else shape[axis] for axis in self.sized.axes[index].spatial)

    def _layout(self, index: int, item: int | None = None) -> Layout:
        if item is None:
            return self._untouched.layout(index)
        axes, shape = self.sized.axes[index], self._shape(index, item)
        return Layout(axes, tuple(n for axis, n in enumerate(shape) if axis not in axes.known))

    def _shape(self, index: int, item: int) -> tuple[int, ...]:
        spec = self.sized.specs[index]
        assert isinstance(spec, tuple)
        part = spec[item]
        assert part is not None
        return part.shape
