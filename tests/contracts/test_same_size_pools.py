"""Pools and resizes to the size that a map has already: occlusion and projection against whole runs and autograd."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import featmap as fm

RESIZES = {
    "adaptive_max": lambda y: functional.adaptive_max_pool2d(y, 8),
    "adaptive_max, as it is": lambda y: functional.adaptive_max_pool2d(y, (None, None)),
    "adaptive_max, one axis": lambda y: functional.adaptive_max_pool2d(y, (8, 4)),
    "adaptive_avg": lambda y: functional.adaptive_avg_pool2d(y, 8),
    "nearest": lambda y: functional.interpolate(y, size=8),
    "bilinear": lambda y: functional.interpolate(y, size=8, mode="bilinear"),
    "smooth to one column": lambda y: functional.interpolate(y, size=(4, 1), mode="bilinear", antialias=True),
    "smooth cubic to one column": lambda y: functional.interpolate(y, size=(4, 1), mode="bicubic", antialias=True),
}


class Around(nn.Module):
    def __init__(self, kind: str) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.before = nn.Conv2d(2, 4, 3, padding=1)
        self.after = nn.Conv2d(4, 3, 3, padding=1)
        self.kind = kind

    def forward(self, x: Tensor) -> Tensor:
        y = self.before(x)
        return (self.after(RESIZES[self.kind](y)) * self.after(RESIZES[self.kind](y.sigmoid()))).mean((2, 3))


@pytest.mark.parametrize("kind", RESIZES)
def test_occlusion_and_projection(kind: str) -> None:
    module = Around(kind).double().eval()
    image = torch.rand(1, 2, 8, 8, dtype=torch.double, requires_grad=True)
    net = fm.trace(module, (2, 8, 8))
    (gradient,) = torch.autograd.grad(module(image)[0, 1], image)
    found = net.project(image.detach(), 1, rule="gradient", dtype=torch.float64)
    values = torch.as_tensor(found.values).view_as(gradient)
    assert torch.allclose(values, gradient * found.started_from, atol=1e-9)
    drops = net.occlude(image.detach(), 1, window=3, stride=2, baseline=0, dtype=torch.float64)
    with torch.no_grad():
        score = module(image)[0, 1]
        for row, top in enumerate(range(0, 6, 2)):
            for column, left in enumerate(range(0, 6, 2)):
                other = image.clone()
                other[:, :, top : top + 3, left : left + 3] = 0
                assert abs(float(drops.drop[row, column]) - float(score - module(other)[0, 1])) < 1e-9
