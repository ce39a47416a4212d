"""Calls that are replaced by a plainer operator, which has the familiar name and reads only what is really read."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import featmap as fm
from support.tiny_modules import conv, written

NAMES: dict[str, tuple[Callable[[Tensor], Tensor], str]] = {
    "module": (nn.ReLU6(), "relu6"),
    "in place": (nn.ReLU6(inplace=True), "relu6"),
    "function": (functional.relu6, "relu6"),
    "hardtanh of the same bounds": (nn.Hardtanh(0, 6), "relu6"),
    "hardtanh": (nn.Hardtanh(), "hardtanh"),
    "hardtanh from 0 to 1": (lambda x: functional.hardtanh(x, 0.0, 1.0), "hardtanh"),
    "hardtanh from -6 to 6": (lambda x: functional.hardtanh(x, -6.0, 6.0), "hardtanh"),
    "clamp": (lambda x: x.clamp(0, 6), "clamp"),
    "silu": (nn.SiLU(), "silu"),
}


@pytest.mark.parametrize("name", NAMES)
def test_relu6_is_called_relu6(name: str) -> None:
    function, expected = NAMES[name]
    module = written(lambda self, x: function(self.c(x)), c=conv())
    net = fm.trace(module, (3, 8, 8))
    layer = net.plan()["c"]
    assert layer.details.partition(" (")[0].split(", ")[-1] == expected
    image = torch.rand(1, 3, 8, 8) * 9
    assert net.explain(image, "c:a/0@2,2").nonlinearity == expected
    assert layer.macs == 4 * 3 * 9 * 8 * 8


READING_NOTHING: dict[str, Callable[[Tensor], Tensor]] = {
    "new_zeros": lambda y: y.new_zeros(4, 1, 1),
    "new_ones": lambda y: y.new_ones(y.shape)[..., :6, :6],
    "new_full": lambda y: y.new_full((4, 1, 1), 2.5),
    "new_empty": lambda y: y.new_empty((4, 1, 1)).fill_(1),
    "zeros_like": lambda y: torch.zeros_like(y)[..., :6, :6],
    "full_like": lambda y: torch.full_like(y, 2.0)[..., :6, :6],
    "type_as": lambda y: torch.arange(6).type_as(y),
    "filled": lambda y: torch.ops.aten.fill(y, 2.0)[..., :6, :6],
}


@pytest.mark.parametrize("name", READING_NOTHING)
def test_what_takes_a_type_reads_no_value(name: str) -> None:
    """The other way is moved by three rows, so that a row that was read wrongly would show."""
    make = READING_NOTHING[name]
    module = written(lambda self, x: make(self.c(x)) + self.d(x)[..., 3:9, :6], c=conv(), d=conv())
    net = fm.trace(module, (3, 12, 12))
    address = net._captured.resolver.describe(net._captured.graph.outputs[0])
    answer = net.receptive_field(f"{address}/1@0,0")
    assert (answer.box.as_list(), answer.status) == ([2, 0, 5, 2], "exact")
    images = torch.rand(2, 3, 12, 12)
    with torch.no_grad():
        right = torch.cat([module(image[None]) for image in images])
    assert torch.allclose(net.maps(images, address, progress=False)[address].values, right, atol=1e-6)
    assert net.occlude(images[:1], f"{address}/1@0,0", window=3, stride=3, progress=False).score == pytest.approx(
        float(right[0, 1, 0, 0]), rel=1e-5
    )
