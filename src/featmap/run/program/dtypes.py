"""Numbers' types that a model's code names, where a network is computed in another one than the model's own.

A network that is computed in float64 is computed so from end to end: a cast in its forward to float32, or to half
precision, is one to float64 then. Integers, booleans and what is not a type stay as they are.
"""

from __future__ import annotations

from typing import Any

import torch

_COMPLEX = {torch.float16: torch.complex32, torch.float32: torch.complex64, torch.float64: torch.complex128}


def in_dtype(argument: Any, dtype: torch.dtype | None) -> Any:
    """An argument of a call with every floating type in it replaced; as it is where no type is asked for."""
    if dtype is None:
        return argument
    if isinstance(argument, torch.dtype):
        return _replaced(argument, dtype)
    if isinstance(argument, list | tuple):
        return [in_dtype(part, dtype) for part in argument]
    if isinstance(argument, dict):
        return {name: in_dtype(part, dtype) for name, part in argument.items()}
    return argument


def tensor_in_dtype(tensor: torch.Tensor, dtype: torch.dtype | None) -> torch.Tensor:
    """A tensor in the wanted type, if it holds floating or complex numbers."""
    return tensor if dtype is None else tensor.to(_replaced(tensor.dtype, dtype))


def _replaced(own: torch.dtype, dtype: torch.dtype) -> torch.dtype:
    if own.is_complex:
        return _COMPLEX.get(dtype, own)
    return dtype if own.is_floating_point else own
