"""Captures of modules written in many styles: each becomes one graph, and the module stays exactly as it was."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import featmap as fm
from featmap.errors import CaptureRefused, InputError
from featmap.run.program.program import Program
from support.closeness import assert_close
from support.tiny_modules import conv, written

SHAPE = (3, 6, 5)


def outputs_of(net: fm.Network, image: Tensor) -> Any:
    """What the captured network returns, in the model's own structure."""
    captured, graph = net._captured, net._captured.graph
    nodes = [index for index in graph.outputs if index is not None]
    values = Program(captured.captured, captured.tensors, nodes).run(image, captured.other_inputs)
    return graph.unflatten([None if index is None else values[index] for index in graph.outputs])


def assert_same(module: nn.Module, images: int = 1) -> fm.Network:
    net = fm.trace(module, SHAPE)
    image = torch.randn(images, *SHAPE)
    with torch.no_grad():
        expected = module(image.clone())
    assert_close(outputs_of(net, image), expected)
    return net


def without_gradients(self: nn.Module, x: Tensor) -> Tensor:
    with torch.no_grad():
        y = self.c(x)
    return functional.relu(self.d(y))


def with_gradients(self: nn.Module, x: Tensor) -> Tensor:
    with torch.enable_grad():
        y = self.c(x)
        with torch.no_grad():
            z = self.d(y).relu_()
    return y + z


def without_autocast(self: nn.Module, x: Tensor) -> Tensor:
    with torch.autocast("cpu", enabled=False), torch.enable_grad():
        y = functional.silu(self.c(x))
    return self.d(y)


def checkpointed(self: nn.Module, x: Tensor) -> Tensor:
    return torch.utils.checkpoint.checkpoint(self.c, x, use_reentrant=False)


@pytest.mark.parametrize(
    "forward",
    [without_gradients, with_gradients, without_autocast, checkpointed],
    ids=lambda forward: forward.__name__,
)
def test_parts_under_a_switch_of_torch_are_part_of_the_graph(forward: Any) -> None:
    torch.manual_seed(0)
    net = assert_same(written(forward, c=conv(), d=conv(4, 4, 1)))
    assert net.plan().unknown_operators == ()
    assert net.plan()["c"].parameters == 112


def test_a_part_under_autocast_is_refused() -> None:
    def forward(self: nn.Module, x: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return self.c(x)

    with pytest.raises(CaptureRefused) as caught:
        fm.trace(written(forward, c=conv()), SHAPE)
    assert str(caught.value) == (
        "The model runs a part of itself under autocast (cpu, torch.bfloat16).\n\n"
        "Capture it without: the values that featmap shows are those of the module's own precision."
    )


class Structured(nn.Module):
    """Takes and returns tensors, dictionaries, numbers and texts; the image is a keyword."""

    def __init__(self) -> None:
        super().__init__()
        self.c, self.d = conv(), nn.Conv2d(1, 4, 1)

    def forward(self, *, scale: float = 2.0, name: str = "x", image: Tensor, extra: dict[str, Tensor] | None = None):
        y = self.c(image) * scale
        if extra is not None:
            y = y + self.d(extra["depth"])
        return {"maps": y.relu(), "pair": (y, extra), "name": name, "nothing": None}


@pytest.mark.parametrize("scale", [None, 3, 0.5])
@pytest.mark.parametrize("with_extra", [False, True])
def test_dictionaries_keywords_numbers_and_texts_go_in_and_come_out(scale: float | None, with_extra: bool) -> None:
    torch.manual_seed(0)
    module = Structured()
    image = torch.rand(1, *SHAPE)
    extra = {"depth": torch.rand(1, 1, *SHAPE[1:])} if with_extra else None
    kwargs = {"name": "test", "image": image, **({"scale": scale} if scale else {}), "extra": extra}
    net = fm.trace(module, kwargs=kwargs)
    assert net.input_shape == SHAPE
    found = outputs_of(net, image)
    with torch.no_grad():
        expected = module(**kwargs)
    assert_close(found["maps"], expected["maps"])
    assert_close(found["pair"][0], expected["pair"][0])
    assert found["nothing"] is None
    assert [row.address for row in net.plan()] == ["c", "mul", *(["d", "add"] if with_extra else []), "relu"]


def test_tuples_lists_and_two_inputs() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.c, self.fc = conv(), nn.Linear(2, 4)

        def forward(self, parts: tuple[Tensor, list[Tensor]]) -> tuple[Tensor, list[Tensor]]:
            vector, (image,) = parts
            y = self.c(image) + self.fc(vector)[..., None, None]
            return y, [y.relu()]

    torch.manual_seed(0)
    module, vector, image = Two(), torch.rand(1, 2), torch.rand(1, *SHAPE)
    net = fm.trace(module, inputs=((vector, [image]),))
    with torch.no_grad():
        expected = module((vector, [image * 2]))
    found = outputs_of(net, image * 2)
    assert isinstance(found, tuple)
    assert_close(found[0], expected[0])
    assert_close(found[1][0], expected[1][0])
    assert net.plan((3, 9, 11))["relu"].output_shape == (4, 9, 11)
    several = torch.rand(3, *SHAPE)
    with torch.no_grad():
        each = torch.cat([module((vector, [several[n : n + 1]]))[0] for n in range(3)])
    assert_close(net.maps(several, "add")["add"].values, each)


@pytest.mark.parametrize("arguments", [{}, {"input_shape": SHAPE, "inputs": torch.zeros(1, *SHAPE)}])
def test_trace_needs_an_input_and_only_one(arguments: dict[str, Any]) -> None:
    with pytest.raises(InputError) as caught:
        fm.trace(conv(), **arguments)
    assert str(caught.value) == (
        "trace needs one of input_shape and inputs (or kwargs).\n\nGive input_shape=(3, 224, 224), or example inputs."
    )


@pytest.mark.parametrize("shape", [(), (3, 0, 5), (3, -1, 5)])
def test_an_input_without_values_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError) as caught:
        fm.trace(conv(), shape)
    assert str(caught.value) == (
        f"{shape} is not the shape of an image.\n\n"
        "Give (channels, rows, columns) as whole numbers, such as (3, 224, 224)."
    )


