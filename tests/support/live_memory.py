"""Memory of tensors at any moment of a run, measured by watching every tensor that torch makes."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode


class LiveMemory(TorchDispatchMode):
    """While active, adds up the storages of all living tensors made under it; `peak_bytes` is the most seen.

    Tensors in `ignored` and their storages do not count.
    """

    def __init__(self, ignored: Iterable[Tensor] = ()) -> None:
        super().__init__()
        self.peak_bytes = 0
        self._ignored = {tensor.untyped_storage().data_ptr() for tensor in ignored}
        self._seen: list[tuple[weakref.ref[Tensor], int, int]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in pytree.tree_leaves(result):
            if isinstance(tensor, Tensor) and tensor.device.type != "meta":
                storage = tensor.untyped_storage()
                self._seen.append((weakref.ref(tensor), storage.data_ptr(), storage.nbytes()))
        self._seen = [entry for entry in self._seen if entry[0]() is not None]
        alive = {place: size for _, place, size in self._seen if place not in self._ignored}
        self.peak_bytes = max(self.peak_bytes, sum(alive.values()))
        return result


def measured_peak_bytes(run: Any, ignored: Iterable[Tensor] = ()) -> int:
    """The most that tensors made by `run()` take at one moment."""
    with LiveMemory(ignored) as memory:
        run()
    return memory.peak_bytes


def weights_of(*holders: Any) -> list[Tensor]:
    """The tensors among nested containers."""
    return [leaf for leaf in pytree.tree_leaves(holders) if isinstance(leaf, torch.Tensor)]
