"""How many are asked for? A whole number, at least one."""

from __future__ import annotations

from operator import index as index_of
from typing import Any

from featmap.errors import SettingError


def checked_count(k: Any) -> int:
    """`k` as a number of images. Raises: SettingError: it is no whole number, or none."""
    try:
        count = 0 if isinstance(k, bool) else index_of(k)
    except TypeError:
        count = 0
    if count < 1:
        raise SettingError(f"k is {k!r}.", "Ask for a whole number of images, at least one.")
    return count
