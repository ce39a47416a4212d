"""featmap: a measuring instrument for the feature maps of convolutional networks.

>>> import featmap as fm
>>> fm.geometry.Window(kernel=5).output_size(32)
28
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from featmap.version import __version__

if TYPE_CHECKING:
    from featmap import errors, geometry
    from featmap.api import Index, Layer, Network, load, register_engine, register_format, register_operator, trace
    from featmap.network.preprocess import Preprocessing

__all__ = [
    "Index",
    "Layer",
    "Network",
    "Preprocessing",
    "__version__",
    "errors",
    "geometry",
    "load",
    "register_engine",
    "register_format",
    "register_operator",
    "trace",
]

_HOMES = {
    "Index": "featmap.api",
    "Layer": "featmap.api",
    "Network": "featmap.api",
    "load": "featmap.api",
    "register_engine": "featmap.api",
    "register_format": "featmap.api",
    "register_operator": "featmap.api",
    "trace": "featmap.api",
    "Preprocessing": "featmap.network.preprocess",
}


def __getattr__(name: str) -> Any:
    # torch takes a second to import: it is loaded when a network is first asked for.
    if name in ("geometry", "errors"):
        return importlib.import_module(f"featmap.{name}")
    if name in _HOMES:
        return getattr(_imported(_HOMES[name]), name)
    raise AttributeError(f"module 'featmap' has no attribute '{name}'")


def _imported(home: str) -> Any:
    import random

    # rich draws random numbers when it is imported; the user's own go on as if it had not.
    state = random.getstate()
    try:
        return importlib.import_module(home)
    finally:
        random.setstate(state)


def __dir__() -> list[str]:
    return list(__all__)
