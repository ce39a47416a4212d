"""A snapshot of everything that a forward can write to, restored after the capture.

Capturing runs a module's forward on tensors without values. What the forward stores on the way (attributes, entries of
lists and dictionaries, hooks, class attributes, globals, caches) would keep such tensors, and the user's module could
no longer be run or saved. So everything that is reachable from the module is noted before, shallowly, and restored
after. Of parameters and buffers only the identity is noted, since capturing substitutes others for them. Other tensors
and arrays are used themselves, so their contents are copied. The position of iterators is not noted.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import Any

from torch import nn
from torch.nn.modules import module as torch_module

from featmap.capture.state.noted import Restore, noted
from featmap.capture.state.reachable import everything


@contextmanager
def unchanged(root: nn.Module) -> Generator[None]:
    """Restores everything reachable from the module afterwards, even when the block fails or is interrupted."""
    restores = [restore for value in everything(root, _global_hooks()) for restore in noted(value)]
    try:
        yield
    finally:
        _put_back(restores)


def _put_back(restores: Iterable[Restore]) -> None:
    """Runs all of them, even where one fails."""
    failures: list[Exception] = []
    for restore in restores:
        try:
            restore()
        except Exception as error:
            failures.append(error)
    if failures:
        raise failures[0]


def _global_hooks() -> list[Any]:
    """The hooks that torch runs for every module."""
    return [value for name, value in vars(torch_module).items() if name.startswith("_global_") and value is not None]
