"""Models whose next call may give another answer: every method says why, and the model is unchanged.

Three reasons: it draws random numbers in evaluation, it writes state that it reads, it takes statistics of the batch.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import prune

import featmap as fm
from featmap.errors import InputError
from featmap.network.differing import BatchStatistics, StateInEvaluation
from featmap.network.randomness import RandomInEvaluation
from support.tiny_modules import conv

SHAPE = (3, 12, 10)
IMAGES = torch.rand(2, *SHAPE, generator=torch.Generator().manual_seed(0))


class Middle(nn.Module):
    """Two convolutions with something between them that a fresh call answers otherwise."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.c, self.d = conv(), conv(4)
        self.register_buffer("mean", torch.zeros(4, 1, 1))
        self.register_buffer("calls", torch.tensor(0))
        self.register_buffer("running_mean", torch.zeros(4))
        self.register_buffer("running_var", torch.ones(4))
        self.ema = torch.ones(4, 1, 1)
        self.step, self.log, self.before, self.table = 1, [], None, {"gain": 1.0}

    def forward(self, x: Tensor) -> Tensor:
        return self.d(self.middle(self.c(x)))

    def middle(self, x: Tensor) -> Tensor:
        raise NotImplementedError


def middle(function: Callable[[Any, Tensor], Tensor]) -> type[Middle]:
    return type("Model", (Middle,), {"middle": function})


def in_place(self: Any, x: Tensor) -> Tensor:
    self.mean.mul_(0.9).add_(x.mean((0, 2, 3))[:, None, None], alpha=0.1)
    return x - self.mean


def assigned(self: Any, x: Tensor) -> Tensor:
    self.mean = self.mean * 0.5 + 1
    return x - self.mean


def attribute(self: Any, x: Tensor) -> Tensor:
    self.ema = self.ema * 0.5 + 1
    return x * self.ema


def counter(self: Any, x: Tensor) -> Tensor:
    self.step += 1
    return x * self.step


def remembered(self: Any, x: Tensor) -> Tensor:
    x = x if self.before is None else x + self.before
    self.before = x
    return x


def listed(self: Any, x: Tensor) -> Tensor:
    self.log.append(1)
    return x * len(self.log)


def tabled(self: Any, x: Tensor) -> Tensor:
    self.table["gain"] += 0.5
    return x * self.table["gain"]


def unread(self: Any, x: Tensor) -> Tensor:
    self.calls += 1
    self.last = x
    return x


def tracked(self: Any, x: Tensor) -> Tensor:
    return functional.batch_norm(x, self.running_mean, self.running_var, training=True)


RANDOM = "Model is random in evaluation too, at dropout: this is one draw."
STATE = "Model writes in evaluation to {}: this is the answer of its state now, which its own calls change."
BATCH = "Model takes statistics of the batch in evaluation too, at {}: this is the answer of each image by itself."
MODELS: dict[str, tuple[type[Middle], type[Warning], str]] = {
    "random": (middle(lambda _, x: functional.dropout(x, 0.5)), RandomInEvaluation, RANDOM),
    "buffer in place": (middle(in_place), StateInEvaluation, STATE.format("mean")),
    "buffer assigned": (middle(assigned), StateInEvaluation, STATE.format("mean")),
    "attribute": (middle(attribute), StateInEvaluation, STATE.format("ema")),
    "counter": (middle(counter), StateInEvaluation, STATE.format("step")),
    "remembered": (middle(remembered), StateInEvaluation, STATE.format("before")),
    "list": (middle(listed), StateInEvaluation, STATE.format("log")),
    "table": (middle(tabled), StateInEvaluation, STATE.format("table")),
    "batch": (
        middle(lambda _, x: functional.batch_norm(x, None, None, training=True)),
        BatchStatistics,
        BATCH.format("batch_norm"),
    ),
}

