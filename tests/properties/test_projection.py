"""Projections of random networks equal autograd with the rule at every rectifier, on boxes as on whole maps."""

import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import featmap as fm
from featmap.testing.strategies import RandomNetwork, any_networks
from support.projection_cases import RULES, assert_close, expected, last_layer, randomised, values_under

EXAMPLES = settings(
    max_examples=75,
    # A failing network is small as drawn; shrinking it takes minutes.
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


@EXAMPLES
@given(any_networks(), st.data(), st.integers(0, 999), st.sampled_from(RULES))
def test_units_equal_autograd_with_the_rule(drawn: RandomNetwork, data: st.DataObject, seed: int, rule: str) -> None:
    module = randomised(drawn.module, seed)
    image = torch.randn(1, *drawn.input_shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    net = fm.trace(module, drawn.input_shape)
    with torch.no_grad():
        shape = module(image).shape
    units = [
        tuple(data.draw(st.integers(0, size - 1)) for size in shape[1:]) for _ in range(data.draw(st.integers(1, 4)))
    ]
    address = last_layer(net)
    asked = [f"{address}/{channel}@{','.join(map(str, place))}" for channel, *place in units]
    memory = data.draw(st.sampled_from([1, 20_000, 2**28]))
    found = net.project(image, asked, rule, dtype=torch.float64, memory_bytes=memory, progress=False)
    for unit, projection in zip(units, found, strict=True):
        value, whole = expected(net, image, address, unit, rule)
        assert_close(projection, whole, value)


@EXAMPLES
@given(any_networks(), st.integers(0, 999), st.sampled_from(RULES))
def test_whole_maps_equal_autograd_with_the_rule(drawn: RandomNetwork, seed: int, rule: str) -> None:
    """The gradient of a map with its own values: what all its positions send at once."""
    module = randomised(drawn.module, seed)
    image = torch.randn(1, *drawn.input_shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    net = fm.trace(module, drawn.input_shape)
    given_image, values = values_under(net, image, rule)
    address = last_layer(net)
    place = net._captured.place(address)
    value = values[place.node][0, 0]
    start = value.detach()
    if rule != "gradient" and place.address.stage in ("conv", "z"):
        start = start.clamp_min(0)
    (whole,) = torch.autograd.grad(value, given_image, start, materialize_grads=True)
    found = net.project(image, f"{address}/0", rule, whole=True, dtype=torch.float64, progress=False)
    assert_close(found, whole[0], float(value.detach().max()))
