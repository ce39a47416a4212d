"""Results that are one array: numpy and torch take them as they take arrays and tensors of their own."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import DTypeLike, NDArray
from torch import Tensor

from featmap.result import Result


class ArrayResult(Result):
    """Base of the results that are one array: `np.asarray(result)` and `torch.as_tensor(result)` give it.

    Neither copies what lies in the memory of the CPU in a type that it has.
    """

    @property
    def _array(self) -> Tensor | NDArray[Any]:
        """The array that the result is. Raises: FeatmapError: it is not one array after all."""
        raise NotImplementedError

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        values = self._array
        found = array_of(values)
        is_shared = isinstance(values, np.ndarray) or not found.size or found.ctypes.data == values.data_ptr()
        wanted = found.dtype if dtype is None else np.dtype(dtype)
        if copy is False and not (is_shared and wanted == found.dtype):
            held = values.dtype if isinstance(values, np.ndarray) else f"{values.dtype} on {values.device}"
            raise ValueError(f"A {type(self).__name__} holds {held}; an array of {wanted} would be a copy.")
        return found.astype(wanted, copy=bool(copy))

    def __dlpack__(self, **options: Any) -> object:
        return self._tensor.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        kind, number = self._tensor.__dlpack_device__()
        return int(kind), number

    @property
    def _tensor(self) -> Tensor:
        values = self._array
        tensor = torch.from_numpy(values) if isinstance(values, np.ndarray) else values
        return tensor.detach().resolve_conj().resolve_neg()


def array_of(values: Tensor | NDArray[Any]) -> NDArray[Any]:
    """The values as an array; bfloat16 and the types of 8 bits as float32, which holds each of them exactly."""
    if isinstance(values, np.ndarray):
        return values
    values = values.detach().cpu()
    is_short = values.dtype.is_floating_point and values.element_size() < 4 and values.dtype != torch.float16
    return (values.float() if is_short else values).resolve_conj().resolve_neg().numpy()
