"""Checking counts and channels: whole numbers in their range."""

from __future__ import annotations

from operator import index as index_of
from typing import Any

from featmap.errors import SettingError


def checked_count(k: Any, name: str = "k", what: str = "images") -> int:
    """`k`, checked; `k` is the argument's name for the user.

    Raises: SettingError: it is not a whole number from 1 on.
    """
    try:
        count = 0 if isinstance(k, bool) else index_of(k)
    except TypeError:
        count = 0
    if count < 1:
        raise SettingError(f"{name} is {k!r}.", f"Ask for a whole number of {what}, at least one.")
    return count


def checked_channels(channels: Any) -> list[int]:
    """The numbers of maps that a user lists. Raises: SettingError: they are no whole numbers."""
    try:
        return [index_of(channel) for channel in channels]
    except TypeError as error:
        raise SettingError(f"channels {channels!r} are no list of maps.", "Give whole numbers: [7, 117].") from error
