"""Modules that move values: planes into tokens and back, along the batch, channels last, in pieces."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from featmap.testing.awkward.kind import Awkward, kind


def _conv(given: int, made: int, size: int = 3, **settings: Any) -> Any:
    return lambda: nn.Conv2d(given, made, size, **settings)


def _space_to_depth(s: Any, x: Tensor) -> Tensor:
    b, c, h, w = x.shape
    y = x.view(b, c, h // 2, 2, w // 2, 2).permute(0, 1, 3, 5, 2, 4).reshape(b, c * 4, h // 2, w // 2)
    return s.d(y)


def _windows(s: Any, x: Tensor) -> Tensor:
    y = s.c(functional.pad(x, (1, 1, 1, 1)))
    b, c, h, w = y.shape
    parts = y.view(b, c, h // 4, 4, w // 4, 4).permute(0, 2, 4, 3, 5, 1).reshape(-1, 16, c)
    mixed = parts + s.l(parts)
    return mixed.view(b, h // 4, w // 4, 4, 4, c).permute(0, 5, 1, 3, 2, 4).reshape(b, c, h, w)


def _tokens(s: Any, x: Tensor) -> Tensor:
    y = s.c(x)
    b, c, h, w = y.shape
    tokens = s.n(y.flatten(2).transpose(1, 2))
    return s.d(tokens.transpose(1, 2).reshape(b, c, h, w))


def _shift(s: Any, x: Tensor) -> Tensor:
    y = s.c(x)
    left, right, rest = y.split([1, 1, 2], 1)
    return s.d(torch.cat([left.roll(1, 3), right.roll(-1, 3), rest], 1))


def _unet(s: Any, x: Tensor) -> Tensor:
    down = s.c(x)
    up = s.u(s.p(down).relu())
    return s.d(torch.cat([up, down], 1))


MOVING: dict[str, Awkward] = {
    "space to depth by reshapes": kind(_space_to_depth, d=_conv(12, 4, padding=1)),
    "windows as batch": kind(_windows, l=lambda: nn.Linear(4, 4)),
    "tokens and back": kind(_tokens, n=lambda: nn.LayerNorm(4), d=_conv(4, 2)),
    "channels last": kind(lambda s, x: s.l(s.c(x).permute(0, 2, 3, 1)).permute(0, 3, 1, 2), l=lambda: nn.Linear(4, 5)),
    "images joined": kind(lambda s, x: torch.sub(*s.c(torch.cat([x, x.flip(3)])).chunk(2))),
    "images stacked": kind(lambda s, x: s.c(torch.stack([x, x * 2]).flatten(0, 1)).unflatten(0, (2, 1)).amax(0)),
    "channels as batch": kind(lambda s, x: s.d(x.reshape(3, 1, 12, 12)).view(1, 6, 10, 10), d=_conv(1, 2)),
    "channels swapped": kind(lambda s, x: s.c(x[:, [2, 1, 0]]).relu()),
    "rows and columns swapped": kind(lambda s, x: s.c(x.transpose(2, 3)).relu()),
    "turned and rolled": kind(lambda s, x: s.c(x.flip(2).roll((1, 2), (2, 3)))),
    "every other pixel": kind(
        lambda s, x: s.d(torch.cat([x[..., ::2, ::2], x[..., 1::2, ::2], x[..., ::2, 1::2], x[..., 1::2, 1::2]], 1)),
        d=_conv(12, 4),
    ),
    "a shift of channels": kind(_shift, d=_conv(4, 4)),
    "a U": kind(_unet, p=_conv(4, 4, 2, stride=2), u=lambda: nn.ConvTranspose2d(4, 4, 2, 2), d=_conv(8, 2)),
    "down and up": kind(
        lambda s, x: functional.interpolate(s.c(x)[..., ::2, ::2], scale_factor=2.0, mode="bilinear").relu()
    ),
    "an area resize": kind(lambda s, x: s.c(functional.interpolate(x, scale_factor=0.5, mode="area"))),
    "channels of padding": kind(lambda s, x: s.d(functional.pad(s.c(x), (0, 0, 0, 0, 1, 1))), d=_conv(6, 2)),
    "grey made three": Awkward(kind(lambda s, x: s.c(x.expand(-1, 3, -1, -1)).relu()).build, shape=(1, 12, 12)),
    "patches by unfold": kind(
        lambda s, x: s.l(functional.unfold(x, 3, stride=3).transpose(1, 2)).transpose(1, 2).unflatten(2, (4, 4)),
        l=lambda: nn.Linear(27, 4),
    ),
    "pooled pyramids": kind(
        lambda s, x: torch.cat([s.c(x), functional.adaptive_avg_pool2d(s.c(x), 1).expand(-1, -1, 10, 10)], 1)
    ),
    "reflected borders": kind(lambda s, x: s.d(functional.pad(s.c(x), (2, 2, 1, 1), "reflect")), d=_conv(4, 2)),
    "a crop to another size": kind(lambda s, x: s.c(x)[:, :, 2:-1, 1:-2] + s.d(x), d=_conv(3, 4, 6)),
}
