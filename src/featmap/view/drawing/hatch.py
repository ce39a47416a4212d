"""Hatching for what does not exist: slanted lines, unlike any map or photograph."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LINE = (198, 201, 206)
GROUND = (238, 239, 241)
PERIOD_PX = 8


def hatch(height: int, width: int) -> NDArray[np.uint8]:
    """An area (row, column, 3) of slanted lines.

    >>> hatch(2, 16).shape
    (2, 16, 3)
    """
    slant = (np.arange(height)[:, None] + np.arange(width)) % PERIOD_PX < 2
    return np.where(slant[..., None], np.array(LINE), np.array(GROUND)).astype(np.uint8)
