"""The user's model in occlusions and projections: unchanged after every answer, error and interrupt."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import featmap as fm
from featmap.errors import FeatmapError
from featmap.run import occlusion
from featmap.run.backward import operators
from featmap.run.backward.operators import OperatorFlows
from featmap.run.occlusion import Occlusion
from featmap.run.program.program import Program
from featmap.run.region import engine
from featmap.run.region.engine import RegionEngine
from featmap.run.region.patches.patches import Table
from support.model_state import ModelState, assert_same_state, model_state
from support.tiny_modules import conv

SHAPE = (3, 24, 20)
IMAGES = torch.rand(2, *SHAPE, generator=torch.Generator().manual_seed(0))


class Model(nn.Module):
    """In-place operators, a module called twice, dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(conv(3, 4), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Dropout(0.5))
        self.again = conv(4)
        self.head = nn.Linear(4, 5)
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))
        self.calls = 3

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = x + self.again(self.again(x))
        x = x.relu_().mean((2, 3))
        return self.head(x)


def user_model() -> Model:
    torch.manual_seed(0)
    module = Model()
    module(torch.rand(2, *SHAPE)).sum().backward()
    module.stem[1].eval()
    module.head.weight.requires_grad_(False)
    module.again.register_forward_hook(lambda *_: None)
    return module


QUESTIONS: dict[str, Callable[[fm.Network], Any]] = {
    "a class": lambda net: net.occlude(IMAGES, 1, 6, 6, progress=False),
    "the predicted class": lambda net: net.occlude(IMAGES[0], None, 6, 6, "local", memory_bytes=1, progress=False),
    "a map": lambda net: net.occlude(IMAGES, "again#2:z/1", 6, 6, "mean", activity="mean", progress=False),
    "a unit": lambda net: net.occlude(IMAGES, "stem.0:z/1@2,3", 6, 6, dtype=torch.float64, progress=False),
    "verified": lambda net: net.occlude(IMAGES, "again#1:z/2", 6, 6, lambda image: image + 1, verify=3, progress=False),
    "a projection": lambda net: net.project(IMAGES, "again#2:z/1", progress=False),
    "guided, many units": lambda net: net.project(IMAGES[0], "stem.0", "guided", memory_bytes=1, progress=False),
    "the gradient of a class": lambda net: net.project(IMAGES, 1, "gradient", "one", progress=False),
    "a sheet": lambda net: net.sheet(IMAGES, "stem.0", k=2, norm="skip", progress=False),
    "the cost": lambda net: net.occlusion_cost("again#2:z/1", window=6, stride=6),
}

MISTAKES: dict[str, Callable[[fm.Network], Any]] = {
    "no such class": lambda net: net.occlude(IMAGES, 99, 6, 6),
    "no such unit": lambda net: net.occlude(IMAGES, "stem.0:z/1@200,3", 6, 6),
    "a window too large": lambda net: net.occlude(IMAGES, 1, 60, 6),
    "a baseline of another length": lambda net: net.occlude(IMAGES, 1, 6, 6, [1, 2]),
    "a baseline of another shape": lambda net: net.occlude(IMAGES, 1, 6, 6, lambda image: image[:, :2]),
    "no such unit to project": lambda net: net.project(IMAGES, "stem.0:z/1@200,3"),
    "an unknown rule": lambda net: net.project(IMAGES, "stem.0:z/1", "saliency"),
    "a sheet of nothing": lambda net: net.sheet(None, "stem.0"),
    "another number of channels": lambda net: net.occlude(IMAGES[:, :2], 1, 6, 6),
}

PLACES: dict[str, tuple[Any, str]] = {
    "while shapes are worked out": (Program, "arguments_for"),
    "while the untouched image runs": (Program, "call_step"),
    "while boxes are computed": (occlusion, "values_on_boxes"),
    "while windows are written": (Occlusion, "_image_patches"),
    "while regions are gathered": (Table, "gather"),
    "while means are brought up to date": (engine, "mean_change"),
    "before a chunk": (RegionEngine, "run"),
    "while signals flow": (OperatorFlows, "back"),
    "while the gradient of an operator is taken": (operators, "gradient_of_whole"),
}


def prepared() -> tuple[nn.Module, fm.Network, ModelState]:
    module = user_model()
    net = fm.trace(module, SHAPE)
    torch.manual_seed(5)
    return module, net, model_state(module)


@pytest.mark.parametrize("question", QUESTIONS)
def test_after_success(question: str) -> None:
    module, net, before = prepared()
    images = IMAGES.clone()
    QUESTIONS[question](net)
    assert_same_state(before, model_state(module))
    assert torch.equal(images, IMAGES)


@pytest.mark.parametrize("question", MISTAKES)
def test_after_an_error(question: str) -> None:
    module, net, before = prepared()
    with pytest.raises(FeatmapError):
        MISTAKES[question](net)
    assert_same_state(before, model_state(module))


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
@pytest.mark.parametrize("place", PLACES)
def test_after_an_interrupt_anywhere(place: str, error: type[BaseException]) -> None:
    owner, name = PLACES[place]
    struck = 0
    for question in QUESTIONS.values():
        for after in (0, 1):
            module, net, before = prepared()
            struck += strikes(owner, name, after, error, lambda: question(net))  # noqa: B023
            assert_same_state(before, model_state(module))
    assert struck > 0


def strikes(owner: Any, name: str, after: int, error: type[BaseException], ask: Callable[[], Any]) -> bool:
    """Asks, with `owner.name` raising the error after so many calls; whether it came to that."""
    original, calls = getattr(owner, name), 0

    def striking(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > after:
            raise error("struck by the test")
        return original(*args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, name, striking)
        try:
            ask()
        except error:
            return True
    return False


def test_a_function_that_fails_as_baseline_fails_as_it_is() -> None:
    module, net, before = prepared()

    def fails(image: Tensor) -> Tensor:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        net.occlude(IMAGES, 1, 6, 6, fails)
    assert_same_state(before, model_state(module))
