"""Memory addresses of maps, by which compiled passes read their values.

Making an array from a tensor takes longer than measuring a small map: in the middle of a network, whose layers evict
everything else from the near caches, each line of Python costs many times what it costs in a loop of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit
from numba.core import types
from numba.extending import intrinsic as numba_intrinsic
from numba.np.numpy_support import carray

from featmap.statistics.array_types import Floats


def intrinsic(generator: Callable[..., Any]) -> Callable[..., Any]:
    """Numba's decorator, which has no types: what it makes is called without the context that `generator` takes."""
    return numba_intrinsic(generator)


@intrinsic
def _pointer(_context: Any, _address: Any) -> Any:
    """A pointer to the float32 numbers at an address."""

    def generated(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

    return types.CPointer(types.float32)(types.int64), generated


@njit(inline="always")
def floats_at(address: int, count: int) -> Floats:
    """An array of `count` float32 at an address, for compiled passes."""
    return carray(_pointer(address), (count,))
