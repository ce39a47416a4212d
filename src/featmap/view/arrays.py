"""Array files of tensors, in their own types, or wider where NumPy lacks the type."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from featmap.errors import OutputError
from featmap.result_array import array_of


def as_array(values: Tensor) -> NDArray[Any]:
    """The values as an array in order of its axes; bfloat16 and the types of 8 bits as float32."""
    return np.ascontiguousarray(array_of(values))


def shown_array(values: Tensor) -> NDArray[Any]:
    """Values as a picture shows them: of complex ones the magnitudes."""
    return as_array((values.abs() if values.is_complex() else values).float())


def npz_bytes(arrays: Mapping[str, Tensor | NDArray[Any]]) -> bytes:
    """Arrays by name as an .npz file."""
    buffer = io.BytesIO()
    plain = {name: as_array(part) if isinstance(part, Tensor) else part for name, part in arrays.items()}
    if held := next((name for name, part in plain.items() if part.dtype.hasobject), None):
        raise OutputError(f"'{held}' holds Python objects, no numbers.", "Save numbers.")
    # The argument that forbids pickles is newer than numpy 1.26, which would write it as one more array.
    np.savez(buffer, **plain)  # pyright: ignore[reportArgumentType]
    return buffer.getvalue()


def safetensors_bytes(tensors: Mapping[str, Tensor]) -> bytes:
    """Tensors by name as a .safetensors file, in their own types.

    Raises: OutputError: a type that the format lacks.
    """
    from safetensors.torch import save

    held = {name: part.detach().cpu().resolve_conj().resolve_neg().contiguous() for name, part in tensors.items()}
    if wide := next((name for name, part in held.items() if part.dtype == torch.complex128), None):
        raise OutputError(
            f"'{wide}' holds values of type complex128; a .safetensors file can hold complex64 at most.",
            "Save as .npz.",
        )
    # Two maps may be views of one tensor, which the format rejects.
    return save({name: part.clone() for name, part in held.items()})
