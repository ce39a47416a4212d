"""Modules and inputs that cannot be captured: one sentence says why, and the advice that follows it works."""

import dataclasses
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import featmap as fm
from featmap.errors import CaptureRefused, InputError

SHAPE = (3, 12, 12)
# torch warns of its own older ways, with which these modules are made.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*quantize:UserWarning"),
]


class Forward(nn.Module):
    """A convolution, and a forward in a line."""

    def __init__(self, run: Callable[..., Any], **parts: nn.Module) -> None:
        super().__init__()
        self.conv, self.run = nn.Conv2d(3, 4, 3), run
        self.register_buffer("mask", torch.tensor(0.5))
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, *given: Any) -> Any:
        return self.run(self, *given)


@dataclasses.dataclass
class Answer:
    """What some models return."""

    scores: Tensor


def body() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())


def quantised() -> nn.Module:
    converted = body()
    converted[0] = torch.ao.nn.quantized.Conv2d(3, 4, 3)
    return converted


def refused(error: type[Exception], module: nn.Module, *given: Any, **named: Any) -> tuple[str, str]:
    """Problem and remedy."""
    with pytest.raises(error) as refusal:
        fm.trace(module, *given, **named)
    found: Any = refusal.value
    return found.problem, found.remedy


SCRIPTED = (
    "Capture the Python module that it was made from; that takes its weights: "
    "module.load_state_dict(scripted.state_dict())."
)


@pytest.mark.parametrize("make", [torch.jit.script, lambda module: torch.jit.trace(module, torch.rand(1, *SHAPE))])
def test_scripted_modules(make: Callable[[nn.Module], nn.Module]) -> None:
    scripted = make(body().eval())
    problem, remedy = refused(CaptureRefused, scripted, SHAPE)
    assert problem.endswith("is a module of TorchScript (torch.jit), which cannot be captured.")
    assert remedy == SCRIPTED
    problem, _ = refused(CaptureRefused, nn.Sequential(nn.Identity(), scripted), SHAPE)
    assert problem == "'1' is a module of TorchScript (torch.jit), which cannot be captured."
    module = body()
    module.load_state_dict(scripted.state_dict())
    image = torch.rand(1, *SHAPE)
    assert torch.allclose(fm.trace(module, SHAPE).maps(image, "0")["0:a"].values, scripted(image), atol=1e-6)


def test_lazy_layers() -> None:
    module = nn.Sequential(nn.LazyConv2d(4, 3), nn.ReLU())
    problem, remedy = refused(CaptureRefused, module, SHAPE)
    assert problem == "'0.weight' has no shape yet: its layer is lazy."
    assert remedy == "Run the module once on an image first: module(torch.zeros(1, 3, 224, 224))."
    module(torch.zeros(1, 3, 224, 224))
    assert fm.trace(module, SHAPE).plan()["0"].feature_maps == 4


def test_quantised_modules() -> None:
    problem, remedy = refused(CaptureRefused, quantised(), SHAPE)
    assert problem == "'0' is a quantised Conv2d, which computes with packed integers."
    assert remedy == "Capture the floating-point model that it was made from, before it is converted."


def test_images_without_a_batch_axis() -> None:
    for channels in (1, 3):
        module = nn.Sequential(nn.Conv2d(channels, 4, 3))
        image = torch.rand(channels, 12, 12)
        problem, remedy = refused(InputError, module, inputs=image)
        assert problem == f"The example input has shape {(channels, 12, 12)}: an image without a batch axis."
        assert remedy == "Give it one: inputs=image[None], or only its shape: input_shape=(channels, rows, columns)."
        assert fm.trace(module, inputs=image[None]).input_shape == (channels, 12, 12)


def test_a_shape_that_counts_the_image() -> None:
    problem, remedy = refused(InputError, body(), (1, 3, 12, 12))
    assert problem == "The input shape (1, 3, 12, 12) includes the batch axis."
    assert remedy == "Give (channels, rows, columns): (3, 12, 12)."
    volume = nn.Sequential(nn.Conv3d(1, 2, 3))
    assert fm.trace(volume, (1, 3, 12, 12)).input_shape == (1, 3, 12, 12)


def test_arrays() -> None:
    array = np.zeros((1, *SHAPE), np.float32)
    problem, remedy = refused(InputError, body(), inputs=array)
    assert problem == "An example input is a numpy ndarray, not a tensor."
    assert remedy == "Give tensors: torch.from_numpy(array)."
    assert fm.trace(body(), inputs=torch.from_numpy(array)).input_shape == SHAPE


def test_dataclasses() -> None:
    module = Forward(lambda s, x: Answer(s.conv(x)))
    problem, remedy = refused(CaptureRefused, module, SHAPE)
    assert problem == "the forward of Forward returns a Answer, in which torch does not look for tensors."
    assert remedy == (
        "Register a dataclass before: torch.export.register_dataclass(Answer); other types with "
        "torch.utils._pytree.register_pytree_node; or return a tuple or a dictionary."
    )
    torch.export.register_dataclass(Answer)
    assert fm.trace(module, SHAPE).plan()["conv"].feature_maps == 4


