"""Modules that return their input: `nn.Identity`, empty containers, drop paths in evaluation.

They call no operator, so the graph would hold nothing of them, and they could not be addressed. While a model is
recorded such a call returns its input through a dropout that drops nothing, which is later removed from the graph while
its module call is kept.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook


@contextmanager
def passing_recorded() -> Generator[None]:
    """While active, marks the values that modules pass through."""
    handle = register_module_forward_hook(_marked)
    try:
        yield
    finally:
        handle.remove()


def _marked(module: nn.Module, given: tuple[Any, ...], output: Any) -> Any:
    # A module that works in place returns its input as well.
    is_input = isinstance(output, Tensor) and any(output is value for value in given)
    if not is_input or getattr(module, "inplace", False) or isinstance(module, nn.modules.dropout._DropoutNd):  # pyright: ignore[reportPrivateUsage]
        return None
    return torch.dropout(output, 0.0, False)
