"""Plain data for JSON, which has no NaN and no infinity: such values become null, so that every parser reads it."""

from __future__ import annotations

import math
from typing import Any


def finite(value: Any) -> Any:
    """The same data with None for every number that is not finite.

    >>> finite({"mean": float("nan"), "shape": (1, 2)})
    {'mean': None, 'shape': [1, 2]}
    """
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [finite(part) for part in value]
    return value
