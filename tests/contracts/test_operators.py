"""Every operator of the table, in a tiny network: captured, run, planned at another size, and its geometry believed.

Each name of the table has a case below or a reason why no capture shows it. A case is checked four times: its name is
in the captured graph, the program's value is torch's, the shape at another size is torch's, and a unit's box holds
every pixel that has a gradient (and no other, where the answer is `exact` and the gradient shows all that is read).
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import featmap as fm
from closeness import assert_close
from featmap.geometry import Status
from featmap.methods.maps import as_maps
from featmap.network.operators.table import TABLE
from featmap.network.sized import SizedGraph
from featmap.network.unit_box import unit_box
from featmap.run.program import Program
from featmap.testing.oracles import Support

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
        }.items()
    },
    "bitwise_not": lambda x: ~(x > 1) * x,
    "logical_not": lambda x: torch.logical_not(x > 1) * x,
    "masked_fill": lambda x: x.masked_fill(x > 1, 0.5),
    "to": lambda x: x.to(torch.float32),
    "fill": lambda x: aten.fill(x, 2.0) * x,
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
    **{name: lambda x, name=name: getattr(torch, name)(x.tanh() * 0.9) for name in ("asin", "acos", "atanh")},
    "acosh": lambda x: torch.acosh(x.abs() + 1.5),
    **{name: lambda x, name=name: getattr(torch, name)(x) * x for name in ("isfinite", "isnan", "isinf")},
    **{
        name: lambda x, name=name: getattr(torch, name)(x > 1, x > 2) * x
        for name in ("logical_or", "logical_and", "logical_xor")
    },
    **{
        name: lambda x, name=name: getattr(torch, name)(x, x.square() + 1)
        for name in ("atan2", "fmod", "remainder", "hypot", "xlogy", "copysign")
    },
    "max.other": lambda x: torch.max(x, x * 0.5),
    "min.other": lambda x: torch.min(x, x * 0.5),
    "softmax": lambda x: x.softmax(1),
    "_softmax": lambda x: aten._softmax(x, 1, False),
    "log_softmax": lambda x: x.log_softmax(3),
    "_log_softmax": lambda x: aten._log_softmax(x, 2, False),
    "cumsum": lambda x: x.cumsum(1),
    "glu": lambda x: functional.glu(x, 1),
    "max_pool1d": lambda x: functional.max_pool1d(x.flatten(2), 2),
    "max_pool2d": lambda x: functional.max_pool2d(x, (3, 2), (2, 1), (1, 0), ceil_mode=True),
    "max_pool3d": lambda x: functional.max_pool3d(x[:, None], 2),
    "max_pool2d_with_indices": lambda x: aten.max_pool2d_with_indices(x, [2, 2])[0],
    "avg_pool1d": lambda x: functional.avg_pool1d(x.flatten(2), 2),
    "avg_pool2d": lambda x: functional.avg_pool2d(x, (3, 2), (2, 1), (1, 0), count_include_pad=False),
    "avg_pool3d": lambda x: functional.avg_pool3d(x[:, None], 2),
    "adaptive_avg_pool1d": lambda x: functional.adaptive_avg_pool1d(x.flatten(2), 5),
    "adaptive_avg_pool2d": lambda x: functional.adaptive_avg_pool2d(x, (3, 5)),
    "adaptive_max_pool2d": lambda x: functional.adaptive_max_pool2d(x, (3, 5)),
    "_adaptive_avg_pool2d": lambda x: aten._adaptive_avg_pool2d(x, [3, 5]),
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
    "pad": lambda x: functional.pad(x, (1, -2, 3, 0)),
    "constant_pad_nd": lambda x: aten.constant_pad_nd(x, [1, -2, 3, 0], 1.0),
    "reflection_pad2d": lambda x: aten.reflection_pad2d(x, [1, 2, 2, 0]),
    "replication_pad2d": lambda x: aten.replication_pad2d(x, [1, 2, 2, 0]),
    "reflection_pad1d": lambda x: aten.reflection_pad1d(x[:, :, 0], [1, 2]),
    "replication_pad1d": lambda x: aten.replication_pad1d(x[:, :, 0], [1, 2]),
    "_pad_circular": lambda x: aten._pad_circular(x, [1, 2, 2, 0]),
    "upsample_nearest2d": lambda x: functional.interpolate(x, scale_factor=(2, 1.5), mode="nearest"),
    "_upsample_nearest_exact2d": lambda x: functional.interpolate(x, scale_factor=1.5, mode="nearest-exact"),
    "upsample_bilinear2d": lambda x: functional.interpolate(x, scale_factor=1.5, mode="bilinear"),
    "upsample_bicubic2d": lambda x: functional.interpolate(x, scale_factor=2, mode="bicubic", align_corners=True),
    "_upsample_bilinear2d_aa": lambda x: functional.interpolate(x, scale_factor=0.5, mode="bilinear", antialias=True),
    "_upsample_bicubic2d_aa": lambda x: functional.interpolate(x, scale_factor=0.5, mode="bicubic", antialias=True),
    "view": lambda x: x.view(1, 2, 2, *x.shape[2:]),
    "reshape": lambda x: x.reshape(1, -1),
    "_unsafe_view": lambda x: aten._unsafe_view(x, [1, 2, 2, *x.shape[2:]]),
    "flatten": lambda x: x.flatten(1),
    "unflatten": lambda x: x.unflatten(1, (2, 2)),
    "squeeze": lambda x: x[:, :1].squeeze(1),
    "unsqueeze": lambda x: x.unsqueeze(2),
    "reshape_as": lambda x: x.reshape_as(x.flatten(1)),
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
    "index": lambda x: x[:, [2, 0, 2]],
    "index_select": lambda x: x.index_select(3, torch.tensor([4, 0])),
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
    "native_layer_norm": "an operator inside layer_norm",
    "native_group_norm": "an operator inside group_norm",
    "_to_copy": "an operator inside to, which stays",
    "clone": "returns its input's values and is left out of the graph",
    "detach": "returns its input's values and is left out of the graph",
    "alias": "returns its input's values and is left out of the graph",
    "_assert_tensor_metadata": "returns nothing, so nothing reads it",
    "tensor": "a constant of the forward becomes a weight",
    "tanhshrink": "torch writes it as a difference",
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
        "fill",
        "zeros_like",
        "add",
    }
)
"""Operators whose gradient does not reach all that they read: one of several values, a step, a constant part."""


WITHOUT_DERIVATIVE = ("native_channel_shuffle",)


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


def image(shape: tuple[int, int, int]) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.rand((1, *shape), generator=generator, dtype=torch.float64) + 0.2


def test_every_name_of_the_table_has_a_case_or_a_reason() -> None:
    assert set(CASES) | set(NOT_CAPTURED) == set(TABLE)
    assert not set(CASES) & set(NOT_CAPTURED)


@pytest.mark.parametrize("name", NOT_CAPTURED)
def test_what_no_graph_shows_is_known_all_the_same(name: str) -> None:
    assert TABLE[name].is_known


@pytest.mark.parametrize("name", CASES)
def test_an_operator_of_the_table(name: str) -> None:
    module = Around(CASES[name]).double().eval()
    net = fm.trace(module, SHAPE)
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
            answer = unit_box(sized, output, row, column, channel)
            support = find_support(module, sized, output, (channel, row, column))
            assert answer.box.contains(support.box) or not support.mask.any(), (channel, row, column)
            if answer.status is Status.EXACT and name not in CHOOSING:
                assert (answer.box, True) == (support.box, support.fills_box), (channel, row, column)


def support_by_trial(module: nn.Module, sized: SizedGraph, output: int, unit: tuple[int, int, int]) -> Support:
    """The pixels that change a unit when they are changed, one after the other."""
    x = image(SHAPE)
    mask = torch.zeros(SHAPE[1:], dtype=torch.bool)
    value = as_maps(sized, output, module(x))[0][unit]
    for row in range(SHAPE[1]):
        for column in range(SHAPE[2]):
            changed = x.clone()
            changed[..., row, column] += 0.5
            mask[row, column] = as_maps(sized, output, module(changed))[0][unit] != value
    return Support(mask)


def support_of(module: nn.Module, sized: SizedGraph, output: int, unit: tuple[int, int, int]) -> Support:
    """The pixels with a gradient at a unit of the network's output, whatever the order of its axes."""
    x = image(SHAPE).requires_grad_()
    value = as_maps(sized, output, module(x))[0][unit]
    (gradient,) = torch.autograd.grad(value, x, materialize_grads=True, allow_unused=True)
    return Support((gradient[0] != 0).any(dim=0))
