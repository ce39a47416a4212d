"""Sizes that torch's own Python code computes from an input's size: plans at other sizes match the module."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import featmap as fm

RESIZES: dict[str, Callable[[Tensor], Tensor]] = {
    "area": lambda y: functional.interpolate(y, scale_factor=0.5, mode="area"),
    "factor computed again": lambda y: functional.interpolate(y, scale_factor=1.7, recompute_scale_factor=True),
    "bilinear by a factor": lambda y: functional.interpolate(y, scale_factor=1.5, mode="bilinear"),
    "nearest by a factor": lambda y: functional.interpolate(y, scale_factor=(2, 3)),
    "module, area": nn.Upsample(scale_factor=0.5, mode="area"),
    "module, bilinear": nn.Upsample(scale_factor=2, mode="bilinear"),
    "adaptive, keeps rows": lambda y: functional.adaptive_avg_pool2d(y, (None, 1)),
    "adaptive maximum, keeps columns": lambda y: functional.adaptive_max_pool2d(y, (2, None)),
    "adaptive, fixed": lambda y: functional.adaptive_avg_pool2d(y, (3, 2)),
    "module, adaptive": nn.AdaptiveMaxPool2d((None, 2)),
    "unpooled": lambda y: functional.max_unpool2d(*functional.max_pool2d(y, 2, return_indices=True), 2),
    "local response": lambda y: functional.local_response_norm(y, 3),
    "power pool": lambda y: functional.lp_pool2d(y, 2.0, 2),
}


class Resizing(nn.Module):
    def __init__(self, resize: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 1)
        self.resize = resize

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.resize(self.first(x)))


@pytest.mark.parametrize("name", RESIZES)
def test_another_input_size_gives_the_modules_own_shape_and_values(name: str) -> None:
    module, image = Resizing(RESIZES[name]).eval(), torch.rand(1, 3, 34, 26)
    net = fm.trace(module, (3, 14, 18))
    with torch.no_grad():
        right = module(image)
    assert net.plan((3, 34, 26))["second"].output_shape == tuple(right.shape[1:])
    found = net.maps(image, "second:conv", progress=False)["second:conv"].values
    assert torch.allclose(found, right, atol=1e-6)


@pytest.mark.parametrize("name", ["bilinear by a factor", "nearest by a factor", "adaptive, fixed", "power pool"])
def test_functions_that_keep_no_size_leave_the_graph_to_every_size(name: str) -> None:
    assert not fm.trace(Resizing(RESIZES[name]).eval(), (3, 14, 18))._captured.graph.size_reads
