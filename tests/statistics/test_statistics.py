"""The one pass over maps, compared with numpy value by value; the values that a run yields one by one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from featmap.api import trace
from featmap.run.program.program import Program
from featmap.statistics.maps import MapStatistics, _by_operators, map_statistics  # pyright: ignore[reportPrivateUsage]
from featmap.testing.strategies import networks

KINDS = ((2, np.float32), (3, np.int32), (2, np.float64))


def check(found, maps, bounds):
    values = maps.double().numpy().reshape(*maps.shape[:2], -1)
    np.testing.assert_array_equal(found.maximum, values.max(axis=2))
    np.testing.assert_array_equal(found.place, values.argmax(axis=2))
    np.testing.assert_array_equal(found.minimum, values.min(axis=2))
    np.testing.assert_array_equal(found.positive, (values > 0).sum(axis=2))
    np.testing.assert_array_equal(found.at_bound, ((values <= bounds[0]) | (values >= bounds[1])).sum(axis=2))
    spread = values.var(axis=2) * values.shape[2]
    np.testing.assert_allclose(found.mean, values.mean(axis=2), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found.squares, spread, rtol=1e-3, atol=1e-4)


@settings(max_examples=60)
@given(
    shape=st.tuples(
        st.integers(1, 4),
        st.integers(1, 40) | st.sampled_from([64, 65, 257, 600]),
        st.integers(1, 17),
        st.integers(1, 17),
    ),
    seed=st.integers(0, 1000),
    is_rectified=st.booleans(),
    mean=st.sampled_from([0.0, -2.0, 50.0]),
    channels_last=st.booleans(),
)
def test_the_pass_equals_numpy(shape, seed, is_rectified, mean, channels_last):
    maps = torch.randn(shape, generator=torch.Generator().manual_seed(seed)) + mean
    # Few distinct values, so that maxima repeat and the first place is told apart from the others.
    maps = (maps * 2).round() / 2
    maps = maps.clamp(0, 1.5) if is_rectified else maps
    laid_out = maps.to(memory_format=torch.channels_last) if channels_last else maps
    bounds = (0.0, 1.5) if seed % 2 else (-np.inf, np.inf)
    check(map_statistics(laid_out, bounds), maps, bounds)
    apart = laid_out.permute(0, 2, 3, 1).flatten(1, 2)
    # Beside maps of other layers, which stay as they are.
    found = MapStatistics(*(np.full((n, shape[0], shape[1] + 3), 7, kind) for n, kind in KINDS))
    _by_operators(found, 2, apart, bounds)
    check(MapStatistics(*(part[:, :, 2:-1] for part in vars(found).values())), maps, bounds)
    assert all((part[:, :, [0, 1, -1]] == 7).all() for part in vars(found).values())


def test_a_constant_map_has_no_spread_and_a_far_mean_costs_no_accuracy():
    maps = torch.full((1, 2, 300, 300), 1e4)
    maps[0, 1, ::2] += 0.25
    found = map_statistics(maps)
    assert found.squares[0, 0] == 0
    assert found.squares[0, 1] == pytest.approx(0.125**2 * 90000, rel=1e-4)


@pytest.mark.parametrize("channels", [1, 3, 70])
@pytest.mark.parametrize("base", [1000.37, -7.3])
def test_one_odd_value_at_the_beginning_costs_no_accuracy(channels, base):
    """Of all values but the first the distances from the first are large and alike."""
    maps = torch.full((1, channels, 400, 400), base)
    maps[:, :, 0, 0] = 0
    found = map_statistics(maps.to(memory_format=torch.channels_last))
    np.testing.assert_allclose(found.mean, maps.double().mean((2, 3)), rtol=1e-9)
    np.testing.assert_allclose(found.squares, maps.double().var((2, 3), correction=0) * 160000, rtol=1e-4)


def test_a_mean_that_drifts_costs_no_accuracy():
    maps = torch.randn(2, 5, 200, 31) + torch.linspace(0, 1e5, 200)[:, None]
    found = map_statistics(maps)
    np.testing.assert_allclose(found.mean, maps.double().mean((2, 3)), rtol=1e-7)
    np.testing.assert_allclose(found.squares, maps.double().var((2, 3), correction=0) * 6200, rtol=1e-6)


@pytest.mark.parametrize("channels", [1, 5, 300])
@pytest.mark.parametrize("scale", [1e-38, 1e-24, 1e-15, 1e14, 1e20, 7e37])
def test_no_size_of_values_is_beyond_its_sums(channels, scale):
    maps = torch.randn(2, channels, 9, 13) * scale
    found, exact = map_statistics(maps), maps.double()
    np.testing.assert_allclose(found.mean / scale, exact.mean((2, 3)) / scale, atol=1e-6)
    np.testing.assert_allclose(found.squares, exact.var((2, 3), correction=0) * 117, rtol=1e-5)


@pytest.mark.parametrize("channels", [24, 300])
def test_several_threads_find_what_one_finds(channels):
    maps = torch.randn(3, channels, 70, 71).to(memory_format=torch.channels_last)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = map_statistics(maps)
        torch.set_num_threads(2)
        together = map_statistics(maps)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    check(together, maps, (-np.inf, np.inf))
    assert all(np.array_equal(getattr(alone, name), getattr(together, name)) for name in vars(alone))


def test_what_is_no_number_shows_in_the_mean():
    maps = torch.zeros(1, 3, 4, 4)
    maps[0, 1, 2, 2], maps[0, 2, 1, 1] = torch.nan, torch.inf
    assert np.isfinite(map_statistics(maps).mean).tolist() == [[True, False, False]]


@pytest.mark.parametrize("fold", [True, False])
def test_values_handed_over_one_by_one_are_those_of_a_run(fold):
    torch.manual_seed(0)
    module = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.BatchNorm2d(4), torch.nn.ReLU(), torch.nn.Conv2d(4, 4, 3)
    ).eval()
    network = trace(module, (3, 8, 8))._captured
    stages = [network.place("0:conv"), network.place("0:z")]
    wanted = [place.node for place in (*network.layer_places(), *stages)]
    program = Program(network.captured, network.tensors, wanted, fold=fold)
    images = torch.randn(2, 3, 8, 8)
    together = program.run(images)
    # Copied at once: a later step may write over what was handed over.
    apart = {index: value.clone() for index, value in program.each(images)}
    assert apart.keys() == together.keys()
    assert all(torch.equal(apart[index], together[index]) for index in together)
    # What was handed over makes room for what comes next; what a run returns stays as it was.
    handed_over = dict(program.each(images))
    conv, z, a = (network.place(f"0:{stage}").node for stage in ("conv", "z", "a"))
    assert handed_over[conv].data_ptr() == handed_over[z].data_ptr() == handed_over[a].data_ptr()
    assert len({value.data_ptr() for value in program.run(images).values()}) == len(together)


@settings(max_examples=25)
@given(drawn=networks(), seed=st.integers(0, 100))
def test_whatever_is_asked_of_a_network_is_handed_over_as_a_run_gives_it(drawn, seed):
    network = trace(drawn.module, drawn.input_shape)._captured
    wanted = [node.index for node in network.graph if node.depends_on_input and hasattr(node.spec, "shape")]
    chosen = np.random.default_rng(seed).permutation(wanted)[: 1 + seed % 7].tolist()
    program = Program(network.captured, network.tensors, chosen)
    images = torch.randn(1, *network.input_shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    together = program.run(images)
    apart = {index: value.clone() for index, value in program.each(images)}
    assert apart.keys() == together.keys()
    for index, value in together.items():
        # A batch norm that writes over its input rounds otherwise than one that does not.
        torch.testing.assert_close(apart[index], value, rtol=1e-12, atol=1e-12, equal_nan=True)


@pytest.mark.parametrize("shape", [(1, 3, 200, 201), (2, 64, 60, 61), (1, 200, 40, 40), (1, 300, 40, 40)])
def test_maps_that_no_near_cache_holds(shape):
    maps = (torch.randn(shape, generator=torch.Generator().manual_seed(0)) * 2).round() / 2
    check(map_statistics(maps.contiguous(memory_format=torch.channels_last), (0.0, 1.5)), maps, (0.0, 1.5))
