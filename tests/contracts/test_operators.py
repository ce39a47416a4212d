"""Every operator of the table, in a tiny network: captured, run, planned at another size, and its geometry believed.

Each name of the table has a case below or a reason why no capture shows it. A case is checked four times: its name is
in the captured graph, the program's value is torch's, the shape at another size is torch's, and a unit's box holds
every pixel that has a gradient (and no other, where the answer is `exact` and the gradient shows all that is read).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import featmap as fm
from featmap.geometry import Status
from featmap.graph.operators.table import TABLE
from featmap.graph.receptive.unit_box import unit_box
from featmap.graph.sized_graph import SizedGraph
from featmap.methods.maps import as_maps
from featmap.run.program.program import Program
from featmap.testing.oracles import SupportMask
from support.closeness import assert_close

SHAPE = (3, 8, 6)
OTHER = (3, 12, 9)
CHANNELS = 4

Case = Callable[[Tensor], Tensor]
aten = torch.ops.aten


def constant(*shape: int) -> Tensor:
    """Positive numbers, the same every time."""
    return (torch.arange(torch.Size(shape).numel(), dtype=torch.float64).reshape(shape) % 7 + 1) / 4


def spread(x: Tensor) -> Tensor:
    """Positive and negative values."""
    return x - x.detach().mean()


def on_spread_values(function: Case) -> Case:
    return lambda x: function(spread(x))


def as_mask(compare: Callable[[Tensor, float], Tensor]) -> Case:
    return lambda x: compare(x, 1.0) * x


def assigned(x: Tensor, place: Any, value: Any) -> Tensor:
    """The tensor with a value written on a part of it."""
    x[place] = value
    return x


def unpooled(x: Tensor, window: int, values: Tensor) -> Tensor:
    """Values at the places where a pool finds the maxima of other ones."""
    _, places = functional.max_pool2d(x, window, return_indices=True)
    return functional.max_unpool2d(
        values[..., : places.shape[2], : places.shape[3]], places, window, output_size=x.shape[2:]
    )


def grid(rows: int, columns: int) -> Tensor:
    """Coordinates from -1 to 1."""
    return functional.affine_grid(torch.eye(2, 3, dtype=torch.float64)[None], [1, 1, rows, columns], align_corners=True)


def states(x: Tensor, count: int = 1) -> Any:
    """The first states of a sequence: zeros."""
    zeros = [x.new_zeros(1, x.shape[0], 3) for _ in range(count)]
    return zeros if count > 1 else zeros[0]


def cells(x: Tensor, count: int) -> list[Tensor]:
    """The first states of a cell: zeros."""
    return [x.new_zeros(x.shape[0], 3) for _ in range(count)]


def matrices(inputs: int, gates: int, size: int) -> list[Tensor]:
    """The weights of a recurrent layer."""
    return [constant(gates * size, inputs) / 9, constant(gates * size, size) / 9]


NORM = (constant(CHANNELS), constant(CHANNELS), constant(CHANNELS), constant(CHANNELS))
CASES: dict[str, Case] = {
    "conv1d": lambda x: functional.conv1d(x.flatten(2), constant(2, 4, 3)),
    "conv2d": lambda x: functional.conv2d(x, constant(6, 2, 3, 2), None, (2, 1), (1, 0), (1, 2), 2),
    "conv3d": lambda x: functional.conv3d(x[:, None], constant(2, 1, 2, 3, 3)),
    "conv_transpose1d": lambda x: functional.conv_transpose1d(x.flatten(2), constant(4, 2, 3)),
    "conv_transpose2d": lambda x: functional.conv_transpose2d(x, constant(4, 2, 3, 2), None, (2, 3), 1, (1, 0), 2),
    "conv_transpose3d": lambda x: functional.conv_transpose3d(x[:, None], constant(1, 2, 2, 3, 3)),
    "convolution": lambda x: aten.convolution(x, constant(2, 4, 3, 3), None, [1, 1], [1, 1], [1, 1], False, [0, 0], 1),
    "linear": lambda x: functional.linear(x.permute(0, 2, 3, 1), constant(5, 4)),
    "matmul": lambda x: x @ x.transpose(2, 3),
    "mm": lambda x: torch.mm(x.mean((2, 3)), constant(4, 3)),
    "bmm": lambda x: torch.bmm(x.flatten(2), x.flatten(2).transpose(1, 2)),
    "addmm": lambda x: torch.addmm(constant(3), x.mean((2, 3)), constant(4, 3)),
    "baddbmm": lambda x: torch.baddbmm(constant(1, 4, 4), x.flatten(2), x.flatten(2).transpose(1, 2)),
    "scaled_dot_product_attention": lambda x: functional.scaled_dot_product_attention(x, x, x),
    "einsum": lambda x: torch.einsum("nchw,cd->ndhw", x, constant(4, 3)),
    **{
        name: on_spread_values(function)
        for name, function in {
            "relu": functional.relu,
            "relu6": lambda x: aten.relu6(x),
            "hardtanh": functional.hardtanh,
            "sigmoid": torch.sigmoid,
            "tanh": torch.tanh,
            "silu": functional.silu,
            "gelu": functional.gelu,
            "hardswish": functional.hardswish,
            "hardsigmoid": functional.hardsigmoid,
            "leaky_relu": functional.leaky_relu,
            "elu": functional.elu,
            "selu": functional.selu,
            "celu": functional.celu,
            "softplus": functional.softplus,
            "mish": functional.mish,
            "prelu": lambda x: functional.prelu(x, constant(4)),
            "_prelu_kernel": lambda x: aten._prelu_kernel(x, constant(1, 4, 1, 1)),
            "clamp": lambda x: x.clamp(-0.2, 0.3),
            "clamp_min": lambda x: torch.clamp_min(x, 0.1),
            "clamp_max": lambda x: torch.clamp_max(x, 0.1),
            "clip": lambda x: torch.clip(x, -0.1, 0.4),
            "threshold": lambda x: functional.threshold(x, 0.1, 0.0),
            "log_sigmoid": functional.logsigmoid,
            "hardshrink": functional.hardshrink,
            "softshrink": functional.softshrink,
            "abs": torch.abs,
            "neg": torch.neg,
            "square": torch.square,
            "floor": torch.floor,
            "ceil": torch.ceil,
            "round": torch.round,
            "sign": torch.sign,
            "erf": torch.erf,
            "rrelu": functional.rrelu,
            "absolute": torch.absolute,
            "negative": torch.negative,
            "fix": torch.fix,
            "special_ndtr": torch.special.ndtr,
            "arcsinh": torch.arcsinh,
            "arctan": torch.arctan,
            "bucketize": lambda x: torch.bucketize(x, constant(4).sort().values) * x,
            "isclose": lambda x: torch.isclose(x, x * 2) * x,
            "isreal": lambda x: torch.isreal(x) * x,
            "sin": torch.sin,
            "cos": torch.cos,
            "exp": torch.exp,
            "expm1": torch.expm1,
            "nan_to_num": torch.nan_to_num,
        }.items()
    },
    "batch_norm": lambda x: functional.batch_norm(x, *NORM),
    "layer_norm": lambda x: functional.layer_norm(x.permute(0, 2, 3, 1), (4,), constant(4), constant(4)),
    "rms_norm": lambda x: functional.rms_norm(x.permute(0, 2, 3, 1), (4,), constant(4)),
    "group_norm": lambda x: functional.group_norm(x, 2, constant(4), constant(4)),
    "instance_norm": lambda x: functional.instance_norm(x),
    "add": lambda x: x + functional.max_pool2d(x, 3, 1, 1),
    "sub": lambda x: x - x.mean(1, keepdim=True),
    "rsub": lambda x: torch.rsub(x, 3.0),
    "subtract": lambda x: torch.subtract(x, 1),
    "multiply": lambda x: torch.multiply(x, x.mean((2, 3), keepdim=True)),
    "divide": lambda x: torch.divide(x, 3),
    "floor_divide": lambda x: torch.floor_divide(x, 0.5) * x,
    "mul": lambda x: x * x.mean((2, 3), keepdim=True),
    "div": lambda x: x / 3,
    "maximum": lambda x: torch.maximum(x, constant(4, 1, 1)),
    "minimum": lambda x: torch.minimum(x, constant(4, 1, 1)),
    "where": lambda x: torch.where(constant(4, 1, 1) > 1, x, x * 2),
    "sqrt": torch.sqrt,
    "rsqrt": torch.rsqrt,
    "reciprocal": torch.reciprocal,
    "log": torch.log,
    "log1p": torch.log1p,
    "log2": torch.log2,
    "pow": lambda x: x**3,
    "lerp": lambda x: torch.lerp(x, x * 2, 0.25),
    "addcmul": lambda x: torch.addcmul(x, x, x),
    "addcdiv": lambda x: torch.addcdiv(x, x, x + 1),
    **{
        name: as_mask(function)
        for name, function in {
            "ge": torch.ge,
            "gt": torch.gt,
            "le": torch.le,
            "lt": torch.lt,
            "eq": torch.eq,
            "ne": torch.ne,
            "greater_equal": torch.greater_equal,
            "greater": torch.greater,
            "less_equal": torch.less_equal,
            "less": torch.less,
            "not_equal": torch.not_equal,
        }.items()
    },
    "bitwise_not": lambda x: ~(x > 1) * x,
    "logical_not": lambda x: torch.logical_not(x > 1) * x,
    "masked_fill": lambda x: x.masked_fill(x > 1, 0.5),
    "to": lambda x: x.to(torch.float32),
    "__and__": lambda x: ((x > 1) & (x < 2)) * x,
    "__or__": lambda x: ((x > 1) | (x < 2)) * x,
    "__xor__": lambda x: ((x > 1) ^ (x < 2)) * x,
    "complex": lambda x: torch.complex(x, x * 2).abs(),
    "polar": lambda x: torch.polar(x, x).real,
    "real": lambda x: torch.complex(x, x * 2).real,
    "imag": lambda x: torch.complex(x, x * 2).imag,
    "_conj": lambda x: torch.complex(x, x * 2).conj().imag,
    "resolve_conj": lambda x: torch.complex(x, x * 2).conj().resolve_conj().imag,
    "view_as_real": lambda x: torch.view_as_real(torch.complex(x, x * 2)),
    "view_as_complex": lambda x: torch.view_as_complex(torch.stack([x, x * 2], -1)).abs(),
    "fill": lambda x: aten.fill(x, 2.0) * x,
    "copy": lambda x: aten.copy(x.square(), x[:, 2:3]),
    "empty_like": lambda x: torch.empty_like(x).fill_(2) * x,
    "rand_like": lambda x: x + 0 * torch.rand_like(x),
    "randn_like": lambda x: x + 0 * torch.randn_like(x),
    "randint_like": lambda x: x + 0 * torch.randint_like(x, 3),
    "bernoulli": lambda x: x + 0 * torch.bernoulli(x / 100),
    "poisson": lambda x: x + 0 * torch.poisson(x),
    "zeros_like": lambda x: torch.zeros_like(x) + x,
    "ones_like": lambda x: torch.ones_like(x) * x,
    "full_like": lambda x: torch.full_like(x, 3.0) * x,
    **{
        name: lambda x, name=name: getattr(torch, name)(x)
        for name in [
            "tan",
            "sinh",
            "cosh",
            "asinh",
            "trunc",
            "log10",
            "exp2",
            "sinc",
            "erfc",
            "lgamma",
            "digamma",
            "atan",
        ]
    },
    **{
        name: lambda x, name=name: getattr(torch, name)(x.tanh() * 0.9)
        for name in ("asin", "acos", "atanh", "arcsin", "arccos", "arctanh")
    },
    "acosh": lambda x: torch.acosh(x.abs() + 1.5),
    "arccosh": lambda x: torch.arccosh(x.abs() + 1.5),
    **{name: lambda x, name=name: getattr(torch, name)(x) * x for name in ("isfinite", "isnan", "isinf")},
    **{
        name: lambda x, name=name: getattr(torch, name)(x > 1, x > 2) * x
        for name in ("logical_or", "logical_and", "logical_xor")
    },
    **{
        name: lambda x, name=name: getattr(torch, name)(x, x.square() + 1)
        for name in ("atan2", "arctan2", "fmod", "remainder", "hypot", "xlogy", "copysign")
    },
    "max.other": lambda x: torch.max(x, x * 0.5),
    "min.other": lambda x: torch.min(x, x * 0.5),
    "softmax": lambda x: x.softmax(1),
    "_softmax": lambda x: aten._softmax(x, 1, False),
    "log_softmax": lambda x: x.log_softmax(3),
    "_log_softmax": lambda x: aten._log_softmax(x, 2, False),
    "cumsum": lambda x: x.cumsum(1),
    "cumprod": lambda x: x.cumprod(1),
    "cummax": lambda x: x.cummax(1)[0],
    "cummin": lambda x: x.cummin(2)[0],
    "logcumsumexp": lambda x: x.logcumsumexp(3),
    "sort": lambda x: x.sort(1)[0],
    "argsort": lambda x: x.argsort(1) * x,
    "topk": lambda x: x.topk(2, 1)[0],
    "glu": lambda x: functional.glu(x, 1),
    "max_pool1d": lambda x: functional.max_pool1d(x.flatten(2), 2),
    "max_pool2d": lambda x: functional.max_pool2d(x, (3, 2), (2, 1), (1, 0), ceil_mode=True),
    "max_pool3d": lambda x: functional.max_pool3d(x[:, None], 2),
    "max_pool2d_with_indices": lambda x: aten.max_pool2d_with_indices(x, [2, 2])[0],
    "max_pool3d_with_indices": lambda x: aten.max_pool3d_with_indices(x[:, None], [2, 2, 2])[0],
    "avg_pool1d": lambda x: functional.avg_pool1d(x.flatten(2), 2),
    "avg_pool2d": lambda x: functional.avg_pool2d(x, (3, 2), (2, 1), (1, 0), count_include_pad=False),
    "avg_pool3d": lambda x: functional.avg_pool3d(x[:, None], 2),
    "adaptive_avg_pool1d": lambda x: functional.adaptive_avg_pool1d(x.flatten(2), 5),
    "adaptive_avg_pool2d": lambda x: functional.adaptive_avg_pool2d(x, (3, 5)),
    "adaptive_max_pool2d": lambda x: functional.adaptive_max_pool2d(x, (3, 5)),
    "_adaptive_avg_pool2d": lambda x: aten._adaptive_avg_pool2d(x, [3, 5]),
    "adaptive_avg_pool3d": lambda x: functional.adaptive_avg_pool3d(x[:, None], (2, 3, 5)),
    "_adaptive_avg_pool3d": lambda x: aten._adaptive_avg_pool3d(x[:, None], [2, 8, 6]),
    "adaptive_max_pool1d": lambda x: functional.adaptive_max_pool1d(x.flatten(1, 2), 4),
    "adaptive_max_pool3d": lambda x: functional.adaptive_max_pool3d(x[:, None], (2, 3, 5)),
    "max_unpool2d": lambda x: unpooled(x, 2, x[..., ::2, ::2]),
    "max_unpool3d": lambda x: functional.max_unpool3d(
        *functional.max_pool3d(x[:, None], 2, return_indices=True), 2, output_size=(4, *x.shape[2:])
    ),
    "mean": lambda x: x.mean(3, keepdim=True),
    "sum": lambda x: x.sum((2, 3)),
    "amax": lambda x: x.amax((2, 3)),
    "amin": lambda x: x.amin(1, keepdim=True),
    "max": lambda x: x.max(2, keepdim=True).values,
    "min": lambda x: x.min(1, keepdim=True).values,
    "var": lambda x: x.var((2, 3)),
    "std": lambda x: x.std(1, keepdim=True),
    "var_mean": lambda x: torch.var_mean(x, 1, keepdim=True)[1],
    "std_mean": lambda x: torch.std_mean(x, (2, 3), keepdim=True)[0],
    "linalg_vector_norm": lambda x: torch.linalg.vector_norm(x, dim=1, keepdim=True),
    "logsumexp": lambda x: x.logsumexp(1, keepdim=True),
    "prod": lambda x: x.prod(1, keepdim=True),
    "norm": lambda x: aten.norm(x, 2, [1], True),
    "argmax": lambda x: x.argmax(1, keepdim=True) * x,
    "argmin": lambda x: x.argmin() * x,
    "all": lambda x: (x > 1).all(1, keepdim=True) * x,
    "any": lambda x: (x > 1).any(2, keepdim=True) * x,
    "median": lambda x: x.median(1, keepdim=True)[0],
    "nanmedian": lambda x: x.nanmedian(3)[0],
    "mode": lambda x: x.round().mode(1)[0] * x[:, 0],
    "kthvalue": lambda x: x.kthvalue(2, 1)[0],
    "nansum": lambda x: x.nansum(1),
    "nanmean": lambda x: x.nanmean(1, keepdim=True),
    "count_nonzero": lambda x: torch.count_nonzero(x > 1, 1) * x[:, 0],
    "aminmax": lambda x: torch.aminmax(x, dim=1, keepdim=True)[1],
    "pairwise_distance": lambda x: functional.pairwise_distance(x, x.flip(1).square()),
    "cosine_similarity": lambda x: functional.cosine_similarity(x, x.square()),
    "cdist": lambda x: torch.cdist(x[:, 0], x[:, 1] * 2),
    "_cdist_forward": lambda x: aten._cdist_forward(x[:, 0], x[:, 1] * 2, 2.0, None),
    "fft_fft": lambda x: torch.fft.fft(x).abs(),
    "fft_ifft": lambda x: torch.fft.ifft(x, dim=1).real,
    "fft_rfft": lambda x: torch.fft.rfft(x, dim=2).imag,
    "fft_irfft": lambda x: torch.fft.irfft(x, dim=2),
    "fft_hfft": lambda x: torch.fft.hfft(x),
    "fft_ihfft": lambda x: torch.fft.ihfft(x, dim=1).real,
    "fft_fft2": lambda x: torch.fft.fft2(x).real,
    "fft_ifft2": lambda x: torch.fft.ifft2(x, dim=(1, 2)).real,
    "fft_rfft2": lambda x: torch.fft.rfft2(x, norm="ortho").abs(),
    "fft_irfft2": lambda x: torch.fft.irfft2(x, s=(8, 6)),
    "fft_hfft2": lambda x: torch.fft.hfft2(x),
    "fft_ihfft2": lambda x: torch.fft.ihfft2(x).real,
    "fft_fftn": lambda x: torch.fft.fftn(x, dim=(1,)).real,
    "fft_ifftn": lambda x: torch.fft.ifftn(x, s=(6,)).real,
    "fft_rfftn": lambda x: torch.fft.rfftn(x).real,
    "fft_irfftn": lambda x: torch.fft.irfftn(x, dim=(1, 3)),
    "fft_hfftn": lambda x: torch.fft.hfftn(x, dim=(1,)),
    "fft_ihfftn": lambda x: torch.fft.ihfftn(x, dim=(2,)).real,
    "_fft_r2c": lambda x: aten._fft_r2c(x, [1], 0, True).real,
    "_fft_c2r": lambda x: aten._fft_c2r(torch.complex(x, x), [3], 0, 2 * x.shape[3] - 2),
    "_fft_c2c": lambda x: aten._fft_c2c(torch.complex(x, x), [1], 0, True).real,
    "fft_fftshift": lambda x: torch.fft.fftshift(x, dim=1),
    "fft_ifftshift": lambda x: torch.fft.ifftshift(x),
    "lstm": lambda x: aten.lstm.input(x[:, 0], states(x, 2), matrices(6, 4, 3), False, 1, 0.0, False, False, True)[0],
    "gru": lambda x: aten.gru.input(x[:, 0], states(x), matrices(6, 3, 3), False, 1, 0.0, False, False, True)[0],
    "rnn_tanh": lambda x: aten.rnn_tanh.input(
        x[:, 0] / 50, states(x), matrices(6, 1, 3), False, 1, 0.0, False, False, True
    )[0],
    "rnn_relu": lambda x: aten.rnn_relu.input(x[:, 0], states(x), matrices(6, 1, 3), False, 1, 0.0, False, False, True)[
        1
    ],
    "lstm_cell": lambda x: aten.lstm_cell(x.mean((2, 3)), cells(x, 2), *matrices(4, 4, 3))[1],
    "gru_cell": lambda x: aten.gru_cell(x.mean((2, 3)), cells(x, 1)[0], *matrices(4, 3, 3)),
    "rnn_tanh_cell": lambda x: aten.rnn_tanh_cell(x.mean((2, 3)) / 50, cells(x, 1)[0], *matrices(4, 1, 3)),
    "rnn_relu_cell": lambda x: aten.rnn_relu_cell(x.mean((2, 3)), cells(x, 1)[0], *matrices(4, 1, 3)),
    "grid_sampler": lambda x: functional.grid_sample(x, x[:, :2].permute(0, 2, 3, 1).tanh(), align_corners=False),
    "grid_sampler_2d": lambda x: aten.grid_sampler_2d(x, 0.8 * grid(5, 7), 0, 0, False),
    "grid_sampler_3d": lambda x: aten.grid_sampler_3d(x[:, None], 0.4 * constant(1, 2, 5, 7, 3), 0, 0, False),
    "affine_grid_generator": lambda x: functional.affine_grid(
        x[:, :3].mean(3).mean(2)[:, None].expand(-1, 2, -1), [1, 1, 5, 6], align_corners=False
    ),
    "im2col": lambda x: functional.unfold(x, 3, padding=1),
    "col2im": lambda x: functional.fold(functional.unfold(x, 3, padding=1), tuple(x.shape[2:]), 3, padding=1),
    "meshgrid": lambda x: torch.meshgrid(x.mean((0, 1, 3)), x.mean((0, 1, 2)), indexing="ij")[1],
    "slice_scatter": lambda x: assigned(x.clone(), (..., slice(1, -1, 2), slice(1, 4)), x[..., 1:-1:2, 2:5] * 3),
    "select_scatter": lambda x: assigned(x.clone(), (slice(None), 1), x[:, 2] * 3),
    "index": lambda x: x[:, [2, 0, 2]],
    "index_select": lambda x: x.index_select(2, torch.tensor([3, 1])),
    "gather": lambda x: x.gather(1, x.argsort(1)[:, :2]),
    "take_along_dim": lambda x: x.take_along_dim(x.argsort(2), 2),
    "scatter": lambda x: x.scatter(1, x.argmax(1, keepdim=True), x[:, :1] * 2),
    "scatter_add": lambda x: x.scatter_add(1, x.argmax(1, keepdim=True), x[:, :1] * 2),
    "scatter_reduce": lambda x: x.scatter_reduce(2, x.argmax(2, keepdim=True), x[:, :, :1] * 2, "sum"),
    "index_add": lambda x: x.index_add(1, torch.tensor([0, 2]), x[:, :2] * 2),
    "index_copy": lambda x: x.index_copy(1, torch.tensor([0, 2]), x[:, :2] * 2),
    "index_fill": lambda x: x.index_fill(1, torch.tensor([0, 2]), 1.0),
    "index_put": lambda x: assigned(x.clone(), (slice(None), [0, 2]), x[:, 2:] * 2),
    "masked_scatter": lambda x: x.masked_scatter(x > 1, x * 2),
    "embedding": lambda x: functional.embedding((x[:, 0] > 1).long(), constant(2, 5)) * x[:, 0, ..., None],
    "one_hot": lambda x: functional.one_hot((x[:, 0] > 1).long(), 2) * x[:, 0, ..., None],
    "pad": lambda x: functional.pad(x, (1, -2, 3, 0)),
    "constant_pad_nd": lambda x: aten.constant_pad_nd(x, [1, -2, 3, 0], 1.0),
    "reflection_pad2d": lambda x: aten.reflection_pad2d(x, [1, 2, 2, 0]),
    "replication_pad2d": lambda x: aten.replication_pad2d(x, [1, 2, 2, 0]),
    "reflection_pad1d": lambda x: aten.reflection_pad1d(x[:, :, 0], [1, 2]),
    "replication_pad1d": lambda x: aten.replication_pad1d(x[:, :, 0], [1, 2]),
    "reflection_pad3d": lambda x: aten.reflection_pad3d(x[:, None], [1, 2, 2, 0, 1, 1]),
    "replication_pad3d": lambda x: aten.replication_pad3d(x[:, None], [0, 0, 0, 0, 1, 1]),
    "_pad_circular": lambda x: aten._pad_circular(x, [1, 2, 2, 0]),
    "upsample_nearest2d": lambda x: functional.interpolate(x, scale_factor=(2, 1.5), mode="nearest"),
    "_upsample_nearest_exact2d": lambda x: functional.interpolate(x, scale_factor=1.5, mode="nearest-exact"),
    "upsample_bilinear2d": lambda x: functional.interpolate(x, scale_factor=1.5, mode="bilinear"),
    "upsample_bicubic2d": lambda x: functional.interpolate(x, scale_factor=2, mode="bicubic", align_corners=True),
    "_upsample_bilinear2d_aa": lambda x: functional.interpolate(x, scale_factor=0.5, mode="bilinear", antialias=True),
    "_upsample_bicubic2d_aa": lambda x: functional.interpolate(x, scale_factor=0.5, mode="bicubic", antialias=True),
    "upsample_nearest1d": lambda x: functional.interpolate(x.flatten(1, 2), scale_factor=2),
    "_upsample_nearest_exact1d": lambda x: functional.interpolate(
        x.flatten(1, 2), scale_factor=1.5, mode="nearest-exact"
    ),
    "upsample_linear1d": lambda x: functional.interpolate(x.flatten(1, 2), scale_factor=2, mode="linear"),
    "upsample_nearest3d": lambda x: functional.interpolate(x[:, None], scale_factor=(1, 2, 1.5)),
    "_upsample_nearest_exact3d": lambda x: functional.interpolate(
        x[:, None], scale_factor=(2, 1.5, 1), mode="nearest-exact"
    ),
    "upsample_trilinear3d": lambda x: functional.interpolate(x[:, None], scale_factor=(2, 1, 1.5), mode="trilinear"),
    "view": lambda x: x.view(1, 2, 2, *x.shape[2:]),
    "reshape": lambda x: x.reshape(1, -1),
    "view.dtype": lambda x: x + x.view(torch.float64),
    "_unsafe_view": lambda x: aten._unsafe_view(x, [1, 2, 2, *x.shape[2:]]),
    "flatten": lambda x: x.flatten(1),
    "unflatten": lambda x: x.unflatten(1, (2, 2)),
    "squeeze": lambda x: x[:, :1].squeeze(1),
    "unsqueeze": lambda x: x.unsqueeze(2),
    "reshape_as": lambda x: x.reshape_as(x.flatten(1)),
    "view_as": lambda x: x.view_as(x.unflatten(1, (2, 2))),
    "permute": lambda x: x.permute(0, 2, 3, 1),
    "transpose": lambda x: x.transpose(1, 3),
    "swapaxes": lambda x: x.swapaxes(2, 3),
    "swapdims": lambda x: x.swapdims(1, 2),
    "movedim": lambda x: x.movedim(1, 3),
    "moveaxis": lambda x: x.moveaxis(1, 2),
    "t": lambda x: x.mean((2, 3)).t(),
    "mT": lambda x: x.mT,
    "numpy_T": lambda x: x.mean((2, 3)).T,
    "slice": lambda x: x[:, 1:3, ::2, 1:-1],
    "split": lambda x: x.split(1, 1)[2],
    "split_with_sizes": lambda x: x.split([1, 3], 1)[1],
    "chunk": lambda x: x.chunk(2, 1)[1],
    "unsafe_chunk": lambda x: torch.unsafe_chunk(x, 2, 1)[1],
    "narrow": lambda x: x.narrow(1, 1, 2),
    "tensor_split": lambda x: x.tensor_split(2, 1)[0],
    "select": lambda x: x.select(1, 2),
    "unbind": lambda x: x.unbind(1)[1],
    "getitem": lambda x: x.chunk(4, 1)[3],
    "expand": lambda x: x.mean(1, keepdim=True).expand(-1, 5, -1, -1),
    "expand_as": lambda x: x.mean(1, keepdim=True).expand_as(x),
    "cat": lambda x: torch.cat([x, functional.avg_pool2d(x, 3, 1, 1)], 1),
    "concat": lambda x: torch.concat([x, x * 2], 1),
    "concatenate": lambda x: torch.concatenate([x, x * 2], 1),
    "stack": lambda x: torch.stack([x, x * 2], 2),
    "flip": lambda x: x.flip(2, 1),
    "roll": lambda x: x.roll((1, 2), (2, 3)),
    "unfold": lambda x: x.unfold(2, 3, 2),
    "repeat": lambda x: x.repeat(1, 2, 1, 1),
    "tile": lambda x: x.tile(2, 1, 1),
    "repeat_interleave": lambda x: x.repeat_interleave(2, 1),
    "pixel_shuffle": lambda x: functional.pixel_shuffle(x, 2),
    "pixel_unshuffle": lambda x: functional.pixel_unshuffle(x[..., :4, :4], 2),
    "channel_shuffle": lambda x: functional.channel_shuffle(x, 2),
    "native_channel_shuffle": lambda x: functional.native_channel_shuffle(x, 2),
    "zeros": lambda x: x + torch.zeros(4, 1, 1, dtype=x.dtype),
    "ones": lambda x: x * torch.ones(x.shape[2], 1, dtype=x.dtype),
    "full": lambda x: x * torch.full((4, 1, 1), 2.0, dtype=x.dtype),
    "arange": lambda x: x * torch.arange(x.shape[3], dtype=x.dtype),
    "empty": lambda x: x + torch.empty(4, 1, 1, dtype=x.dtype).fill_(2),
    "scalar_tensor": lambda x: x * aten.scalar_tensor(2.0, dtype=torch.float64),
    "linspace": lambda x: x * torch.linspace(1, 2, x.shape[3], dtype=x.dtype),
    "eye": lambda x: x @ torch.eye(x.shape[3], dtype=x.dtype),
}

NOT_CAPTURED = {
    "_native_batch_norm_legit_no_training": "made functional it is written as batch_norm again",
    "_batch_norm_no_update": "torch's own choice on some devices",
    "cudnn_batch_norm": "torch's own choice on some devices",
    "native_batch_norm": "made functional it is written as batch_norm again",
    "_native_batch_norm_legit": "only of a batch's own statistics, beside an assignment",
    "_native_batch_norm_legit_functional": "made functional it is written as batch_norm again",
    "_batch_norm_with_update": "torch's own choice on some devices",
    "_batch_norm_with_update_functional": "torch's own choice on some devices",
    "detach_": "returns its input's values and is left out of the graph",
    "detach_copy": "returns its input's values and is left out of the graph",
    "native_layer_norm": "an operator inside layer_norm",
    "native_group_norm": "an operator inside group_norm",
    "_to_copy": "an operator inside to, which stays",
    "clone": "returns its input's values and is left out of the graph",
    "detach": "returns its input's values and is left out of the graph",
    "alias": "returns its input's values and is left out of the graph",
    "_assert_tensor_metadata": "returns nothing, so nothing reads it",
    "tensor": "a constant of the forward becomes a weight",
    "conj": "torch writes it as _conj",
    "_neg_view": "torch's own way to hold an imaginary part, which no call makes",
    "resolve_neg": "returns its input's values and is composed of nothing else",
    "type_as": "written as to",
    "new_zeros": "written as zeros",
    "new_ones": "written as ones",
    "new_full": "written as full",
    "new_empty": "written as empty",
    "contiguous": "returns its input's values and is left out of the graph",
}
"""Names that no graph shows, and why; they stand in the table for archives made by other versions of torch."""

CHOOSING = frozenset(
    {
        "max_pool1d",
        "max_pool2d",
        "max_pool3d",
        "max_pool2d_with_indices",
        "adaptive_max_pool2d",
        "amax",
        "amin",
        "max",
        "min",
        "max.other",
        "min.other",
        "maximum",
        "minimum",
        "where",
        "relu",
        "relu6",
        "hardtanh",
        "hardswish",
        "hardsigmoid",
        "clamp",
        "clamp_min",
        "clamp_max",
        "clip",
        "threshold",
        "hardshrink",
        "softshrink",
        "floor",
        "ceil",
        "round",
        "sign",
        "ge",
        "gt",
        "le",
        "lt",
        "eq",
        "ne",
        "bitwise_not",
        "logical_not",
        "logical_or",
        "logical_and",
        "logical_xor",
        "isfinite",
        "isnan",
        "isinf",
        "trunc",
        "masked_fill",
        "add",
        "rrelu",
        "fix",
        "bucketize",
        "floor_divide",
        "isclose",
        "isreal",
        "greater_equal",
        "greater",
        "less_equal",
        "less",
        "not_equal",
        "__and__",
        "__or__",
        "__xor__",
        "real",
        "imag",
        "_conj",
        "resolve_conj",
        "sort",
        "argsort",
        "topk",
        "cummax",
        "cummin",
        "adaptive_max_pool1d",
        "adaptive_max_pool3d",
        "max_pool3d_with_indices",
        "max_unpool2d",
        "max_unpool3d",
        "argmax",
        "argmin",
        "all",
        "any",
        "median",
        "nanmedian",
        "mode",
        "kthvalue",
        "count_nonzero",
        "aminmax",
        "one_hot",
        "embedding",
    }
)
"""Operators whose gradient does not reach all that they read: one of several values, a step, a constant part."""


WITHOUT_DERIVATIVE = ("native_channel_shuffle", "floor_divide", "copy")


class Around(nn.Module):
    """A convolution that sees one pixel, then the operator."""

    def __init__(self, case: Case) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, CHANNELS, 1, bias=False)
        with torch.no_grad():
            self.stem.weight.copy_(constant(*self.stem.weight.shape) + 0.1)
        self.case = case

    def forward(self, x: Tensor) -> Tensor:
        return self.case(self.stem(x))


@cache
def around(case: Case) -> tuple[Around, fm.Network]:
    """The convolution with the operator behind it, and what was captured of it."""
    module = Around(case).double().eval()
    return module, fm.trace(module, SHAPE)


def image(shape: tuple[int, int, int]) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.rand((1, *shape), generator=generator, dtype=torch.float64) + 0.2


def test_every_name_of_the_table_has_a_case_or_a_reason() -> None:
    assert set(CASES) | set(NOT_CAPTURED) == set(TABLE)
    assert not set(CASES) & set(NOT_CAPTURED)


@pytest.mark.parametrize("name", NOT_CAPTURED)
def test_what_no_graph_shows_is_known_all_the_same(name: str) -> None:
    assert TABLE[name].is_known


@pytest.mark.filterwarnings("ignore::featmap.network.randomness.RandomInEvaluation")
@pytest.mark.parametrize("name", CASES)
def test_an_operator_of_the_table(name: str) -> None:
    module, net = around(CASES[name])
    graph = net._captured.graph
    names = {node.base_name for node in graph} | {node.operator.removeprefix("aten.") for node in graph}
    assert name in names
    assert net.plan().unknown_operators == ()
    check_values(module, net)
    check_another_size(module, net)
    check_boxes(name, module, net)


def check_values(module: nn.Module, net: fm.Network) -> None:
    images = torch.cat([image(SHAPE), image(SHAPE).flip(2)])
    (output,) = net._captured.graph.outputs
    with torch.no_grad():
        expected = [module(images[at : at + 1]) for at in range(2)]
    for at in range(2):
        run = Program(net._captured.captured, net._captured.tensors, [output])
        assert_close(run.run(images[at : at + 1])[output].contiguous(), expected[at].contiguous())
    address = net._captured.resolver.describe(output)
    found = net.maps(images, address)[address].values
    assert_close(found, torch.cat([as_maps(net._captured.sized, output, value) for value in expected]))


def check_another_size(module: nn.Module, net: fm.Network) -> None:
    with torch.no_grad():
        try:
            expected = module(image(OTHER))
        except RuntimeError:
            expected = None
    if expected is None:
        with pytest.raises(fm.errors.FeatmapError):
            net.plan(OTHER)
        return
    there = net._captured.at(OTHER)
    (output,) = there.graph.outputs
    assert there.sized.shape(output) == tuple(expected.shape)
    if there.graph is net._captured.graph:
        again = fm.trace(module, OTHER)._captured.sized
        assert there.sized.specs == again.specs
        assert there.sized.axes == again.axes
        assert [there.sized.macs(node.index) for node in there.graph] == [again.macs(n.index) for n in again.graph]


def check_boxes(name: str, module: nn.Module, net: fm.Network) -> None:
    sized = net._captured.sized
    (output,) = sized.graph.outputs
    rows, columns = sized.size(output)
    find_support = support_by_trial if name in WITHOUT_DERIVATIVE else support_of
    channels = net._captured.resolver.channels(output)
    for row, column in {(0, columns - 1), (rows // 2, columns // 2)}:
        for channel in sorted({0, channels // 2, channels - 1}):
            answer = unit_box(sized, output, (row, column), channel)
            support = find_support(module, sized, output, (channel, row, column))
            assert answer.box.contains(support.box) or not support.mask.any(), (channel, row, column)
            if answer.status is Status.EXACT and name not in CHOOSING:
                assert (answer.box, True) == (support.box, support.fills_box), (channel, row, column)


def support_by_trial(module: nn.Module, sized: SizedGraph, output: int, unit: tuple[int, int, int]) -> SupportMask:
    """The pixels that change a unit when they are changed, one after the other."""
    x = image(SHAPE)
    mask = torch.zeros(SHAPE[1:], dtype=torch.bool)
    value = as_maps(sized, output, module(x))[0][unit]
    for row in range(SHAPE[1]):
        for column in range(SHAPE[2]):
            changed = x.clone()
            changed[..., row, column] += 0.5
            mask[row, column] = as_maps(sized, output, module(changed))[0][unit] != value
    return SupportMask(mask)


def support_of(module: nn.Module, sized: SizedGraph, output: int, unit: tuple[int, int, int]) -> SupportMask:
    """The pixels with a gradient at a unit of the network's output, whatever the order of its axes."""
    x = image(SHAPE).requires_grad_()
    value = as_maps(sized, output, module(x))[0][unit]
    (gradient,) = torch.autograd.grad(value, x, materialize_grads=True, allow_unused=True)
    return SupportMask((gradient[0] != 0).any(dim=0))
