"""Formats of arrays by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from featmap.view.formats.format import Content, Format

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor


class Npz(Format):
    """NumPy's own; types that NumPy lacks are widened."""

    suffix = ".npz"
    contents = (Content.TENSORS, Content.ARRAYS)

    def encode(self, content: Mapping[str, Tensor | NDArray[Any]]) -> bytes:
        from featmap.view.arrays import npz_bytes

        return npz_bytes(content)


class Safetensors(Format):
    """Tensors in their own types."""

    suffix = ".safetensors"
    contents = (Content.TENSORS,)

    def encode(self, content: Mapping[str, Tensor]) -> bytes:
        from featmap.view.arrays import safetensors_bytes

        return safetensors_bytes(content)
