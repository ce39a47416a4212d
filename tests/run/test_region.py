"""The region engine gives what full runs give, operator by operator, and computes no more than it says."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import featmap as fm
from featmap.errors import InputError
from featmap.geometry import Box
from featmap.run.program.program import Program
from featmap.run.region.boxes import values_on_boxes
from featmap.run.region.patches import copying, patches
from featmap.run.region.reach import needed_boxes
from featmap.testing.oracles import gradient_support
from support.closeness import assert_close as assert_tensors_close
from support.occlusion_cases import (
    REGIONAL,
    SHAPE,
    WHOLE,
    assert_equals,
    assert_equals_full_runs,
    between,
    case,
    case_of,
    full_runs,
    units,
)
from support.tiny_modules import conv

SOME = (
    "residual, strided",
    "concat",
    "transposed, stride over kernel",
    "bilinear",
    "circular",
    "pad by a value",
    "maximum pool, ceil",
    "average pool of the map alone",
    "pixel shuffle",
    "ConvNeXt",
    "mean of channels, put back",
    "squeeze and excite",
    "positions",
)
"""One of every kind, for what is asked of all in several ways."""


@pytest.mark.filterwarnings("ignore::featmap.network.differing.BatchStatistics")
@pytest.mark.parametrize("name", [*REGIONAL, *WHOLE])
def test_maps_and_units_equal_full_runs(name: str) -> None:
    asked = case(name)
    if asked.has_maps:
        target = f"{asked.output}/1"
        assert_equals_full_runs(asked, target, lambda y: y[0, 1].max(), name=name)
        assert_equals_full_runs(
            asked,
            target,
            lambda y: y[0, 1].sum(),
            activity="sum",
            window=1,
            stride=(5, 6),
            memory_bytes=40_000,
            name=name,
        )
        for number, unit in enumerate(units(asked.shape)):
            target = f"{asked.output}/{unit[0]}@{unit[1]},{unit[2]}"
            settings = {"window": (2, 3), "stride": (4, 3), "memory_bytes": (1, 2**28)[number % 2]}
            assert_equals_full_runs(asked, target, lambda y, unit=unit: y[0][unit], name=name, **settings)
    place = tuple(size // 2 for size in asked.shape)
    assert_equals_full_runs(asked, place, lambda y: y[0][place], window=(12, 4), stride=3, name=name)


@pytest.mark.parametrize("name", [*REGIONAL, *WHOLE])
def test_the_plan_says_what_is_computed_on_regions(name: str) -> None:
    asked = case(name)
    layers = asked.net.occlusion_cost(tuple(0 for _ in asked.shape), window=3, stride=4).layers
    everything = asked.net.occlusion_cost(f"{asked.output}/0", window=3, stride=4)
    assert all(row.is_regional for row in (*layers, *everything.layers)) == (name in REGIONAL)
    for row in everything.layers:
        assert 0 < row.exact <= row.recomputed <= 1
        assert row.is_regional or (row.exact, row.recomputed) == (1, 1)
    assert 1 <= everything.expected <= everything.ceiling


@pytest.mark.parametrize("name", SOME)
def test_chunks_give_what_one_batch_gives(name: str) -> None:
    asked = case(name)
    whole = assert_equals_full_runs(asked, (0, 3, 2), lambda y: y[0, 0, 3, 2], window=3, stride=2)
    for memory_bytes in (1, 100_000, 400_000):
        parts = asked.net.occlude(
            asked.image, (0, 3, 2), window=3, stride=2, dtype=torch.float64, memory_bytes=memory_bytes, progress=False
        )
        assert_equals(parts, whole.grid, name)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("name", SOME)
def test_places_are_gathered_alike_with_and_without_the_compiled_pass(
    name: str, compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if compiled and not copying.can_copy(torch.zeros(1)):
        pytest.skip("numba is not installed")
    if not compiled:
        monkeypatch.setattr(patches, "can_copy", lambda _: False)
    asked = case(name)
    rows, columns = asked.shape[1:]
    assert_equals_full_runs(asked, f"{asked.output}/0", lambda y: y[0, 0].mean(), activity="mean", name=name)
    assert_equals_full_runs(asked, (1, rows - 1, columns // 2), lambda y: y[0, 1, rows - 1, columns // 2], name=name)


@pytest.mark.parametrize("name", SOME)
def test_in_float32_scores_are_close(name: str) -> None:
    asked = case(name)
    module = REGIONAL.get(name, WHOLE.get(name))
    assert module is not None
    single = case_of(module(), SHAPE, seed=len(name)).module.float()
    found = fm.trace(single, SHAPE).occlude(
        asked.image.float(), f"{asked.output}/0", (3, 4), (4, 3), activity="mean", progress=False
    )
    scores = full_runs(asked.module, asked.image, found, lambda y: y[0, 0].mean())
    assert np.abs(found.grid - scores).max() <= 1e-4 * float(asked.module(asked.image).detach().abs().max())


@pytest.mark.parametrize("channels", [1, 3, 5])
@pytest.mark.parametrize("shape", [(9, 14), (14, 9)])
@pytest.mark.parametrize(
    "settings",
    [
        {"window": 1, "stride": 4},
        {"window": (2, 5), "stride": (5, 2)},
        {"window": (9, 9), "stride": 1},
        {"window": (3, 2), "stride": (7, 9)},
        {"window": 3, "stride": 100},
        {"window": "all", "stride": 1},
    ],
    ids=str,
)
def test_any_window_and_stride(channels: int, shape: tuple[int, int], settings: dict) -> None:
    module = nn.Sequential(conv(channels, 4, 3, stride=(1, 2)), nn.ReLU(inplace=True), nn.MaxPool2d(2), conv(4, 2))
    asked = case_of(module, (channels, *shape))
    settings = {**settings, "window": shape} if settings["window"] == "all" else settings
    assert_equals_full_runs(asked, f"{asked.output}/1", lambda y: y[0, 1].max(), **settings)


def test_another_size_than_the_captured_one() -> None:
    asked = case("residual, strided")
    image = torch.randn(1, 3, 17, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    found = asked.net.occlude(image, f"{asked.output}/1@2,3", 3, 4, dtype=torch.float64, progress=False)
    assert_equals(found, full_runs(asked.module, image, found, lambda y: y[0, 1, 2, 3]))
    assert found.image_size == (17, 9)


def test_a_network_captured_on_several_images() -> None:
    asked = case("concat")
    net = fm.trace(asked.module, inputs=asked.image.repeat(3, 1, 1, 1))
    found = net.occlude(asked.image, f"{asked.output}/1", 3, 4, dtype=torch.float64, progress=False)
    assert_equals(found, full_runs(asked.module, asked.image, found, lambda y: y[0, 1].max()))


@pytest.mark.parametrize("name", [name for name in REGIONAL if name != "resize to a size"])
def test_boxes_hold_what_the_whole_maps_hold(name: str) -> None:
    asked = case(name)
    captured = asked.net._captured
    target = captured.graph.outputs[0]
    assert target is not None
    _, row, column = units(asked.shape)[2]
    needed = needed_boxes(captured.sized, target, Box(row, column, row + 1, column + 1))
    # A box of less than half of the image, whatever the unit needs.
    wanted = set(needed) - {captured.graph.image_input}
    program = Program(captured.captured, captured.tensors, wanted, dtype=torch.float64)
    whole = program.run(asked.image)
    values, boxes = values_on_boxes(program, captured.sized, asked.image, needed, wanted)
    assert set(values) == wanted
    for index, value in values.items():
        expected, axes = whole[index], captured.sized.axes[index]
        if index in boxes and isinstance(value, Tensor):
            box = boxes[index]
            assert needed[index].intersection(box) == needed[index]
            row, column = axes.in_space
            expected = expected.narrow(row, box.top, box.height).narrow(column, box.left, box.width)
        if isinstance(value, Tensor):
            assert value.dtype == expected.dtype
            assert_tensors_close(value.double(), expected.double(), f"{name}, value {index}")


def test_boxes_are_less_than_whole_maps() -> None:
    module = nn.Sequential(conv(3, 4), nn.ReLU(), conv(4, 4), nn.ReLU(), nn.MaxPool2d(2), conv(4, 2))
    asked = case_of(module, (3, 40, 40))
    captured = asked.net._captured
    target = captured.graph.outputs[0]
    assert target is not None
    needed = needed_boxes(captured.sized, target, Box(10, 10, 11, 11))
    program = Program(captured.captured, captured.tensors, {target}, dtype=torch.float64)
    values, boxes = values_on_boxes(program, captured.sized, asked.image, needed, {target})
    assert boxes == {target: Box(10, 10, 11, 11)}
    assert values[target].shape == (1, 2, 1, 1)
    torch.testing.assert_close(values[target], asked.module(asked.image).detach()[:, :, 10:11, 10:11])


@pytest.mark.parametrize("name", [*SOME, "dilation", "strided", "adaptive average", "reflect"])
def test_windows_outside_of_the_receptive_field_cost_nothing_and_change_nothing(name: str) -> None:
    asked = case(name)
    channel, row, column = units(asked.shape)[0]
    target = f"{asked.output}/{channel}@{row},{column}"
    found = asked.net.occlude(asked.image, target, 1, 2, dtype=torch.float64, progress=False)
    field = asked.net.receptive_field(target)
    support = gradient_support(asked.module, asked.image, channel, row, column).mask.numpy()
    for drops, line in zip(found.drop, found.positions, strict=True):
        for drop, (top, left, _, _) in zip(drops, line, strict=True):
            inside = field.box.top <= top < field.box.bottom and field.box.left <= left < field.box.right
            assert inside or (drop == 0 and not support[top, left])
    if name in REGIONAL:
        reaching = (field.box.height + 1) // 2 * ((field.box.width + 1) // 2)
        assert found.recomputed_share <= reaching / found.windows.count
        assert (found.recomputed_share == 0) == field.box.is_empty


def test_a_unit_that_sees_padding_alone() -> None:
    asked = case_of(nn.Sequential(nn.Conv2d(3, 2, 1, padding=2), nn.ReLU(), nn.Conv2d(2, 2, 1)), SHAPE)
    found = assert_equals_full_runs(asked, f"{asked.output}/1@0,5", lambda y: y[0, 1, 0, 5])
    assert not found.drop.any()
    assert found.recomputed_share == 0


def test_a_model_that_draws_random_numbers_leaves_the_users_sequence_alone() -> None:
    asked = case_of(between(lambda x: x + torch.randn_like(x)), SHAPE)
    torch.manual_seed(3)
    before = torch.get_rng_state()
    with pytest.raises(InputError, match="random in evaluation"):
        asked.net.occlude(asked.image, f"{asked.output}/1", 3, 4, verify=2, progress=False)
    assert torch.equal(before, torch.get_rng_state())