METHODS: dict[str, Callable[[fm.Network, Path], Any]] = {
    "maps": lambda net, _: net.maps(IMAGES, "d:z"),
    "explain": lambda net, _: net.explain(IMAGES[:1], "d:z/1@0,0"),
    "contributions": lambda net, _: net.contributions(IMAGES[:1], "d:conv/1"),
    "project": lambda net, _: net.project(IMAGES[:1], "d:z/1@0,0", progress=False),
    "occlude": lambda net, _: net.occlude(IMAGES[0], "d:z/1@0,0", 4, progress=False),
    "sheet": lambda net, _: net.sheet(IMAGES, "d:z", channels=[0], k=1, progress=False),
    "index": lambda net, path: fm.Index.build(net, IMAGES, path / "index.fmi", progress=False),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", MODELS)
def test_every_method_says_why_the_next_call_may_differ(name: str, method: str, tmp_path: Path) -> None:
    kind, category, text = MODELS[name]
    net, before = fm.trace(kind().eval(), SHAPE), torch.get_rng_state()
    if (name, method) == ("random", "occlude"):
        with pytest.raises(InputError, match="random in evaluation too, at dropout: what a window changes"):
            METHODS[method](net, tmp_path)
        return
    with pytest.warns(category) as said:
        answer = METHODS[method](net, tmp_path)
    assert {str(warning.message) for warning in said} == {text}
    if method in ("sheet", "contributions"):
        assert answer.notes == (text,)
        assert answer.to_dict()["notes"] == [text]
    if method == "index":
        shown = fm.Index.open(tmp_path / "index.fmi").summary()
        assert shown.to_dict()["notes"] == [text]
        assert text in " ".join(str(shown).split())
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", MODELS)
def test_the_plan_names_it_too(name: str) -> None:
    kind, _, text = MODELS[name]
    plan = fm.trace(kind().eval(), SHAPE).plan()
    named = (*plan.random_operators, *plan.batch_statistics, *plan.written_state)
    assert len(named) == 1
    assert named[0] in text
    said = ("random in evaluation too: ", "statistics of the batch in evaluation too: ", "written in evaluation: ")
    assert any(f"{words}{named[0]}" in str(plan) for words in said)
    data = plan.to_dict()
    assert [*data["random_operators"], *data["batch_statistics"], *data["written_state"]] == list(named)


@pytest.mark.parametrize("name", [name for name in MODELS if name != "batch"])
def test_the_next_call_does_differ(name: str) -> None:
    module = MODELS[name][0]().eval()
    with torch.no_grad():
        calls = [module(IMAGES[:1]) for _ in range(3)]
    assert not torch.equal(calls[1], calls[2])


def test_what_lies_before_it_is_answered_without_a_word(tmp_path: Path) -> None:
    net = fm.trace(MODELS["buffer in place"][0]().eval(), SHAPE)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        net.maps(IMAGES, "c:z")
        net.contributions(IMAGES[:1], "c:conv/1")
        net.project(IMAGES[:1], "c:z/1@0,0", progress=False)
        fm.Index.build(net, IMAGES, tmp_path / "index.fmi", layers=["c:z"], progress=False)


@pytest.mark.parametrize("function", [unread, tracked], ids=["what nobody reads", "running statistics"])
def test_what_is_written_and_never_read_is_in_the_plan_alone(function: Callable[[Any, Tensor], Tensor]) -> None:
    module = middle(function)().eval()
    kept = copy.deepcopy(module.state_dict())
    net = fm.trace(module, SHAPE)
    written = net.plan().written_state
    assert written == (("calls", "last") if function is unread else ("running_mean", "running_var"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", BatchStatistics)
        found = net.maps(IMAGES, "d:z")["d:z"].values
        net.occlude(IMAGES[0], "d:z/1@0,0", 4, progress=False)
    with torch.no_grad():
        alone = torch.cat([copy.deepcopy(module)(image[None]) for image in IMAGES])
    assert torch.allclose(found, alone, atol=1e-5)
    assert all(torch.equal(value, kept[key]) for key, value in module.state_dict().items())


def normed(kind: Callable[..., nn.Module]) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return nn.Sequential(kind(conv()), nn.ReLU(inplace=True), conv(4))


def pruned(module: nn.Module) -> nn.Module:
    return prune.l1_unstructured(module, "weight", 0.5)


class Kept(nn.Module):
    """A convolution whose scaled weight is kept in an attribute, in one of several ways."""

    def __init__(self, function: Callable[[Any, Tensor], Tensor]) -> None:
        super().__init__()
        self.c = conv()
        self.register_buffer("seen", torch.ones(1))
        self.kept = torch.ones(4, 3, 3, 3)
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self, x)


def anew(self: Any, x: Tensor) -> Tensor:
    self.kept = self.c.weight * self.seen
    return functional.conv2d(x, self.kept).relu_()


def read_before(self: Any, x: Tensor) -> Tensor:
    kept, self.kept = self.kept, self.c.weight * 2
    return functional.conv2d(x, kept)


def of_the_image(self: Any, x: Tensor) -> Tensor:
    self.kept = self.c.weight * x.mean()
    return functional.conv2d(x, self.kept)


def of_a_counter(self: Any, x: Tensor) -> Tensor:
    self.kept = self.c.weight * self.seen
    self.seen.add_(1)
    return functional.conv2d(x, self.kept)


def of_a_new_buffer(self: Any, x: Tensor) -> Tensor:
    self.seen = self.seen + 1
    self.kept = self.c.weight * self.seen
    return functional.conv2d(x, self.kept)


def at_random(self: Any, x: Tensor) -> Tensor:
    self.kept = self.c.weight * torch.rand_like(self.c.weight)
    return functional.conv2d(x, self.kept)


def written_later(self: Any, x: Tensor) -> Tensor:
    self.kept = self.c.weight * 2
    self.kept[0].mul_(x.mean())
    return functional.conv2d(x, self.kept)


def of_itself(self: Any, x: Tensor) -> Tensor:
    self.kept = self.kept * 0.5 + self.c.weight
    return functional.conv2d(x, self.kept)


@pytest.mark.parametrize(
    "module",
    [
        normed(nn.utils.weight_norm),
        normed(nn.utils.spectral_norm),
        normed(nn.utils.parametrizations.weight_norm),
        normed(pruned),
        Kept(anew),
    ],
    ids=["weight norm", "spectral norm", "parametrization", "pruning", "attribute"],
)
def test_what_each_call_computes_from_weights_alone_is_no_state(module: nn.Module) -> None:
    module.eval()
    with torch.no_grad():
        first, second = module(IMAGES), module(IMAGES)
    assert torch.equal(first, second)
    net = fm.trace(module, SHAPE)
    assert net.plan().written_state == ()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = net.maps(IMAGES, net.layers[-1].address, progress=False)
    assert torch.allclose(next(iter(found.values())).values, first, atol=1e-5)


@pytest.mark.parametrize(
    "function", [read_before, of_the_image, of_a_counter, of_a_new_buffer, at_random, written_later, of_itself]
)
def test_what_may_be_otherwise_each_time_is_state(function: Callable[[Any, Tensor], Tensor]) -> None:
    assert "kept" in fm.trace(Kept(function).eval(), SHAPE).plan().written_state
