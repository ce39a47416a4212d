"""Random networks: planned shapes are torch's, unit boxes are the gradient's support, outside pixels do not matter."""

import copy

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import featmap as fm
from featmap.geometry import Status
from featmap.methods.receptive_field import FieldAnswer
from featmap.testing.modules import make_positive, transparent
from featmap.testing.oracles import SupportMask, gradient_support, scrambled_outside
from featmap.testing.strategies import RandomNetwork, any_networks

EXAMPLES = settings(max_examples=130, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
TWO_RUNS = pytest.mark.parametrize("run", ["first 260 networks", "260 more"])
"""So that two workers share the networks."""


def last_address(net: fm.Network, channel: int, *unit: int) -> str:
    """The address of a unit of the network's own output."""
    captured = net._captured
    return f"{captured.resolver.describe(captured.graph.outputs[0])}/{channel}@{','.join(map(str, unit))}"


def traced(drawn: RandomNetwork, seed: int) -> tuple[torch.nn.Module, fm.Network, torch.Tensor]:
    module = make_positive(drawn.module, seed)
    image = torch.rand(1, *drawn.input_shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) + 0.1
    return module, fm.trace(module, drawn.input_shape), image


@TWO_RUNS
@EXAMPLES
@given(drawn=any_networks(), data=st.data(), seed=st.integers(0, 999))
def test_the_geometry_of_a_network_is_what_torch_does(
    run: str, drawn: RandomNetwork, data: st.DataObject, seed: int
) -> None:
    module, net, image = traced(drawn, seed)
    with torch.no_grad():
        output = module(image)
    assert net.plan().layers[-1].output_shape == tuple(output.shape[1:])
    unit = (0, *(data.draw(st.integers(0, size - 1)) for size in output.shape[1:]))
    answer = net.receptive_field(last_address(net, *unit[1:]))
    check_support(answer, gradient_support(transparent(copy.deepcopy(module)), image, *unit[1:]))
    with torch.no_grad():
        other = module(scrambled_outside(image, answer.box, torch.Generator().manual_seed(seed)))
    # Elsewhere the convolution may be summed in another order, so the last bits may differ.
    assert other[unit].item() == pytest.approx(output[unit].item(), rel=1e-12)


def check_support(answer: FieldAnswer, support: SupportMask) -> None:
    """An exact box is the gradient's support and filled by it, another contains it."""
    if answer.status == Status.EXACT:
        assert support.box == answer.box
        assert support.fills_box
    else:
        assert answer.box.contains(support.box)


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(any_networks(), st.data())
def test_the_plan_of_another_size_has_the_shapes_of_a_run_at_that_size(
    drawn: RandomNetwork, data: st.DataObject
) -> None:
    net = fm.trace(drawn.module, drawn.input_shape)
    most = 24 if len(drawn.input_shape) < 4 else 10
    shape = (drawn.input_shape[0], *(data.draw(st.integers(5, most)) for _ in drawn.input_shape[1:]))
    with torch.no_grad():
        try:
            output = drawn.module(torch.zeros(1, *shape, dtype=torch.float64))
        except RuntimeError:
            with pytest.raises(fm.errors.FeatmapError):
                net.plan(shape)
            return
    assert net.plan(shape).layers[-1].output_shape == tuple(output.shape[1:])