def test_values_that_nobody_reads_and_checks_are_no_part_of_the_graph() -> None:
    def forward(self: nn.Module, x: Tensor) -> Tensor:
        assert x.shape[1] == 3
        self.d(self.c(x))
        return self.c(x)

    net = assert_same(written(forward, c=conv(), d=conv(4)))
    assert [node.base_name for node in net._captured.graph] == ["input", "conv2d"]
    assert net.plan().totals.unused_parameters == 4 * 4 * 9 + 4


def test_dropout_and_identity_leave_no_operators() -> None:
    net = assert_same(nn.Sequential(conv(), nn.Identity(), nn.Dropout(), nn.Dropout2d(), nn.ReLU()).eval())
    assert [node.base_name for node in net._captured.graph] == ["input", "conv2d", "relu"]


def test_a_network_in_training_mode_is_captured_in_evaluation() -> None:
    module = nn.Sequential(conv(), nn.BatchNorm2d(4), nn.Dropout())
    module[1].eval()
    net = fm.trace(module, SHAPE)
    assert [part.training for part in module.modules()] == [True, True, False, True]
    image = torch.rand(2, *SHAPE)
    with torch.no_grad():
        assert_close(net.maps(image, "0:z")["0:z"].values, module.eval()(image))


def test_several_names_of_one_tensor_are_one_weight() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = conv(3, 3), conv(3, 3)
            self.second.weight = self.first.weight

        def forward(self, x: Tensor) -> Tensor:
            return self.second(self.first(x))

    net = assert_same(Tied())
    assert [row.parameters for row in net.plan()] == [84, 3]
    assert net.plan().totals.parameters == 87


def test_constants_of_the_forward_are_weights() -> None:
    net = assert_same(written(lambda self, x: self.c(x) * torch.tensor([1.0, 2.0, 3.0, 4.0])[:, None, None], c=conv()))
    assert {weight.kind for weight in net._captured.graph.weights.values()} == {"parameter", "constant"}
    assert net.plan().totals.parameters == 112


def test_weight_norm_is_counted_and_computed_once() -> None:
    module = nn.Sequential(torch.nn.utils.parametrizations.weight_norm(conv()))
    net = assert_same(module, images=1)
    assert net.plan().totals.parameters == sum(parameter.numel() for parameter in module.parameters())
    assert net.plan().totals.unused_parameters == 0


def test_numbers_taken_from_values_are_computed_anew_for_every_image() -> None:
    module = written(lambda self, x: self.c(x) * sum(x.flatten()[:3].tolist()), c=conv())
    net = assert_same(module)
    assert net.plan().unknown_operators == ("aten.item.default",)
    images = torch.rand(3, *SHAPE)
    with torch.no_grad():
        expected = torch.cat([module(images[n : n + 1]) for n in range(3)])
    assert_close(net.maps(images, "mul")["mul"].values, expected)
