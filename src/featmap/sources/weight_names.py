"""Names in weights files of wrapped modules, without the prefixes that the wrappers add.

DataParallel and DistributedDataParallel add `module.` to every name, torch.compile adds `_orig_mod.` to the names of
what it compiled, training frameworks often add `model.`. Prefixes are removed only where names of the network remain.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection
from pathlib import Path

from torch import Tensor

from featmap.errors import FeatmapWarning

COMPILED = "_orig_mod."
WRAPPERS = ("module.", "model.", "net.", "network.")


class PrefixesRemoved(FeatmapWarning):
    """Names in a weights file had the prefixes of a wrapper."""


def unwrapped(state: dict[str, Tensor], own: Collection[str], path: Path) -> dict[str, Tensor]:
    """The tensors by the network's own names, as far as they differ by prefixes of wrappers only."""
    if not state or any(name in own for name in state):
        # A file with some of the network's own names is left as it is, except for parts that were compiled.
        return _said(_without_compiled(state), state, path)
    found, removed = _without_compiled(state), list[str]()
    while not any(name in own for name in found):
        prefix = next((word for word in WRAPPERS if all(name.startswith(word) for name in found)), None)
        if prefix is None:
            return state
        found = {name.removeprefix(prefix): tensor for name, tensor in found.items()}
        removed.append(prefix)
    return _said(found, state, path, removed)


def _without_compiled(state: dict[str, Tensor]) -> dict[str, Tensor]:
    shorter = {name.replace(COMPILED, ""): tensor for name, tensor in state.items()}
    return shorter if len(shorter) == len(state) else state


def _said(
    found: dict[str, Tensor], state: dict[str, Tensor], path: Path, removed: Collection[str] = ()
) -> dict[str, Tensor]:
    prefixes = [*([COMPILED] if any(COMPILED in name for name in state.keys() - found.keys()) else []), *removed]
    if prefixes:
        words = " and ".join(f"'{prefix}'" for prefix in prefixes)
        warnings.warn(f"'{path}' was saved from a wrapped module: {words} left out of its names.", PrefixesRemoved, 4)
    return found
