"""The strongest images of each map, compared with a stable sort of everything, at once and in parts."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from featmap.statistics.strongest import Strongest


def expected(maximum: np.ndarray, place: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values, images and places per map, strongest first, of equal values the first image; else padded."""
    images, maps = maximum.shape
    value, image, where = np.full((maps, k), np.nan, np.float32), np.full((maps, k), -1), np.full((maps, k), -1)
    for m in range(maps):
        ranked = sorted(range(images), key=lambda at: (-maximum[at, m], at))[:k]
        value[m, : len(ranked)] = maximum[ranked, m]
        image[m, : len(ranked)] = ranked
        where[m, : len(ranked)] = place[ranked, m]
    return value, image, where


@settings(max_examples=120)
@given(
    maps=st.integers(1, 40),
    k=st.integers(1, 12),
    parts=st.lists(st.integers(0, 9), min_size=1, max_size=5),
    values=st.integers(1, 5),
    seed=st.integers(0, 1000),
)
def test_the_strongest_are_those_of_a_stable_sort(maps, k, parts, values, seed):
    random = np.random.default_rng(seed)
    # Few distinct values, so that images tie.
    maximum = random.integers(-values, values, (sum(parts), maps)).astype(np.float32)
    maximum[(maximum == 0) & (random.random(maximum.shape) < 0.5)] = -0.0
    place = random.integers(0, 999, maximum.shape).astype(np.int32)
    wanted = expected(maximum, place, k)
    together, merged, first = Strongest.of(maximum, place, k), Strongest.none(maps, k), 0
    for count in parts:
        here = slice(first, first + count)
        merged = merged.merged(Strongest.of(maximum[here], place[here], k).numbered_from(first))
        first += count
    for found in (together, merged):
        for name, true in zip(("value", "image", "place"), wanted, strict=True):
            np.testing.assert_array_equal(getattr(found, name), true)


def test_what_is_no_number_is_never_among_the_strongest():
    maximum = np.array([[np.nan], [-np.inf], [-np.nan], [2.0]], np.float32)
    found = Strongest.of(maximum, np.zeros((4, 1), np.int32), 3)
    assert found.image.tolist() == [[3, 1, -1]]
    assert found.place.tolist() == [[0, 0, -1]]
    np.testing.assert_array_equal(found.value, [[2, -np.inf, np.nan]])


def test_of_many_maps_some_are_taken_at_a_time(monkeypatch):
    monkeypatch.setattr("featmap.statistics.strongest._KEYS_AT_ONCE", 50)
    maximum = np.random.default_rng(0).integers(-3, 3, (20, 7)).astype(np.float32)
    place = np.arange(140, dtype=np.int32).reshape(20, 7)
    found = Strongest.of(maximum, place, 4)
    for name, true in zip(("value", "image", "place"), expected(maximum, place, 4), strict=True):
        np.testing.assert_array_equal(getattr(found, name), true)