def test_several_inputs() -> None:
    def added(s: Any, x: Tensor, other: Tensor) -> Tensor:
        return s.conv(x + other)

    problem, remedy = refused(InputError, Forward(added), SHAPE)
    assert problem.startswith("the forward of Forward takes more inputs than it was given: 'other'.")
    assert remedy == "Give an example of each: inputs=(image, other), kwargs={'name': other}."
    image = torch.rand(1, *SHAPE)
    assert fm.trace(Forward(added), inputs=(image, image)).plan()["conv"].feature_maps == 4


def set_data(s: Any, x: Tensor) -> Tensor:
    s.conv.weight.data = s.conv.weight.data * s.mask
    return s.conv(x)


def write_data(s: Any, x: Tensor) -> Tensor:
    s.conv.weight.data *= s.mask
    return s.conv(x)


@pytest.mark.parametrize("run", [set_data, write_data])
def test_weights_that_the_forward_replaces(run: Callable[..., Any]) -> None:
    module = Forward(run)
    before = module.conv.weight.detach().clone()
    problem, remedy = refused(CaptureRefused, module, SHAPE)
    assert re.fullmatch(
        r"The forward sets a tensor's \.data, which no graph can hold \(test_unfit\.py:\d+\)\.", problem
    )
    assert remedy == "Compute with a new tensor instead: functional.conv2d(x, self.conv.weight * mask)."
    assert torch.equal(module.conv.weight, before)
    instead = Forward(lambda s, x: functional.conv2d(x, s.conv.weight * s.mask, s.conv.bias))
    instead.load_state_dict(module.state_dict())
    image = torch.rand(1, *SHAPE)
    (maps,) = fm.trace(instead, SHAPE).maps(image, "conv2d:conv").values()
    with torch.no_grad():
        assert torch.allclose(maps.values, functional.conv2d(image, before * 0.5, module.conv.bias), atol=1e-6)


def test_pipelines_around_a_network() -> None:
    """As torchvision's detectors do: they take a list of images of any size."""
    module = Forward(
        lambda s, images: s.backbone(torch.stack([image / image.std() for image in images[0]])), backbone=body()
    )
    module.run = lambda s, images: s.backbone(torch.stack(images))
    problem, remedy = refused(CaptureRefused, module, SHAPE)
    assert problem.startswith("the forward of Forward is a pipeline around a network, which cannot be captured as one")
    assert remedy == "Capture its network alone: featmap.trace(model.backbone, (3, 224, 224))."
    assert fm.trace(module.get_submodule("backbone"), (3, 224, 224)).plan()["0"].feature_maps == 4


def test_what_leaves_torch() -> None:
    problem, remedy = refused(CaptureRefused, Forward(lambda s, x: s.conv(torch.from_numpy(x.numpy()))), SHAPE)
    assert problem.startswith("the forward of Forward leaves torch for numpy, which no graph can hold.")
    assert remedy == "Compute with tensors instead."


def test_a_list_of_modules() -> None:
    assert refused(CaptureRefused, nn.ModuleList([body()]), SHAPE) == (
        "the forward of ModuleList has no forward.",
        "Capture the module that uses it.",
    )


def test_wrappers_are_looked_through() -> None:
    module = body()
    for wrapped in (torch.compile(module), nn.DataParallel(module)):
        assert [row.address for row in fm.trace(wrapped, SHAPE).plan()] == ["0"]  # type: ignore[arg-type]


def test_weights_without_values() -> None:
    net = fm.trace(body().to("meta"), SHAPE)
    assert net.plan()["0"].feature_maps == 4
    with pytest.raises(InputError) as refusal:
        net.maps(torch.rand(1, *SHAPE), "0")
    assert refusal.value.problem == "'0.weight' is on the meta device and holds no values."


def test_integer_weights_say_nothing_about_the_image() -> None:
    module = Forward(lambda s, x: functional.conv2d(x, s.counts.float()))
    del module.conv
    module.counts = nn.Parameter(torch.ones(4, 3, 3, 3, dtype=torch.int64), requires_grad=False)
    image = torch.rand(1, *SHAPE)
    (maps,) = fm.trace(module, SHAPE).maps(image, "conv2d:conv").values()
    assert torch.allclose(maps.values, functional.conv2d(image, torch.ones(4, 3, 3, 3)), atol=1e-5)


def test_complex_weights() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3, dtype=torch.complex64))
    image = torch.rand(1, *SHAPE)
    (maps,) = fm.trace(module, SHAPE).maps(image, "0:z").values()
    with torch.no_grad():
        assert torch.allclose(maps.values, module(image.to(torch.complex64)), atol=1e-5)


def test_buffers_that_the_forward_registers() -> None:
    def registers(s: Any, x: Tensor) -> Tensor:
        if not hasattr(s, "seen"):
            s.register_buffer("seen", torch.ones(1))
        return s.conv(x) * s.seen

    module = Forward(registers)
    image = torch.rand(1, *SHAPE)
    (maps,) = fm.trace(module, SHAPE).maps(image, "mul").values()
    assert "seen" not in dict(module.named_buffers())
    with torch.no_grad():
        assert torch.allclose(maps.values, module(image), atol=1e-6)
