"""The user's model: unchanged after every question, however it ends."""

import random
from collections.abc import Callable
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import featmap as fm
from featmap.network.network import CapturedNetwork
from featmap.run.program.program import Program

Question = Callable[[fm.Network, Tensor], Any]


def index(net: fm.Network, image: Tensor) -> Any:
    """A build, and a question that runs the network again."""
    with TemporaryDirectory() as folder:
        made = fm.Index.build(net, image, f"{folder}/some.fmi", correlation="all", full=["stem.0"], progress=False)
        return made.similar(image, "stem.0", net=net)


QUESTIONS: dict[str, Question] = {
    "plan": lambda net, _: net.plan(),
    "plan of another size": lambda net, _: net.plan((3, 24, 20)),
    "receptive_field": lambda net, _: net.receptive_field("stem.0:a/1@2,3"),
    "maps": lambda net, image: net.maps(image, progress=False),
    "maps in float64": lambda net, image: net.maps(image, dtype=torch.float64, progress=False),
    "explain": lambda net, image: net.explain(image, "stem.0:a/1@2,3"),
    "contributions": lambda net, image: net.contributions(image, "stem.0/1"),
    "occlude": lambda net, image: net.occlude(image, 1, window=4, stride=4, verify=2, progress=False),
    "occlude a unit": lambda net, image: net.occlude(image, "stem.0:z/1@2,3", window=4, stride=4, progress=False),
    "index": index,
    "matrix": lambda net, _: net.layers[0].as_matrix((6, 6)),
}


class Model(nn.Module):
    """In-place, reused and dropped-out parts, a hook, a mix of modes, a gradient and a frozen weight."""

    def __init__(self) -> None:
        super().__init__()
        self.relu = nn.ReLU(inplace=True)
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), self.relu, nn.Dropout(0.5))
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = self.relu(x - 0.1)
        return self.head(x.mean(dim=(2, 3)))


def model() -> Model:
    made = Model()
    made.stem[0].weight.grad = torch.ones_like(made.stem[0].weight)
    made.head.bias.requires_grad_(False)
    made.stem.train()
    made.stem[1].eval()
    made.head.eval()
    made.stem[2].register_forward_hook(lambda *_: None)
    return made


def state(module: nn.Module) -> list[Any]:
    """Everything that must stay: tensors with their bytes and gradients, modes, hooks, random states."""
    named = [*module.named_parameters(), *module.named_buffers()]
    tensors = [(name, id(t), t.detach().clone().numpy().tobytes(), t.requires_grad) for name, t in named]
    grads = [None if p.grad is None else p.grad.numpy().tobytes() for p in module.parameters()]
    modes = [(name, part.training) for name, part in module.named_modules()]
    hooks = [(name, list(part._forward_hooks), list(part._forward_pre_hooks)) for name, part in module.named_modules()]
    attributes = [(name, sorted(vars(part))) for name, part in module.named_modules()]
    randomness = [torch.get_rng_state().numpy().tobytes(), repr(np.random.get_state()), random.getstate()]
    return [tensors, grads, modes, hooks, attributes, randomness, torch.is_grad_enabled(), torch.get_num_threads()]


@pytest.fixture
def image() -> Tensor:
    return torch.rand(2, 3, 12, 10, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", QUESTIONS)
def test_after_an_answer(name: str, image: Tensor) -> None:
    module = model()
    before = state(module)
    net = fm.trace(module, (3, 12, 10))
    assert state(module) == before
    QUESTIONS[name](net, image[:1])
    assert state(module) == before


def test_after_errors(image: Tensor) -> None:
    module = model()
    before = state(module)
    with pytest.raises(fm.errors.InputError):
        fm.trace(module, (5, 12, 10))
    net = fm.trace(module, (3, 12, 10))
    for wrong in (
        lambda: net.maps(image, "no.such.layer"),
        lambda: net.explain(image, "stem.0:a/1@2,3"),
        lambda: net.occlude(image, 99),
        lambda: net.maps(image[:, :2]),
    ):
        with pytest.raises(fm.errors.QuestionError):
            wrong()
    assert state(module) == before


@pytest.mark.parametrize("name", ["maps", "explain", "contributions", "occlude", "index"])
def test_after_an_interrupt(name: str, image: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    module = model()
    before = state(module)
    net = fm.trace(module, (3, 12, 10))
    call = Program.call_step
    calls = iter(range(10**6))

    def interrupted(self: Program, *args: Any, **kwargs: Any) -> Any:
        if next(calls) == 0:
            raise KeyboardInterrupt
        return call(self, *args, **kwargs)

    monkeypatch.setattr(Program, "call_step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        QUESTIONS[name](net, image[:1])
    assert state(module) == before


def test_an_interrupt_of_the_capture(monkeypatch: pytest.MonkeyPatch) -> None:
    module = model()
    before = state(module)

    def interrupted(*_: Any, **__: Any) -> CapturedNetwork:
        raise KeyboardInterrupt

    monkeypatch.setattr(torch.export, "export", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fm.trace(module, (3, 12, 10))
    assert state(module) == before


def test_values_are_those_of_evaluation_whatever_the_mode(image: Tensor) -> None:
    module = model()
    net = fm.trace(module, (3, 12, 10))
    module.eval()
    with torch.no_grad():
        expected = module(image)
    torch.testing.assert_close(net.maps(image, "head:z", progress=False)["head:z"].values[:, :, 0, 0], expected)
