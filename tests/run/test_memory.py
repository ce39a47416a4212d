"""Memory: what is predicted before a run against what living tensors take while it runs."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

import featmap as fm
from featmap.graph.graph import TensorSpec
from featmap.run import memory
from featmap.run.memory import activation_bytes, available_bytes, batch_size, peak_bytes, size_bytes
from featmap.run.program.program import Program
from support.live_memory import measured_peak_bytes, weights_of
from support.tiny_modules import conv, written
from support.zoo_networks import ARCHITECTURES, zoo_network

TOLERANCE = 0.25
"""The prediction leaves out what operators use for themselves (a maximum pool's indices, a flattened copy) and holds
the images until the end."""

SHAPE = (3, 32, 24)


def measured(net: fm.Network, wanted: list[int], images: torch.Tensor) -> int:
    captured = net._captured
    program = Program(captured.captured, captured.tensors, wanted)
    program.run(images)
    weights = weights_of(program.bound, program.constants.placed_weights)
    return measured_peak_bytes(lambda: program.run(images), weights)


@pytest.mark.parametrize("kind", ["output", "one layer", "all layers"])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_predicted_peak_is_that_of_the_living_tensors(name: str, kind: str) -> None:
    zoo = zoo_network(name)
    captured = zoo.net._captured
    places = [place.node for place in captured.layer_places()]
    wanted = {"output": list(captured.graph.outputs), "one layer": places[2:3], "all layers": places}[kind]
    predicted, real = peak_bytes(captured.sized, wanted), measured(zoo.net, wanted, zoo.images(1))
    assert predicted == pytest.approx(real, rel=TOLERANCE)
    if kind == "output":
        assert predicted == zoo.net.plan().totals.peak_bytes


@pytest.mark.parametrize("name", ["vgg16", "resnet18", "mobilenet_v2"])
def test_one_wanted_layer_takes_no_more_than_a_plain_forward_that_far(name: str) -> None:
    zoo = zoo_network(name)
    images = zoo.images(1)
    path, wanted = {
        "vgg16": ("features.9", "features.7:a"),
        "resnet18": ("layer2.1", "layer2.1:a"),
        "mobilenet_v2": ("features.6", "features.6:z"),
    }[name]

    class Reached(Exception):
        pass

    def stop(*_: object) -> None:
        raise Reached

    def plain() -> None:
        handle = zoo.module.get_submodule(path).register_forward_hook(stop)
        try:
            with torch.no_grad(), pytest.raises(Reached):
                zoo.module(images)
        finally:
            handle.remove()

    own = measured_peak_bytes(plain, weights_of(dict(zoo.module.named_parameters()), dict(zoo.module.named_buffers())))
    node = zoo.net._captured.place(wanted).node
    # featmap's own channels-last copy of the images is on top.
    assert measured(zoo.net, [node], images) <= own + images.nbytes


def test_a_chain_is_counted_by_hand() -> None:
    module = nn.Sequential(conv(3, 8), nn.ReLU(), nn.MaxPool2d(2), conv(8, 4), nn.Flatten())
    captured = fm.trace(module, SHAPE)._captured
    image, first, pooled, last = 3 * 32 * 24, 8 * 32 * 24, 8 * 16 * 12, 4 * 16 * 12
    z, a = captured.place("0:z").node, captured.place("0:a").node
    assert activation_bytes(captured.sized) == 4 * (first + first + pooled + last)
    # The ReLU writes over the weighted sum, and the flattened value is a view.
    assert peak_bytes(captured.sized, captured.graph.outputs) == 4 * (image + first + pooled)
    assert peak_bytes(captured.sized, [z, *captured.graph.outputs]) == 4 * (image + 2 * first + pooled)
    assert peak_bytes(captured.sized, [a]) == 4 * (image + first)


def test_a_shortcut_is_held_until_it_is_read() -> None:
    def forward(self: nn.Module, x: torch.Tensor) -> torch.Tensor:
        shortcut = self.c(x)
        return shortcut + functional.max_pool2d(self.e(self.d(shortcut)), 1)

    module = written(forward, c=conv(), d=conv(4), e=conv(4))
    captured = fm.trace(module, SHAPE)._captured
    image, maps = 3 * 32 * 24, 4 * 32 * 24
    assert peak_bytes(captured.sized, captured.graph.outputs) == 4 * (image + 3 * maps)


def test_sizes_of_values() -> None:
    assert size_bytes(TensorSpec((2, 3), torch.float64)) == 48
    assert size_bytes(TensorSpec((), torch.float32)) == 4
    assert size_bytes((TensorSpec((2,), torch.int64), None)) == 16
    assert size_bytes(None) == 0


@pytest.mark.parametrize(
    ("per_image", "count", "budget", "images"),
    [(100, 50, 1000, 10), (100, 3, 1000, 3), (100, 50, 10**9, 16), (2000, 50, 1000, 1), (0, 5, 0, 1), (0, 5, 9, 5)],
)
def test_batches_fit_the_budget(per_image: int, count: int, budget: int, images: int) -> None:
    assert batch_size(per_image, count, budget) == images


def test_the_budget_is_a_quarter_of_what_is_available(monkeypatch: pytest.MonkeyPatch) -> None:
    assert available_bytes() > 2**20
    monkeypatch.setattr(memory, "available_bytes", lambda: 4000)
    assert batch_size(100, 50) == 10
