"""The largest values of each channel, compared with a full sort; co-moments, compared with numpy's correlation."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from featmap.statistics.comoments import CoMoments, CoMomentsOfMaps
from featmap.statistics.largest import LargestValues, joined
from featmap.statistics.positions import chosen_places


def maxima(maps: torch.Tensor) -> np.ndarray:
    return maps.amax((2, 3)).numpy()


@settings(max_examples=80)
@given(
    channels=st.sampled_from([1, 2, 3, 17, 63, 64, 65, 127, 128, 200]),
    count=st.integers(1, 60),
    parts=st.lists(st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 30)), min_size=1, max_size=5),
    seed=st.integers(0, 1000),
    is_rectified=st.booleans(),
    scale=st.sampled_from([2.0, 1e6]),
)
def test_the_largest_values_are_those_of_a_sort(channels, count, parts, seed, is_rectified, scale):
    drawn = torch.Generator().manual_seed(seed)
    maps = [torch.randn(n, channels, h, w, generator=drawn).mul(scale).round() / scale for n, h, w in parts]
    maps = [each.clamp(min=0) if is_rectified else each for each in maps]
    kept = LargestValues(channels, count)
    for each in maps:
        kept.add(each, maxima(each))
    everything = np.concatenate([each.permute(1, 0, 2, 3).reshape(channels, -1).numpy() for each in maps], axis=1)
    np.testing.assert_array_equal(kept.values(), -np.sort(-everything)[:, :count])


def test_a_floor_leaves_out_what_others_know():
    maps = torch.arange(12.0).reshape(1, 2, 2, 3)
    kept = LargestValues(2, 4, np.array([3.0, -np.inf], np.float32))
    kept.add(maps, maxima(maps))
    np.testing.assert_array_equal(kept.values(), [[5, 4, np.nan, np.nan], [11, 10, 9, 8]])


@settings(max_examples=60)
@given(
    ranks=st.tuples(st.integers(0, 9), st.integers(0, 9)),
    filled=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=5),
    seed=st.integers(0, 1000),
)
def test_joined_are_the_largest_of_both(ranks, filled, seed):
    drawn = np.random.default_rng(seed)
    both = [np.full((len(filled), count), np.nan, np.float32) for count in ranks]
    for which, kept in enumerate(both):
        for channel, counts in enumerate(filled):
            values = drawn.integers(-3, 3, min(counts[which], ranks[which])).astype(np.float32)
            kept[channel, : len(values)] = -np.sort(-values)
    expected = -np.sort(-np.concatenate(both, axis=1), axis=1)[:, : ranks[0]]
    np.testing.assert_array_equal(joined(*both), expected)


@settings(max_examples=60)
@given(
    channels=st.integers(1, 12),
    blocks=st.lists(st.integers(1, 4), min_size=1, max_size=4),
    mean=st.sampled_from([0.0, 1e3, -20.0]),
    seed=st.integers(0, 1000),
)
def test_merged_comoments_give_the_correlation_of_everything(channels, blocks, mean, seed):
    drawn = torch.Generator().manual_seed(seed)
    maps = [torch.randn(n, channels, 5, 4, generator=drawn) + mean for n in blocks]
    for each in maps:
        each[:, -1] = 7.1
    merged = CoMoments.none(channels)
    for each in maps:
        part = CoMomentsOfMaps(channels, 20)
        for image in each:
            part.add(image[None], 0)
        merged = merged.merged(part.found())
    rows = torch.cat(maps).permute(0, 2, 3, 1).reshape(-1, channels).double().numpy()
    found = merged.correlation()
    assert np.isfinite(found).all()
    assert not found[-1].any()
    assert not found[:, -1].any()
    if channels > 2:
        np.testing.assert_allclose(found[:-1, :-1], np.corrcoef(rows[:, :-1].T), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(merged.mean, rows.mean(axis=0), rtol=1e-9, atol=1e-9)
    assert merged.count == len(rows)


def test_chosen_places_are_distinct_and_spread():
    for every, count in ((10, 5), (3136, 36), (7, 7), (50176, 11608)):
        for number in range(5):
            places = chosen_places(every, count, number)
            assert len(set(places.tolist())) == count
            assert places.min() >= 0
            assert places.max() < every


def test_places_of_a_part_are_taken_image_by_image():
    maps = torch.randn(3, 2, 4, 4)
    part = CoMomentsOfMaps(2, 5)
    part.add(maps[:2], 0)
    part.add(maps[2:], 2)
    rows = np.concatenate([maps[n].reshape(2, 16).double().numpy()[:, chosen_places(16, 5, n)].T for n in range(3)])
    np.testing.assert_allclose(part.found().correlation(), np.corrcoef(rows.T), atol=1e-9)
