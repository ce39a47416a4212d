"""Operators by how images of one batch affect one another: every answer is that of each image by itself."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import featmap as fm
from support.tiny_modules import conv, written

SHAPE = (3, 10, 9)
IMAGES = torch.rand(3, *SHAPE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def scaled(numbers: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """The maps of each image times the mean of a row of numbers that belongs to it."""
    return lambda x: numbers(x.flatten(1))[:, :, None, None].mean(1, keepdim=True) * x


MIXING: dict[str, Callable[[Tensor], Tensor]] = {
    "batch norm": lambda x: functional.batch_norm(x, None, None, training=True),
    "minus the mean over images": lambda x: x - x.mean(0, keepdim=True),
    "softmax over images": lambda x: x.softmax(0),
    "divided by the largest of all": lambda x: x / x.abs().amax(),
    "products of images": scaled(lambda v: v @ v.T),
    "products of images by letters": scaled(lambda v: torch.einsum("nc,mc->nm", v, v)),
    "sums of images by letters": scaled(lambda v: torch.einsum("nc,mc->mc", v, v)),
    "sums with the transposed": scaled(lambda v: v.mean(1) + v.mean(1, keepdim=True)),
    "weights of a linear layer": scaled(lambda v: functional.linear(v, v)),
    "kernels of a convolution": lambda x: functional.conv2d(x, x.mean((2, 3), keepdim=True)).mean(1, keepdim=True) + x,
    "attention between images": lambda x: functional.scaled_dot_product_attention(
        x.flatten(1), x.flatten(1), x.flatten(1)
    ).view_as(x),
    "images in reverse": lambda x: x + x.flip(0),
    "images turned round": lambda x: x + x.roll(1, 0),
    "cumulative sums": lambda x: x.cumsum(0),
    "images sorted": lambda x: x.sort(0)[0],
    "distances between images": scaled(lambda v: torch.cdist(v, v)),
    "the first image": lambda x: x[:1] + x,
    "products of all pairs": scaled(lambda v: torch.outer(v.mean(1), v.mean(1))),
}


@pytest.mark.filterwarnings("ignore::featmap.network.differing.BatchStatistics")
@pytest.mark.parametrize("mixing", MIXING.values(), ids=MIXING.keys())
def test_images_are_answered_one_by_one(mixing: Callable[[Tensor], Tensor]) -> None:
    torch.manual_seed(0)
    module = written(
        lambda self, x: self.l(self.d(mixing(self.c(x))).mean((2, 3))), c=conv(), d=conv(4), l=nn.Linear(4, 3)
    )
    module = module.double().eval()
    net = fm.trace(module, SHAPE)
    with torch.no_grad():
        alone = torch.cat([module(image[None]) for image in IMAGES])
    found = net.maps(IMAGES, "l:z", dtype=torch.float64)["l:z"].values.flatten(1)
    assert torch.allclose(found, alone, rtol=1e-9, atol=1e-12)
    check_occlusion(module, net)


def check_occlusion(module: nn.Module, net: fm.Network) -> None:
    found = net.occlude(IMAGES[0], 1, window=4, stride=3, dtype=torch.float64, progress=False)
    for row, column in np.ndindex(found.grid.shape):
        box, image = found.windows.box(row, column), IMAGES[:1].clone()
        image[..., box.top : box.bottom, box.left : box.right] = 0
        with torch.no_grad():
            assert found.grid[row, column] == pytest.approx(float(module(image)[0, 1]), rel=1e-9, abs=1e-12)
