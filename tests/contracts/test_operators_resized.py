"""Operators whose arguments hold sizes, at another size than the captured one: as the model captured there says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import featmap as fm

SHAPE = (4, 8, 6)
OTHER = (4, 12, 9)
aten = torch.ops.aten


def numbers(*shape: int) -> Tensor:
    """Positive numbers, the same every time."""
    return (torch.arange(torch.Size(shape).numel(), dtype=torch.float64).reshape(shape) % 7 + 1) / 4


def unpooled(x: Tensor) -> Tensor:
    """Values at the places where a pool finds the maxima of other ones."""
    _, places = functional.max_pool2d(x, 2, return_indices=True)
    values = x[..., ::2, ::2][..., : places.shape[2], : places.shape[3]]
    return functional.max_unpool2d(values, places, 2, output_size=x.shape[2:])


def assigned(x: Tensor, place: Any, value: Any) -> Tensor:
    """The tensor with a value written on a part of it."""
    x[place] = value
    return x


def resize(mode: str, **settings: Any) -> Callable[[Tensor], Tensor]:
    return lambda x: functional.interpolate(x, mode=mode, **settings)


CASES: dict[str, Callable[[Tensor], Tensor]] = {
    "conv2d": lambda x: functional.conv2d(x, numbers(6, 2, 3, 2), None, (2, 1), (1, 0), (1, 2), 2),
    "conv_transpose2d": lambda x: functional.conv_transpose2d(x, numbers(4, 2, 3, 2), None, (2, 3), 1, (1, 0), 2),
    "conv3d": lambda x: functional.conv3d(x[:, None], numbers(2, 1, 2, 3, 3)),
    "linear": lambda x: functional.linear(x.permute(0, 2, 3, 1), numbers(5, 4)),
    "linear of rows": lambda x: functional.linear(x, numbers(5, 6)),
    "matmul": lambda x: x @ x.transpose(2, 3),
    "bmm": lambda x: torch.bmm(x.flatten(2), x.flatten(2).transpose(1, 2)),
    "attention": lambda x: functional.scaled_dot_product_attention(x, x, x),
    "einsum": lambda x: torch.einsum("nchw,cd->ndhw", x, numbers(4, 3)),
    "max_pool2d": lambda x: functional.max_pool2d(x, (3, 2), (2, 1), (1, 0), ceil_mode=True),
    "avg_pool2d": lambda x: functional.avg_pool2d(x, (3, 2), (2, 1), (1, 0), count_include_pad=False),
    "adaptive_avg_pool2d": lambda x: functional.adaptive_avg_pool2d(x, (3, 5)),
    "adaptive, as many columns": lambda x: functional.adaptive_avg_pool2d(x, (3, 6)),
    "adaptive_max_pool2d": lambda x: functional.adaptive_max_pool2d(x, (3, 5)),
    "max_unpool2d": unpooled,
    "im2col": lambda x: functional.unfold(x, 3, padding=1),
    "col2im": lambda x: functional.fold(functional.unfold(x, 3, padding=1), tuple(x.shape[2:]), 3, padding=1),
    "pad": lambda x: functional.pad(x, (1, -2, 3, 0)),
    "reflected": lambda x: functional.pad(x, (1, 2, 2, 0), mode="reflect"),
    "nearest": resize("nearest", scale_factor=(2, 1.5)),
    "nearest, exact": resize("nearest-exact", scale_factor=1.5),
    "bilinear": resize("bilinear", scale_factor=1.5),
    "bilinear to a size": resize("bilinear", size=(9, 15)),
    "bicubic": resize("bicubic", scale_factor=2, align_corners=True),
    "antialiased": resize("bilinear", scale_factor=0.5, antialias=True),
    "view": lambda x: x.view(1, 2, 2, *x.shape[2:]),
    "reshape": lambda x: x.reshape(1, -1),
    "flatten": lambda x: x.flatten(1),
    "flatten of rows": lambda x: x.flatten(2).transpose(1, 2),
    "unflatten": lambda x: x.unflatten(1, (2, 2)),
    "unflatten of columns": lambda x: x.unflatten(3, (-1, 3)),
    "reshape_as": lambda x: x.reshape_as(x.flatten(1)),
    "expand": lambda x: x.mean(1, keepdim=True).expand(-1, 5, -1, -1),
    "expand to rows": lambda x: x.mean(2, keepdim=True).expand(-1, -1, x.shape[2], -1),
    "expand_as": lambda x: x.mean((1, 2), keepdim=True).expand_as(x),
    "slice": lambda x: x[:, 1:3, ::2, 1:-1],
    "slice up to a number": lambda x: x[:, :, :6],
    "narrow": lambda x: x.narrow(2, 1, 5),
    "split": lambda x: x.split(2, 1)[1],
    "split of rows": lambda x: x.split(4, 2)[1],
    "chunk of columns": lambda x: x.chunk(3, 3)[1],
    "tensor_split": lambda x: x.tensor_split(2, 1)[0],
    "unbind of rows": lambda x: x.unbind(2)[1],
    "roll": lambda x: x.roll((1, 2), (2, 3)),
    "unfold": lambda x: x.unfold(2, 3, 2),
    "repeat": lambda x: x.repeat(1, 2, 1, 2),
    "tile": lambda x: x.tile(2, 1, 1),
    "repeat_interleave": lambda x: x.repeat_interleave(2, 1),
    "pixel_shuffle": lambda x: functional.pixel_shuffle(x, 2),
    "layer_norm of channels": lambda x: functional.layer_norm(x.permute(0, 2, 3, 1), (4,)),
    "slice_scatter": lambda x: assigned(x.clone(), (..., slice(1, -1, 2), slice(1, 4)), x[..., 1:-1:2, 2:5] * 3),
    "select_scatter": lambda x: assigned(x.clone(), (slice(None), 1), x[:, 2] * 3),
    "index of rows": lambda x: x[:, :, [3, 1]],
    "affine_grid": lambda x: functional.affine_grid(x[:, :2, 0, :3], [1, 1, 5, 6], align_corners=False),
    "ones": lambda x: x * torch.ones(x.shape[2], 1, dtype=x.dtype),
    "arange": lambda x: x * torch.arange(x.shape[3], dtype=x.dtype),
    "eye": lambda x: x @ torch.eye(x.shape[3], dtype=x.dtype),
    "irfft2": lambda x: torch.fft.irfft2(x, s=(8, 6)),
}


class Applied(nn.Module):
    def __init__(self, case: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.case = case

    def forward(self, x: Tensor) -> Tensor:
        return self.case(x)


@pytest.mark.parametrize("name", CASES)
def test_shapes_axes_and_costs_at_another_size_are_those_of_the_model_captured_there(name: str) -> None:
    module, image = Applied(CASES[name]).eval(), torch.rand((1, *OTHER), dtype=torch.float64)
    net = fm.trace(module, inputs=torch.rand((1, *SHAPE), dtype=torch.float64))
    try:
        expected = module(image)
    except RuntimeError:
        with pytest.raises(fm.errors.FeatmapError):
            net.plan(OTHER)
        return
    there = net._captured.at(OTHER)
    (output,) = there.graph.outputs
    assert there.sized.shape(output) == tuple(expected.shape)
    again = fm.trace(module, inputs=image)._captured.sized
    assert there.sized.specs == again.specs
    assert there.sized.axes == again.axes
    assert [there.sized.macs(node.index) for node in there.graph] == [again.macs(n.index) for n in again.graph]
