"""Modules that draw random numbers in evaluation too: named in plans and answers; occlusion refuses them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional

import featmap as fm
from featmap.errors import InputError
from featmap.network.randomness import RandomInEvaluation
from support.tiny_modules import conv, written

SHAPE = (3, 12, 10)
IMAGE = torch.rand(1, *SHAPE, generator=torch.Generator().manual_seed(0))
RANDOM: dict[str, tuple[Callable[[Tensor], Tensor], str]] = {
    "dropout": (lambda x: functional.dropout(x, 0.5), "dropout"),
    "dropout2d": (lambda x: functional.dropout2d(x, 0.5), "feature_dropout"),
    "alpha dropout": (lambda x: functional.alpha_dropout(x, 0.5, training=True), "alpha_dropout"),
    "randn_like": (lambda x: x + torch.randn_like(x), "randn_like"),
    "rand": (lambda x: x + torch.rand(4, 1, 1), "rand"),
    "randint": (lambda x: x + torch.randint(0, 5, (1,)), "randint"),
    "bernoulli": (lambda x: x * torch.bernoulli(x.sigmoid()), "bernoulli"),
    "poisson": (lambda x: x + torch.poisson(x.sigmoid()), "poisson"),
    "normal": (lambda x: torch.normal(x, 1.0), "normal"),
    "normal in place": (lambda x: x + torch.empty(1).normal_(), "normal_functional"),
    "exponential": (lambda x: x + torch.empty(1).exponential_(), "exponential"),
    "multinomial": (lambda x: x + torch.multinomial(torch.ones(4), 4).view(1, 4, 1, 1), "multinomial"),
    "fractional pool": (lambda x: functional.fractional_max_pool2d(x, 2, output_size=5), "rand"),
    "rrelu": (lambda x: functional.rrelu(x, training=True), "rrelu"),
    "attention": (lambda x: functional.scaled_dot_product_attention(x, x, x, dropout_p=0.5),
                  "scaled_dot_product_attention"),
}  # fmt: skip
FIXED: dict[str, Callable[[Tensor], Tensor]] = {
    "dropout of 0": lambda x: functional.dropout(x, 0.0),
    "dropout of 1": lambda x: functional.dropout(x, 1.0),
    "dropout in evaluation": lambda x: functional.dropout(x, 0.5, training=False),
    "rrelu in evaluation": functional.rrelu,
    "attention": lambda x: functional.scaled_dot_product_attention(x, x, x),
}


def network(middle: Callable[[Tensor], Tensor]) -> fm.Network:
    torch.manual_seed(0)
    return fm.trace(written(lambda self, x: self.d(middle(self.c(x))), c=conv(), d=conv(4)), SHAPE)


@pytest.mark.parametrize(("middle", "address"), RANDOM.values(), ids=RANDOM.keys())
def test_a_random_operator_is_named_and_occlusion_is_refused(middle: Callable[[Tensor], Tensor], address: str) -> None:
    net = network(middle)
    before = torch.get_rng_state()
    plan = net.plan()
    assert plan.random_operators == (address,)
    assert f"random in evaluation too: {address}" in str(plan)
    assert plan.to_dict()["random_operators"] == [address]
    with pytest.warns(RandomInEvaluation, match=f"at {address}: "):
        net.maps(IMAGE, "d:z")
    with pytest.warns(RandomInEvaluation, match=f"at {address}: "):
        net.explain(IMAGE, "d:conv/1@0,0")
    with pytest.raises(InputError, match=f"random in evaluation too, at {address}: "):
        net.occlude(IMAGE, "d:z/1@0,0", 4, progress=False)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("address", ["dropout", "randn_like", "rand"])
def test_a_projection_names_what_it_goes_through(address: str) -> None:
    net = network(RANDOM[address][0])
    before = torch.get_rng_state()
    with pytest.warns(RandomInEvaluation, match=f"at {address}: "):
        net.project(IMAGE, "d:z/1@0,0", progress=False)
    assert torch.equal(torch.get_rng_state(), before)


def test_what_comes_before_the_randomness_is_answered_as_ever() -> None:
    net = network(RANDOM["dropout"][0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        net.maps(IMAGE, "c:z")
        assert abs(net.occlude(IMAGE, "c:z/1@0,0", 4, 4, lambda image: image, progress=False).drop).max() < 1e-6


@pytest.mark.parametrize("middle", FIXED.values(), ids=FIXED.keys())
def test_what_draws_nothing_is_not_called_random(middle: Callable[[Tensor], Tensor]) -> None:
    net = network(middle)
    assert net.plan().random_operators == ()
    net.maps(IMAGE, "d:z")
    assert abs(net.occlude(IMAGE, "d:z/1@0,0", 4, 4, lambda image: image, progress=False).drop).max() < 1e-6


@pytest.mark.parametrize("ask", ["maps", "project", "explain", "contributions", "index"])
def test_a_warning_names_the_line_that_asked(ask: str, tmp_path: Path) -> None:
    net = network(torch.randn_like)
    questions: dict[str, Callable[[], object]] = {
        "maps": lambda: net.maps(IMAGE),
        "project": lambda: net.project(IMAGE, "d/0", rule="gradient"),
        "explain": lambda: net.explain(IMAGE, "d/0@1,1"),
        "contributions": lambda: net.contributions(IMAGE, "d/0"),
        "index": lambda: fm.Index.build(net, IMAGE, tmp_path / "i.fmi", progress=False),
    }
    with pytest.warns(RandomInEvaluation) as caught:
        questions[ask]()
    assert {warning.filename for warning in caught} == {__file__}
