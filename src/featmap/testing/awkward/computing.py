"""Modules with unusual arithmetic: other types, masks and complex numbers, no gradients, randomness."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrizations
from torch.utils.checkpoint import checkpoint

from featmap.testing.awkward.kind import Awkward, kind


class _Round(torch.autograd.Function):
    """Rounds; on the way back it is the identity."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:  # noqa: ARG004
        return x.round()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:  # noqa: ARG004
        return gradients[0]


def _no_grad(s: Any, x: Tensor) -> Tensor:
    y = s.c(x)
    with torch.no_grad():
        gate = y.sigmoid()
    return y * gate


def _peaks(s: Any, x: Tensor) -> Tensor:
    y = s.c(x).sigmoid()
    return y * (functional.max_pool2d(y, 3, 1, 1) == y).float()


def _statistics(s: Any, x: Tensor) -> Tensor:
    y = s.c(x)
    variance, mean = torch.var_mean(y, (2, 3), keepdim=True)
    return (y - mean) / (variance + 1e-5).sqrt()


def _memory(s: Any, x: Tensor) -> Tensor:
    y = s.c(x).mean(3).transpose(1, 2)
    found, _ = s.r(y)
    return found[:, -1]


def _attention(s: Any, x: Tensor) -> Tensor:
    y = s.c(x)
    tokens = y.flatten(2).transpose(1, 2)
    mixed, _ = s.a(tokens, tokens, tokens, need_weights=False)
    return y + mixed.transpose(1, 2).unflatten(2, y.shape[2:])


def _switchable(s: Any, x: Tensor) -> Tensor:
    weights = torch.where(s.w > 0, s.w, 0.1 * s.w)
    return functional.conv2d(x, weights / weights.abs().sum((1, 2, 3), keepdim=True))


def _dynamic(s: Any, x: Tensor) -> Tensor:
    kernel = s.l(x.mean((2, 3))).view(4, 3, 1, 1)
    return functional.conv2d(x, kernel) + s.c(functional.pad(x, (1, 1, 1, 1)))


def _weight_norm() -> nn.Module:
    return nn.Sequential(parametrizations.weight_norm(nn.Conv2d(3, 4, 3)), nn.ReLU())


def _relu_kept(s: Any, x: Tensor) -> Tensor:
    y = s.c(x)
    return s.d(torch.cat([y.relu(), (-y).relu()], 1))


def _parameter() -> nn.Parameter:
    return nn.Parameter(torch.randn(4, 3, 3, 3))


COMPUTING: dict[str, Awkward] = {
    "integers as pixels": Awkward(kind(lambda s, x: s.c(x.float() / 255).relu()).build, dtype=torch.uint8),
    "double precision": Awkward(lambda: nn.Sequential(nn.Conv2d(3, 4, 3).double(), nn.ReLU()), dtype=torch.float64),
    "a part in bfloat16": kind(lambda s, x: s.c(x).bfloat16().relu().float()),
    "a Fourier transform": kind(lambda s, x: torch.fft.irfft2(torch.fft.rfft2(s.c(x)) * 0.5)),
    "magnitudes": kind(lambda s, x: torch.complex(s.c(x), s.c(x) + 1).abs()),
    "a detached part": kind(lambda s, x: (lambda y: y + (y.sign() - y).detach() * 0.5)(s.c(x))),
    "a block without gradients": kind(_no_grad),
    "a checkpoint": kind(lambda s, x: checkpoint(s.c, x, use_reentrant=False)),
    "gradients of its own": Awkward(kind(lambda s, x: _Round.apply(s.c(x) * 4)).build, own_gradients=True),
    "peaks by a comparison": kind(_peaks),
    "a mask of booleans": kind(lambda s, x: (lambda y: y.masked_fill(y < 0.1, 0.0))(s.c(x))),
    "the largest of the channels": kind(lambda s, x: torch.max(s.c(x), 1)[0]),
    "an adaptive maximum": kind(lambda s, x: functional.adaptive_max_pool2d(s.c(x), 3)),
    "the strongest channels": kind(lambda s, x: s.c(x).topk(2, dim=1).values),
    "sorted channels": kind(lambda s, x: s.c(x).sort(dim=1).values),
    "statistics of the image": kind(_statistics),
    "a recurrent layer": kind(_memory, r=lambda: nn.LSTM(4, 3, batch_first=True)),
    "attention": kind(_attention, a=lambda: nn.MultiheadAttention(4, 2, batch_first=True)),
    "a kernel made with booleans": kind(_switchable, w=_parameter),
    "a kernel made of the image": kind(_dynamic, l=lambda: nn.Linear(3, 12)),
    "normalised weights": Awkward(_weight_norm),
    "instance norm with statistics": Awkward(
        lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.InstanceNorm2d(4, affine=True, track_running_stats=True), nn.ELU())
    ),
    "statistics of the batch": Awkward(
        lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, track_running_stats=False), nn.ReLU())
    ),
    "both halves of a rectifier": kind(_relu_kept, d=lambda: nn.Conv2d(8, 2, 1)),
    "a convolution as einsum": kind(
        lambda s, x: torch.einsum("oi,bihw->bohw", s.w, s.c(x)), w=lambda: nn.Parameter(torch.randn(5, 4))
    ),
    "a volume in between": kind(
        lambda s, x: s.v(s.c(x).unsqueeze(1)).squeeze(1), v=lambda: nn.Conv3d(1, 1, 3, padding=1)
    ),
    "dropout that stays on": Awkward(
        kind(lambda s, x: functional.dropout(s.c(x), 0.5, training=True)).build, is_random=True
    ),
    "noise": Awkward(kind(lambda s, x: s.c(x + torch.randn_like(x))).build, is_random=True),
    "a fractional pool": Awkward(
        lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.FractionalMaxPool2d(2, output_size=5)), is_random=True
    ),
    "a constant": kind(lambda s, x: s.c(x) * 0 + torch.ones(())),
    "values that are not finite": kind(lambda s, x: s.c(x).log().nan_to_num(0.0, 0.0, 0.0)),
    "one number": Awkward(
        lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 1))
    ),
    "a softmax over positions": kind(lambda s, x: s.c(x).flatten(2).softmax(-1).unflatten(2, (10, 10))),
    "a window larger than its map": Awkward(
        lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.AvgPool2d(32, ceil_mode=True), nn.Flatten(), nn.Linear(4, 3))
    ),
}
