"""How do compiled passes read the values of maps? Where they lie in memory, by their address.

To make an array of a tensor takes longer than to measure a small map: in the middle of a network, whose layers push
everything else out of the near caches, each line of Python costs many times what it costs in a loop of its own.
"""

from __future__ import annotations

from typing import Any

import torch
from numba import carray, njit, types  # pyright: ignore[reportPrivateImportUsage]
from numba.extending import intrinsic
from torch import Tensor


@intrinsic
def _pointer(_context: Any, _address: Any) -> Any:
    """The float32 numbers from an address on."""

    def generated(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

    return types.CPointer(types.float32)(types.int64), generated


@njit(inline="always")
def floats_at(address, count):  # type: ignore[no-untyped-def]
    """An array of `count` float32 from an address on, for compiled passes."""
    return carray(_pointer(address), (count,))  # pyright: ignore[reportCallIssue]


def laid_out(maps: Tensor) -> Tensor:
    """Maps (image, channel, row, column) of a processor as compiled passes read them: float32, channels last.

    Hold the tensor as long as its address is read.
    """
    if maps.dtype != torch.float32:
        maps = maps.float()
    return maps.contiguous(memory_format=torch.channels_last)
