"""Every operator of the table: its name, its details in words and its tensors are enough to compute its value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

import featmap as fm
from contracts.test_operators import CASES, OTHER, SHAPE, around
from featmap.errors import FeatmapError
from featmap.graph.graph import Node, Reference, Weight, map_arguments
from featmap.graph.operators.base.call import named_arguments
from featmap.methods.plan import details_of
from featmap.network.network import CapturedNetwork
from featmap.network.randomness import is_random
from featmap.run.program.program import Program
from support.details_reader import recomputed

aten = torch.ops.aten
BESIDE: dict[str, Callable[[Tensor], Any]] = {
    "hardtanh of 0 to 6": lambda x: functional.hardtanh(x, 0.0, 6.0),
    "leaky_relu of 0.2": lambda x: functional.leaky_relu(x, 0.2),
    "elu of 0.5": lambda x: functional.elu(x - 1, 0.5),
    "celu of 0.7": lambda x: functional.celu(x - 1, 0.7),
    "softplus of 2": lambda x: functional.softplus(x, 2.0, 1.0),
    "gelu by tanh": lambda x: functional.gelu(x, approximate="tanh"),
    "clamp from below": lambda x: x.clamp(min=0.5),
    "clamp from above": lambda x: x.clamp(max=0.5),
    "softmax of the last axis": lambda x: x.softmax(-1),
    "softmax in double": lambda x: x.softmax(1, dtype=torch.float64),
    "batch_norm of another eps": lambda x: functional.batch_norm(
        x, torch.ones(4).double(), torch.ones(4).double(), eps=0.1
    ),
    "batch_norm of the batch": lambda x: functional.batch_norm(x, None, None, training=True),
    "layer_norm of another eps": lambda x: functional.layer_norm(x, x.shape[1:], eps=0.1),
    "group_norm of another eps": lambda x: functional.group_norm(x, 4, eps=0.1),
    "instance_norm by statistics": lambda x: functional.instance_norm(
        x, torch.ones(4).double(), torch.ones(4).double(), use_input_stats=False
    ),
    "rms_norm of another eps": lambda x: functional.rms_norm(x, (6,), eps=0.1),
    "add of a multiple": lambda x: torch.add(x, x.square(), alpha=3),
    "sub of a multiple": lambda x: torch.sub(x, 2, alpha=0.5),
    "mul by a fraction": lambda x: x * 0.3,
    "div to whole numbers": lambda x: torch.div(x, 0.3, rounding_mode="floor"),
    "a number to a power": lambda x: 2.0**x,
    "power of 0.5": lambda x: x**0.5,
    "round to 1": lambda x: x.round(decimals=1),
    "addcmul of a multiple": lambda x: torch.addcmul(x, x, x, value=0.5),
    "addmm of multiples": lambda x: torch.addmm(
        torch.ones(4).double(), x[0, :, 0, :4], x[0, 0, :4, :4], beta=2, alpha=3
    ),
    "where with a number": lambda x: torch.where(x > 1, x, -2.5),
    "where of a number": lambda x: torch.where(x > 1, 0.25, x),
    "nan_to_num": lambda x: torch.nan_to_num(x, 1.0, 2.0, 3.0),
    "attention, causal": lambda x: functional.scaled_dot_product_attention(x, x, x, is_causal=True, scale=0.3),
    "mean of everything": lambda x: x.mean(),
    "mean of axes kept": lambda x: x.mean((-1, -2), keepdim=True),
    "sum in single": lambda x: x.sum(1, dtype=torch.float32),
    "var without correction": lambda x: x.var((2, 3), correction=0),
    "var, biased": lambda x: torch.var(x, 1, unbiased=False),
    "var as by default": lambda x: torch.var(x, (1, 2)),
    "std of everything": lambda x: torch.std(x),
    "std, corrected by 2": lambda x: torch.std(x, 1, correction=2),
    "norm of order 1": lambda x: torch.linalg.vector_norm(x, 1, (1, 2)),
    "norm of order infinity": lambda x: torch.linalg.vector_norm(x, float("inf"), 1),
    "max of an axis": lambda x: x.max(-1)[1],
    "pad with a value": lambda x: functional.pad(x, (1, 2, 0, 3), value=0.5),
    "pad of channels": lambda x: functional.pad(x, (0, 0, 0, 0, 2, 1)),
    "pad of images": lambda x: functional.pad(x, (0, 0, 0, 0, 0, 0, 1, 2)),
    "pad of nothing": lambda x: functional.pad(x, (0, 0)),
    "pad, reflected": lambda x: functional.pad(x, (1, 0, 2, 1), mode="reflect"),
    "pad, replicated": lambda x: functional.pad(x, (1, 0, 2, 1), mode="replicate"),
    "pad, circular": lambda x: functional.pad(x, (1, 0, 2, 1), mode="circular"),
    "resize to a size": lambda x: functional.interpolate(x, (5, 11), mode="bilinear"),
    "resize with corners": lambda x: functional.interpolate(x, (5, 11), mode="bicubic", align_corners=True),
    "resize without a record of the factor": lambda x: functional.interpolate(
        x, scale_factor=1.3, mode="bilinear", recompute_scale_factor=True
    ),
    "resize by size and factor": lambda x: aten.upsample_bilinear2d(x, [9, 11], False, 1.2, 1.9),
    "slice from the back": lambda x: x[:, -3:, :-1, ::3],
    "slice of images": lambda x: x[:1],
    "select from the back": lambda x: x[:, -1],
    "split unevenly": lambda x: x.split([1, 2, 1], -3)[1],
    "tensor_split at places": lambda x: x.tensor_split((1, 3), 1)[1],
    "unbind of rows": lambda x: x.unbind(-2)[3],
    "stack behind": lambda x: torch.stack([x, x * 2], -1),
    "cat of columns": lambda x: torch.cat([x, x], -1),
    "roll of everything": lambda x: x.roll(5),
    "flip of an axis": lambda x: x.flip(-1),
    "unfold from the back": lambda x: x.unfold(-1, 3, 2),
    "repeat_interleave of everything": lambda x: x.repeat_interleave(2),
    "unflatten from the back": lambda x: x.unflatten(-1, (2, -1)),
    "unsqueeze behind": lambda x: x.unsqueeze(-1),
    "squeeze of all": lambda x: x.mean(1, keepdim=True).squeeze(),
    "squeeze of several": lambda x: x.mean((1, 2), keepdim=True).squeeze((1, 2)),
    "permute from the back": lambda x: x.permute(0, -1, 1, 2),
    "movedim of several": lambda x: x.movedim((1, 2), (-1, 1)),
    "transpose from the back": lambda x: x.transpose(-1, -2),
    "view with a rest": lambda x: x.reshape(x.shape[0], -1, 2),
    "a convolution that keeps the size": lambda x: functional.conv2d(
        x, torch.ones(2, 4, 2, 4).double(), padding="same", dilation=(1, 1)
    ),
    "a transposed convolution by another name": lambda x: aten.convolution(
        x, torch.ones(4, 2, 3, 3).double(), None, [2, 2], [1, 1], [1, 1], True, [1, 0], 1
    ),
    "avg_pool divided by": lambda x: functional.avg_pool2d(x, 2, divisor_override=3),
    "max_pool, dilated": lambda x: functional.max_pool2d(x, 2, 1, dilation=2),
    "the smallest numbers": lambda x: torch.topk(x, 2, 1, largest=False)[0],
    "an operator outside the table": lambda x: torch.renorm(x, 2, 1, 0.5),
    "another operator outside the table": lambda x: torch.logcumsumexp(x, -1),
}
"""Settings beside those of the table's cases: those that are not as by default, counted from behind, of other forms."""


