"""Positions on a map of any number of axes: their numbers in the flattened map, and their words."""

from __future__ import annotations

from collections.abc import Sequence

from featmap.geometry.setting import axis_words


def place_of(flat: int, size: Sequence[int]) -> tuple[int, ...]:
    """The position along each axis of a map, from its number in the order of the flattened map.

    >>> place_of(7, (2, 5)), place_of(7, (9,))
    ((1, 2), (7,))
    """
    place: list[int] = []
    for count in reversed(size):
        flat, at = divmod(flat, count)
        place.append(at)
    return tuple(reversed(place))


def place_words(place: Sequence[int]) -> str:
    """A position on a map in words.

    >>> place_words((3, 7)), place_words((512,))
    ('row 3, column 7', 'position 512')
    """
    return ", ".join(f"{words.cell} {at}" for words, at in zip(axis_words(len(place)), place, strict=True))


def unit_words(place: Sequence[int]) -> str:
    """A position on a map as an address ends with it.

    >>> unit_words((3, 7))
    '@3,7'
    """
    return f"@{','.join(map(str, place))}"
