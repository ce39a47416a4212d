"""How does a signal look in a value's own order of axes, and back? Units stand where the images stood."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from featmap.run.backward.signal import Signal, WholeSignal, on_whole_map, signal_at
from featmap.run.region.untouched import Untouched


class OwnOrder:
    """Translates between signals and tensors in the order of axes that a value has."""

    def __init__(self, untouched: Untouched) -> None:
        self.sized = untouched.sized
        self.layout = untouched.layout

    def of(self, signal: Signal, index: int) -> Tensor:
        """A signal on the whole of a value."""
        if isinstance(signal, WholeSignal):
            return signal.values
        return self.patch(on_whole_map(signal, self.sized.size(index)).values, index)

    def patch(self, maps: Tensor, index: int) -> Tensor:
        """(unit, channel, row, column) in the value's own order."""
        return self.layout(index).from_places(maps.permute(0, 2, 3, 1))

    def maps(self, patch: Tensor, index: int) -> Tensor:
        """(unit, channel, row, column) from the value's own order."""
        return self.layout(index).to_places(patch).permute(0, 3, 1, 2)

    def signal(self, values: Tensor, index: int) -> Signal:
        """The signal that values on the whole of a value are."""
        axes = self.sized.axes[index]
        if not axes.has_space or axes.batch != 0:
            return WholeSignal(values)
        zeros = np.zeros(len(values), dtype=np.int64)
        return signal_at(self.maps(values, index), zeros, zeros)
