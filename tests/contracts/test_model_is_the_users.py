"""The user's model: every method of a network leaves it as it was, after success, error and interrupt.

The model has mixed training modes, frozen weights, gradients, hooks and nonlinearities in place. The interrupts strike
at every stage of a question: while the model is captured, while its graph is sized, and in the middle of a run.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import featmap as fm
from featmap.capture import functional as functional_module
from featmap.errors import FeatmapError
from featmap.graph.sized_graph import SizedGraph
from featmap.network.differing import StateInEvaluation
from featmap.run.program.constants import Constants
from featmap.run.program.program import Program
from support.model_state import ModelState, assert_same_state, model_state
from support.tiny_modules import conv

SHAPE = (3, 12, 10)
IMAGE = torch.rand(1, *SHAPE, generator=torch.Generator().manual_seed(0))
UNIT = "block.0:a/1@2,3"

Question = Callable[[nn.Module, fm.Network], Any]


class Model(nn.Module):
    """In-place operators, a module called twice, a buffer and a number of its own, dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.block = nn.Sequential(conv(), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Dropout(0.5))
        self.again = conv(4)
        self.norm = nn.BatchNorm2d(4)
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))
        self.calls = 3

    def forward(self, x: Tensor) -> Tensor:
        x = self.block(x)
        x = x + self.norm(self.again(self.again(x)))
        return x.relu_().mean((2, 3))


def user_model() -> Model:
    torch.manual_seed(0)
    module = Model()
    module(torch.rand(2, *SHAPE)).sum().backward()
    module.block[1].eval()
    module.norm.weight.requires_grad_(False)
    module.again.register_forward_hook(lambda *_: None)
    module.block[2].register_forward_pre_hook(lambda *_: None)
    module.norm.register_full_backward_hook(lambda *_: None)
    assert {part.training for part in module.modules()} == {True, False}
    return module


QUESTIONS: dict[str, Question] = {
    "trace": lambda module, _: fm.trace(module, SHAPE),
    "maps": lambda _, net: net.maps(torch.cat([IMAGE, IMAGE]), progress=False),
    "maps of one layer": lambda _, net: net.maps(IMAGE, "block.0:conv"),
    "maps in float64": lambda _, net: net.maps(IMAGE, "block.0:z", dtype=torch.float64),
    "explain": lambda _, net: net.explain(IMAGE, UNIT),
    "contributions": lambda _, net: net.contributions(IMAGE, "block.0/1"),
    "plan": lambda _, net: net.plan(),
    "plan of another size": lambda _, net: net.plan((3, 21, 19)),
    "receptive_field": lambda _, net: net.receptive_field(UNIT),
    "layers": lambda _, net: [repr(layer) for layer in net.layers],
    "as_matrix": lambda _, net: net.layers[0].as_matrix((5, 5)),
}

MISTAKES: dict[str, Question] = {
    "trace": lambda module, _: fm.trace(module, (4, 12, 10)),
    "trace of a size too small": lambda module, _: fm.trace(nn.Sequential(nn.MaxPool2d(20), module), SHAPE),
    "maps": lambda _, net: net.maps(IMAGE, ["block.0", "no.such.layer"]),
    "maps of a wrong tensor": lambda _, net: net.maps(torch.zeros(1, 4, 12, 10)),
    "maps of a missing file": lambda _, net: net.maps("there is no such file.png"),
    "explain": lambda _, net: net.explain(IMAGE, "block.0:a/1@200,3"),
    "contributions": lambda _, net: net.contributions(IMAGE, "block.0"),
    "plan": lambda _, net: net.plan((3, 0, 5)),
    "receptive_field": lambda _, net: net.receptive_field("block.0/99"),
    "as_matrix": lambda _, net: net.layers[0].as_matrix((100_000, 100_000)),
}

