"""Modules with unusual registration, calls or outputs: shared, sliced, nested, with several outputs."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from featmap.testing.awkward.kind import Awkward, Forward, kind


class Answer(NamedTuple):
    """What a model may return."""

    scores: Tensor
    features: Tensor


class _Own(nn.Conv2d):
    """A layer of the user's own class, with a forward of its own."""

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input * 2) - 1


class _Called(nn.Module):
    """Overrides `__call__` itself."""

    def __init__(self) -> None:
        super().__init__()
        self.c = nn.Conv2d(3, 4, 3)

    def __call__(self, x: Tensor) -> Tensor:
        return super().__call__(x) + 1

    def forward(self, x: Tensor) -> Tensor:
        return self.c(x)


def _shared() -> nn.Module:
    relu, twice = nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1)
    return nn.Sequential(nn.Conv2d(3, 4, 3), relu, twice, relu, twice, nn.Sequential(twice, relu))


def _two_names() -> nn.Module:
    part = nn.Conv2d(3, 4, 3)
    return Forward(lambda s, x: s.other(x).relu(), first=part, other=part)


def _dictionary() -> nn.ModuleDict:
    return nn.ModuleDict({"3 x 3": nn.Conv2d(3, 2, 3), "a:b": nn.Conv2d(3, 2, 3), "c/d": nn.Conv2d(3, 2, 3)})


def _hooked() -> nn.Module:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    halved: Any = lambda part, given, output: output * 0.5  # noqa: ARG005, E731
    module[0].register_forward_hook(halved)
    module[1].register_forward_pre_hook(lambda part, given: (given[0] + 0.1,))  # noqa: ARG005
    return module


def _deep(depth: int) -> nn.Module:
    module: nn.Module = nn.Conv2d(3, 4, 3)
    for _ in range(depth):
        module = nn.Sequential(module, nn.Identity())
    return module


def _tied() -> nn.Module:
    module = nn.Sequential(nn.Conv2d(3, 3, 3), nn.ReLU(), nn.Conv2d(3, 3, 3))
    module[2].weight = module[0].weight
    return module


def _frozen() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 1)).requires_grad_(False)


def _named(s: Any, x: Tensor) -> dict[str, Any]:
    y = s.c(x)
    return OrderedDict(out=y.relu(), aux={"mean": y.mean((2, 3)), "list": [y, None, 3]})


CALLING: dict[str, Awkward] = {
    "shared modules": Awkward(_shared),
    "one module under two names": Awkward(_two_names),
    "a sliced container": kind(
        lambda s, x: s.f[1:](s.f[:1](x)), f=lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3))
    ),
    "a list of modules": kind(
        lambda s, x: sum(part(x) for part in s.parts),
        parts=lambda: nn.ModuleList([nn.Conv2d(3, 2, 3), nn.Conv2d(3, 2, 3)]),
    ),
    "names with signs": kind(lambda s, x: torch.cat([part(x) for part in s.parts.values()], 1), parts=_dictionary),
    "modules that pass on": Awkward(
        lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.Identity(), nn.Sequential(), nn.Dropout(), nn.ReLU())
    ),
    "a module within many": Awkward(lambda: _deep(12)),
    "a class of its own": Awkward(lambda: nn.Sequential(_Own(3, 4, 3), nn.ReLU())),
    "a call of its own": Awkward(_Called),
    "hooks that change values": Awkward(_hooked),
    "tied weights": Awkward(_tied),
    "frozen weights": Awkward(_frozen),
    "several outputs": kind(lambda s, x: (s.c(x), s.c(x).mean((2, 3)))),
    "an output twice": kind(lambda s, x: (lambda y: (y, y))(s.c(x).relu())),
    "named outputs": kind(_named),
    "a named tuple": kind(lambda s, x: Answer(s.c(x).mean((2, 3)), s.c(x))),
    "the image itself": kind(lambda s, x: (s.c(x), x)),
    "a part that nobody uses": kind(lambda s, x: s.c(x), unused=lambda: nn.Linear(3, 3)),
    "convolutions of every kind": Awkward(
        lambda: nn.Sequential(
            nn.Conv2d(3, 6, 3, padding="same", dilation=2, groups=3, padding_mode="circular"),
            nn.Conv2d(6, 4, (1, 3), stride=(2, 1), bias=False),
            nn.ConvTranspose2d(4, 4, 3, stride=2, padding=1, output_padding=1, groups=2),
            nn.PReLU(4),
        )
    ),
    "nothing but a pool": Awkward(lambda: nn.Sequential(nn.MaxPool2d(3, 2, 1, ceil_mode=True))),
    "weights that are no layers": kind(
        lambda s, x: s.c(x) * s.scale + s.shifts[0],
        scale=lambda: nn.Parameter(torch.randn(1, 4, 1, 1)),
        shifts=lambda: nn.ParameterList([nn.Parameter(torch.randn(10))]),
    ),
}
