"""Chunks of an occlusion and batches of projected units: every one once, whatever the memory, and each as if alone."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from torch import Tensor

import featmap as fm
from featmap.geometry import Box, Interval
from featmap.network.network import CapturedNetwork
from featmap.run.execution import Execution
from featmap.run.occlusion import Occlusion, OcclusionPlan, channel_values
from featmap.run.projection import Projector, Unit, on_box
from featmap.testing.strategies import RandomNetwork, networks
from support.projection_cases import randomised

EXAMPLES = settings(
    max_examples=25,
    # A failing network is small as drawn; shrinking it takes minutes.
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
MEMORIES = (1, 5_000, 2**28)


def traced(drawn: RandomNetwork, seed: int) -> tuple[torch.nn.Module, CapturedNetwork, Tensor]:
    module = randomised(drawn.module, seed)
    image = torch.randn(drawn.input_shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return module, fm.trace(module, inputs=image[None])._captured, image


def output_of(net: CapturedNetwork) -> int:
    (output,) = net.graph.outputs
    assert output is not None
    return output


def drawn_windows(data: st.DataObject, size: int) -> list[Interval]:
    side = data.draw(st.integers(1, size))
    return [Interval(start, start + side) for start in range(0, size - side + 1, data.draw(st.integers(2, 4)))]


def run_chunks(occlusion: Occlusion) -> tuple[dict[tuple[int, int], Tensor], int]:
    """The value at every position that some chunk holds, and the most positions of a chunk."""
    found: dict[tuple[int, int], Tensor] = {}
    most = 0
    for rows, columns, value in occlusion.chunks():
        most = max(most, len(rows) * len(columns))
        for at, position in enumerate(product(rows, columns)):
            assert position not in found, "a position twice"
            found[position] = occlusion.untouched[0] if value is None else value[at]
    return found, most


@EXAMPLES
@given(networks(), st.data(), st.integers(0, 999))
def test_every_position_has_the_value_of_a_run_on_the_occluded_image(
    drawn: RandomNetwork, data: st.DataObject, seed: int
) -> None:
    module, net, image = traced(drawn, seed)
    rows, columns = (drawn_windows(data, size) for size in drawn.input_shape[1:])
    baseline = data.draw(st.sampled_from(["zero", "picture", "mean"]))
    picture = {"zero": torch.zeros_like(image), "picture": image.flip(1), "mean": None}[baseline]
    by_memory = [
        run_chunks(
            Occlusion(
                OcclusionPlan(net, output_of(net), None, rows, columns, execution=Execution(memory_bytes=memory)),
                image,
                picture,
            )
        )
        for memory in MEMORIES
    ]
    assert by_memory[0][1] <= 1
    untouched = module(image[None]).detach()[0]
    for position in product(range(len(rows)), range(len(columns))):
        down, across = rows[position[0]], columns[position[1]]
        changed = image.clone()
        window = changed[:, down.start : down.stop, across.start : across.stop]
        painted = window.mean((1, 2), keepdim=True).expand_as(window)
        if picture is not None:
            painted = picture[:, down.start : down.stop, across.start : across.stop]
        window.copy_(painted.clone())
        expected = module(changed[None]).detach()[0]
        for found, _ in by_memory:
            # A position that no chunk holds is one from which nothing reaches the target.
            value = found.get(position, untouched)
            assert torch.allclose(value, expected, rtol=1e-9, atol=1e-9, equal_nan=True), baseline


@EXAMPLES
@given(networks(), st.data(), st.integers(0, 999))
def test_one_channel_and_one_box_are_parts_of_the_whole(drawn: RandomNetwork, data: st.DataObject, seed: int) -> None:
    module, net, image = traced(drawn, seed)
    rows, columns = (drawn_windows(data, size) for size in drawn.input_shape[1:])
    shape = module(image[None]).shape[1:]
    channel = data.draw(st.integers(0, shape[0] - 1))
    top, left = (data.draw(st.integers(0, size - 1)) for size in shape[1:])
    box = Box(top, left, data.draw(st.integers(top + 1, shape[1])), data.draw(st.integers(left + 1, shape[2])))
    target, zeros = output_of(net), torch.zeros_like(image)
    whole = Occlusion(OcclusionPlan(net, target, None, rows, columns), image, zeros)
    part = Occlusion(OcclusionPlan(net, target, box, rows, columns, channel=channel), image, zeros)
    of_whole, of_part = run_chunks(whole)[0], run_chunks(part)[0]
    assert of_part.keys() <= of_whole.keys()
    for position, value in of_whole.items():
        expected = value[channel, box.top : box.bottom, box.left : box.right].flatten()
        found = of_part.get(position, part.untouched[0])
        assert torch.allclose(found, expected, rtol=1e-9, atol=1e-9, equal_nan=True)
    untouched = channel_values(net.sized, target, whole.untouched, channel).view(1, *shape[1:])
    expected = untouched[:, box.top : box.bottom, box.left : box.right].flatten(1)
    assert torch.allclose(part.untouched, expected, rtol=1e-9, equal_nan=True)


def drawn_units(data: st.DataObject, shape: torch.Size) -> list[Unit]:
    count = data.draw(st.integers(1, 5))
    return [
        Unit(
            data.draw(st.integers(0, shape[1] - 1)),
            tuple(data.draw(st.integers(0, size - 1)) for size in shape[2:]),
            data.draw(st.floats(-3, 3)),
        )
        for _ in range(count)
    ]


def autograd(module: torch.nn.Module, image: Tensor, unit: Unit) -> Tensor:
    given_image = image[None].clone().requires_grad_()
    value = module(given_image)[(0, unit.channel, *unit.place)]
    (found,) = torch.autograd.grad(
        value, given_image, torch.tensor(unit.start, dtype=torch.float64), materialize_grads=True
    )
    return found[0]


@EXAMPLES
@given(networks(), st.data(), st.integers(0, 999))
def test_every_unit_is_projected_once_and_as_autograd_would(
    drawn: RandomNetwork, data: st.DataObject, seed: int
) -> None:
    module, net, image = traced(drawn, seed)
    units = drawn_units(data, module(image[None]).shape)
    whole = Box(0, 0, *drawn.input_shape[1:])
    for memory in MEMORIES:
        projector = Projector(net, output_of(net), "gradient", "scale", memory_bytes=memory)
        forward = projector.forward(image)
        seen: list[Unit] = []
        for part, signal in projector.units(forward, units):
            assert len(signal) == len(part)
            assert memory > 1 or len(part) == 1
            for at, unit in enumerate(part):
                seen.append(unit)
                expected = autograd(module, image, unit)
                scale = max(1.0, float(expected.abs().max()))
                assert float((on_box(signal, at, whole) - expected).abs().max()) <= 1e-9 * scale
        assert seen == units
        first = units[0]
        value = float(module(image[None])[(0, first.channel, *first.place)].detach())
        assert projector.value(forward, first.channel, first.place) == pytest.approx(value, rel=1e-9)


@EXAMPLES
@given(networks(), st.data(), st.integers(0, 999), st.floats(-2, 2))
def test_the_gradient_is_linear_in_the_signal(
    drawn: RandomNetwork, data: st.DataObject, seed: int, factor: float
) -> None:
    """Signals at all places at once send what the single ones send, added up."""
    module, net, image = traced(drawn, seed)
    projector = Projector(net, output_of(net), "gradient", "scale")
    forward = projector.forward(image)
    shape, whole = module(image[None]).shape[1:], Box(0, 0, *drawn.input_shape[1:])
    units = drawn_units(data, module(image[None]).shape)
    maps = torch.zeros(shape, dtype=torch.float64)
    for unit in units:
        maps[(unit.channel, *unit.place)] += unit.start
    single = sum(
        on_box(signal, at, whole) for part, signal in projector.units(forward, units) for at in range(len(part))
    )
    assert isinstance(single, Tensor)
    scale = max(1.0, float(single.abs().max()))
    together = on_box(projector.from_maps(forward, maps), 0, whole)
    assert float((together - single).abs().max()) <= 1e-9 * scale
    scaled = on_box(projector.from_maps(forward, maps * factor), 0, whole)
    assert float((scaled - factor * together).abs().max()) <= 1e-9 * scale
    by_value = on_box(projector.from_value(forward, maps[None]), 0, whole)
    assert torch.equal(by_value, together)


@EXAMPLES
@given(networks(), st.data(), st.integers(0, 999))
def test_a_box_of_the_projection_is_a_slice_of_the_whole_one(
    drawn: RandomNetwork, data: st.DataObject, seed: int
) -> None:
    module, net, image = traced(drawn, seed)
    projector = Projector(net, output_of(net), "deconvnet", "scale")
    units = drawn_units(data, module(image[None]).shape)
    ((_, signal), *_) = projector.units(projector.forward(image), units)
    height, width = drawn.input_shape[1:]
    whole = on_box(signal, 0, Box(0, 0, height, width))
    top, left = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    box = Box(top, left, data.draw(st.integers(top + 1, height)), data.draw(st.integers(left + 1, width)))
    assert torch.equal(on_box(signal, 0, box), whole[:, box.top : box.bottom, box.left : box.right])
    beyond = on_box(signal, 0, Box(-2, -3, height + 1, width + 4))
    assert torch.equal(beyond[:, 2 : 2 + height, 3 : 3 + width], whole)
    assert float(beyond.abs().sum()) == pytest.approx(float(whole.abs().sum())), "nothing outside of the image"