def texts(network: CapturedNetwork) -> dict[int, str]:
    return {
        node.index: details_of(network.sized, node)
        .removeprefix("unknown operator, treated as reading the whole map")
        .removeprefix(", ")
        for node in network.graph
        if not node.is_input
    }


@pytest.mark.parametrize("case", (CASES | BESIDE).values(), ids=(CASES | BESIDE).keys())
def test_the_details_are_enough(case: Callable[[Tensor], Tensor]) -> None:
    network = around(case)[1]._captured
    check_details(network, SHAPE)
    try:
        there = network.at(OTHER)
    except FeatmapError:
        return  # the operator takes no other size
    check_details(there, OTHER)


def check_details(network: CapturedNetwork, shape: tuple[int, ...]) -> None:
    """What the details of every node say gives its value at this size."""
    picture = torch.rand((1, *shape), generator=torch.Generator().manual_seed(1), dtype=torch.float64) + 0.2
    wanted = [node.index for node in network.graph]
    program = Program(network.captured, network.tensors, wanted, fold=False)
    values = program.run(picture)
    for index, text in texts(network).items():
        node = network.graph[index]
        if is_random(node):
            # No words tell what it draws.
            continue
        found = recomputed(node.target, text, tensors_of(node, program, values))
        assert_same(node, found, values[index], text)


def tensors_of(node: Node, program: Program, values: dict[int, Any]) -> dict[str, Any]:
    """The operator's tensors alone, by the names that they have in torch's schema."""

    def tensor(leaf: Reference | Weight) -> Any:
        return values[leaf.index] if isinstance(leaf, Reference) else program.constants.weight(leaf.name)

    given = {name: (value, map_arguments(value, tensor)) for name, value in named_arguments(node).items()}
    return {name: value for name, (before, value) in given.items() if holds_tensor(before)}


def holds_tensor(value: Any) -> bool:
    return any(map(holds_tensor, value)) if isinstance(value, list | tuple) else isinstance(value, Reference | Weight)


def assert_same(node: Node, found: Any, expected: Any, text: str) -> None:
    if isinstance(expected, list | tuple):
        assert len(found) == len(expected), (node.operator, text)
        for one, other in zip(found, expected, strict=True):
            assert_same(node, one, other, text)
        return
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype), (node.operator, text)
    if node.base_name not in ("empty", "empty_like"):
        assert torch.allclose(found, expected, rtol=0, atol=0, equal_nan=True), (node.operator, text)


def test_a_row_says_the_settings_of_every_operator_of_its_layer() -> None:
    module = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4, eps=0.001), torch.nn.LeakyReLU(0.1), torch.nn.ReLU6()
    )
    (row, last) = fm.trace(module.eval(), (3, 8, 8)).plan()
    assert row.details == "3 x 3, batch_norm (eps 0.001), leaky_relu (slope 0.1)"
    assert (last.operator, last.details) == ("relu6", "")


def test_the_reader_takes_nothing_from_elsewhere() -> None:
    x = torch.rand(1, 2, 3, 4)
    assert torch.equal(recomputed(aten.softmax.int, "axis 2", {"self": x}), x.softmax(2))
    with pytest.raises(AssertionError, match="nobody knows what 'axle 2' means among self, dim, dtype"):
        recomputed(aten.softmax.int, "axle 2", {"self": x})
    with pytest.raises((RuntimeError, TypeError)):
        recomputed(aten.softmax.int, "", {"self": x})
