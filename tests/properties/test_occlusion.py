"""Occlusion of random networks is that of one full run per window, for maps, units and classes."""

from typing import Any

import numpy as np
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import featmap as fm
from featmap.methods.occlude import Cover, occlude
from featmap.methods.shared.occlusion import OcclusionMap
from featmap.run.execution import Execution
from featmap.testing.oracles import occluded_outputs
from featmap.testing.strategies import RandomNetwork, any_networks

EXAMPLES = settings(
    max_examples=60,
    # A failing network is small as drawn; shrinking it takes minutes.
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


class WithHead(nn.Module):
    """A network with a mean over each map and a linear layer."""

    def __init__(self, body: nn.Module, channels: int) -> None:
        super().__init__()
        self.body = body
        self.head = nn.Linear(channels, 4).double()

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x).flatten(2).mean(2))


@st.composite
def questions(draw: st.DrawFn, size: tuple[int, ...]) -> dict[str, Any]:
    """Window, stride and chunking."""
    window = tuple(draw(st.integers(1, side)) for side in size)
    stride = tuple(draw(st.integers(2, 5)) for _ in size)
    execution = Execution(torch.float64, memory_bytes=draw(st.sampled_from([1, 20_000, 2**28])))
    return {"cover": Cover(window, stride), "execution": execution}


def image_for(drawn: RandomNetwork, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(1, *drawn.input_shape, dtype=torch.float64, generator=generator)


def randomised(module: nn.Module, seed: int) -> nn.Module:
    """Weights of both signs, and batch norms with statistics of their own."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
            if tensor.is_floating_point():
                values = torch.randn(tensor.shape, generator=generator, dtype=tensor.dtype)
                tensor.copy_(values.abs() + 0.5 if name.endswith("running_var") else values)
    return module


def expected(module: nn.Module, image: Tensor, found: OcclusionMap, read: Any) -> np.ndarray[Any, Any]:
    shape = found.windows.shape
    boxes = [found.windows.box(*position) for position in np.ndindex(*shape)]
    (outputs,) = occluded_outputs(module, image, [boxes], torch.zeros_like(image[0]))
    return np.array([float(read(output)) for output in outputs]).reshape(shape)


def assert_close(found: OcclusionMap, scores: np.ndarray[Any, Any]) -> None:
    # A maximum over padding alone is -inf, without the window and with it.
    finite = np.isfinite(scores)
    assert np.array_equal(found.grid[~finite], scores[~finite], equal_nan=True)
    if finite.any():
        largest = max(np.abs(scores[finite]).max(), abs(found.score) if np.isfinite(found.score) else 0.0, 1e-12)
        assert np.abs(found.grid[finite] - scores[finite]).max() <= 1e-9 * largest
    assert not np.isnan(found.drop[found.grid == found.score]).any()


@EXAMPLES
@given(any_networks(), st.data(), st.integers(0, 999))
def test_maps_and_units_equal_full_runs(drawn: RandomNetwork, data: st.DataObject, seed: int) -> None:
    module, image = randomised(drawn.module, seed), image_for(drawn, seed)
    net = fm.trace(module, drawn.input_shape)._captured
    with torch.no_grad():
        shape = module(image).shape
    channel = data.draw(st.integers(0, shape[1] - 1))
    unit = tuple(data.draw(st.integers(0, side - 1)) for side in shape[2:])
    asked = data.draw(questions(drawn.input_shape[1:]))
    name = net.resolver.describe(net.graph.outputs[0])
    if data.draw(st.booleans()):
        found = occlude(net, image, f"{name}/{channel}@{','.join(map(str, unit))}", **asked)[0]
        scores = expected(module, image, found, lambda output: output[(0, channel, *unit)])
    else:
        activity = data.draw(st.sampled_from(["maximum", "mean", "sum"]))
        found = occlude(net, image, f"{name}/{channel}", activity=activity, **asked)[0]
        reduce = {"maximum": torch.max, "mean": torch.mean, "sum": torch.sum}[activity]
        scores = expected(module, image, found, lambda output: reduce(output[0, channel]))
    assert_close(found, scores)


@EXAMPLES
@given(any_networks(), st.data(), st.integers(0, 999))
def test_classes_equal_full_runs(drawn: RandomNetwork, data: st.DataObject, seed: int) -> None:
    image = image_for(drawn, seed)
    with torch.no_grad():
        channels = drawn.module(image).shape[1]
    module = randomised(WithHead(drawn.module, channels).eval(), seed)
    net = fm.trace(module, drawn.input_shape)._captured
    asked = data.draw(questions(drawn.input_shape[1:]))
    found = occlude(net, image, 2, **asked)[0]
    assert_close(found, expected(module, image, found, lambda output: output[0, 2]))