PLACES: dict[str, tuple[Any, str]] = {
    "in torch.export": (torch.export, "export"),
    "in the model's forward": (Model, "forward"),
    "while it is made functional": (functional_module, "_rename_writes"),
    "while shapes are worked out": (SizedGraph, "axes_at"),
    "while weights are laid out": (Constants, "weight"),
    "while a program is made": (Program, "_bound_weights"),
    "while a program runs": (Program, "call_step"),
}
RUNS_NOTHING = ("layers", "receptive_field", "plan")
"""Questions that a captured network answers without any of these places."""


def prepared() -> tuple[nn.Module, fm.Network, ModelState]:
    module = user_model()
    net = fm.trace(module, SHAPE)
    torch.manual_seed(5)
    return module, net, model_state(module)


@pytest.mark.parametrize("question", QUESTIONS)
def test_after_success(question: str) -> None:
    module, net, before = prepared()
    QUESTIONS[question](module, net)
    assert_same_state(before, model_state(module))


@pytest.mark.parametrize("question", MISTAKES)
def test_after_an_error(question: str) -> None:
    module, net, before = prepared()
    with pytest.raises(FeatmapError):
        MISTAKES[question](module, net)
    assert_same_state(before, model_state(module))


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
@pytest.mark.parametrize("question", QUESTIONS)
def test_after_an_interrupt_anywhere(question: str, error: type[BaseException]) -> None:
    struck = 0
    for owner, name in PLACES.values():
        for after in (0, 3):
            module, net, before = prepared()
            struck += strikes(owner, name, after, error, lambda: QUESTIONS[question](module, net))  # noqa: B023
            assert_same_state(before, model_state(module))
    assert (struck > 0) == (question not in RUNS_NOTHING)


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
        except BaseException as raised:
            # An error of what lies below may be explained in other words, an interrupt never.
            if type(raised) is not error and (not issubclass(error, Exception) or raised.__cause__ is None):
                raise
            return True
    return False


def test_what_a_forward_stores_in_the_module_is_put_back() -> None:
    class Remembering(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.c, self.last, self.kept, self.calls = conv(), None, [], 0

        def forward(self, x: Tensor) -> Tensor:
            self.calls += 1
            self.last = self.c(x)
            self.kept.append(self.last)
            return self.last.relu()

    module = Remembering()
    with pytest.warns(StateInEvaluation, match="Remembering writes in evaluation to last, kept, calls: "):
        fm.trace(module, SHAPE).maps(IMAGE)
    assert (module.last, module.kept, module.calls) == (None, [], 0)


def touch_a_weight(module: nn.Module) -> None:
    with torch.no_grad():
        module.again.weight[0, 0, 0, 0] += 1e-3


TOUCHES: dict[str, Callable[[Any], Any]] = {
    "a weight": touch_a_weight,
    "all modes": lambda module: module.eval(),
    "one mode": lambda module: module.block[1].train(),
    "a hook": lambda module: module.again.register_forward_hook(lambda *_: None),
    "a wish for gradients": lambda module: module.norm.weight.requires_grad_(True),
    "a gradient": lambda module: module.again.weight.grad.zero_(),
    "an equal tensor": lambda module: setattr(
        module.again, "weight", nn.Parameter(module.again.weight.detach().clone())
    ),
    "a number": lambda module: setattr(module, "calls", 4),
    "a new attribute": lambda module: setattr(module, "new", [4]),
    "a forward": lambda module: setattr(module.norm, "forward", lambda x: x),
    "torch's random numbers": lambda _: torch.rand(1),
    "numpy's random numbers": lambda _: np.random.rand(1),
    "Python's random numbers": lambda _: random.random(),
}


@pytest.mark.parametrize("touch", TOUCHES)
def test_the_contract_sees_every_kind_of_touch(touch: str) -> None:
    module, _, before = prepared()
    TOUCHES[touch](module)
    with pytest.raises(AssertionError):
        assert_same_state(before, model_state(module))
