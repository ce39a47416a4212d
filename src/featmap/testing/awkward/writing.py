"""Modules that write while they run: to themselves, to their classes, to what they share."""

from __future__ import annotations

import functools
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from featmap.testing.awkward.kind import Awkward, Forward, kind


class _Head(nn.Module):
    """A detection head: grids of the last shape, kept on the class."""

    anchors: ClassVar[Tensor] = torch.empty(0)
    shape: ClassVar[Any] = None

    def __init__(self) -> None:
        super().__init__()
        self.c = nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.c(x)
        if self.shape != y.shape:
            type(self).anchors, type(self).shape = torch.arange(float(y.shape[-1])), y.shape
        return y + self.anchors


@functools.lru_cache(maxsize=4)
def _grid(size: int) -> Tensor:
    return torch.arange(float(size))


def _keeps(s: Any, x: Tensor) -> Tensor:
    s.seen = s.c(x)
    return s.seen.relu() * 2


def _lists(s: Any, x: Tensor) -> Tensor:
    s.features.append(s.c(x))
    return s.features[-1] + 1


def _remembers(s: Any, x: Tensor) -> Tensor:
    grid = s.cache.setdefault("grid", torch.linspace(0, 1, x.shape[-1] - 2))
    return s.c(x) * grid


def _counts(s: Any, x: Tensor) -> Tensor:
    s.calls += 1
    s.count.add_(1)
    return s.c(x).relu()


def _hooks(s: Any, x: Tensor) -> Tensor:
    if not s.c._forward_hooks:
        s.c.register_forward_hook(lambda module, given, output: output * 2)  # noqa: ARG005
    return s.c(x)


def _in_place(s: Any, x: Tensor) -> Tensor:
    y = s.c(x)
    y.add_(1).mul_(0.5)
    y[:, 1].mul_(0.5)
    return torch.nn.functional.relu_(y)


def _assigns_parts(s: Any, x: Tensor) -> Tensor:
    y = s.c(x).clone()
    y[:, :2, 1:] = y[:, :2, :-1].clone()
    y[:, 2:, :, :3] = 0
    return s.d(y)


def _buffer() -> nn.Module:
    module = Forward(_counts, c=nn.Conv2d(3, 4, 3), calls=0)
    module.register_buffer("count", torch.zeros((), dtype=torch.int64))
    return module


def _training() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, momentum=0.5), nn.Dropout(0.5), nn.ReLU())


WRITING: dict[str, Awkward] = {
    "an attribute": kind(_keeps),
    "a list of features": kind(_lists, features=list),
    "a dictionary as a cache": kind(_remembers, cache=dict),
    "attributes of the class": Awkward(_Head),
    "a function's cache": kind(lambda s, x: s.c(x) + _grid(x.shape[-1] - 2)),
    "a buffer that counts": Awkward(_buffer),
    "a hook that it registers itself": kind(_hooks),
    "values in place": kind(_in_place),
    "parts of values": kind(_assigns_parts, d=lambda: nn.Conv2d(4, 2, 1)),
    "training mode": Awkward(_training),
}
