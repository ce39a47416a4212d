"""A module of functions that keep state, as packages of networks have them."""

from typing import Any

import torch
from torch import Tensor

CACHE: dict[Any, Tensor] = {}
LATEST: Any = None


def ramp(size: int) -> Tensor:
    """Kept in a dictionary, in a global, and in an attribute of the function."""
    global LATEST
    if size not in CACHE:
        CACHE[size] = torch.arange(float(size))
    LATEST = CACHE[size] * 1
    ramp.__dict__["kept"] = LATEST
    return LATEST
