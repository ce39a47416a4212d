"""Units of values that come from one of several operands: stacked, assigned, or joined with nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import featmap as fm
from featmap.geometry import Status

Forward = Callable[[nn.Module, Tensor], Tensor]


class Given(nn.Module):
    """Small convolutions, and a forward that is given."""

    def __init__(self, forward: Forward) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.wide = nn.Conv2d(1, 1, 3, padding=1)
        self.grouped = nn.Conv2d(2, 2, 1, groups=2)
        self.c = nn.Conv2d(1, 2, 3, padding=1)
        self.one = nn.Conv2d(1, 1, 1)
        self.given = forward

    def forward(self, x: Tensor) -> Tensor:
        return self.given(self, x)


def row_assigned(module: nn.Module, x: Tensor) -> Tensor:
    y = x * 1.0
    y[:, :, 0] = y[:, :, -1]
    return module.one(y)


def batch_norm_beside(module: nn.Module, x: Tensor) -> Tensor:
    y = functional.batch_norm(x, None, None, training=True) * 1.0
    y[:, :, 0] = 0
    return module.one(y)


FORWARDS: dict[str, tuple[Forward, str]] = {
    "stacked channels": (lambda m, x: m.grouped(torch.stack([x, m.wide(x)], 1).flatten(1, 2)), "grouped"),
    "stacked images": (
        lambda m, x: m.c(torch.stack([x, x.flip(3)], 1).flatten(0, 1)).unflatten(0, (-1, 2)).sum(1),
        "c",
    ),
    "a row assigned": (row_assigned, "one"),
    "an empty operand": (lambda m, x: m.one(torch.cat([functional.pad(x, (0, 0, 1, -1)), x[:, 1:]], 1)), "one"),
    "statistics of the batch beside": (batch_norm_beside, "one"),
}


@pytest.mark.filterwarnings("ignore::featmap.network.differing.BatchStatistics")
@pytest.mark.parametrize("kind", FORWARDS)
def test_a_box_that_is_exact_is_read_to_its_edges(kind: str) -> None:
    """By brute force: every pixel is changed by itself, and each unit's box holds those that matter, and no more."""
    forward, layer = FORWARDS[kind]
    module = Given(forward).double().eval()
    net = fm.trace(module, (1, 6, 6))
    image = torch.rand(1, 1, 6, 6, dtype=torch.double)

    def values(picture: Tensor) -> Tensor:
        (found,) = net.maps(picture, f"{layer}:z", dtype=torch.float64).values()
        return found.values[0]

    before = values(image)
    read = torch.zeros((*before.shape, 6, 6), dtype=torch.bool)
    for row in range(6):
        for column in range(6):
            other = image.clone()
            other[0, 0, row, column] += 1
            read[..., row, column] = (values(other) - before).abs() > 1e-12
    for channel, row, column in torch.cartesian_prod(*map(torch.arange, before.shape)).tolist():
        field = net.receptive_field(f"{layer}:z/{channel}@{row},{column}")
        box, seen = field.box, read[channel, row, column].nonzero()
        assert all(box.top <= y < box.bottom and box.left <= x < box.right for y, x in seen.tolist())
        if field.status is Status.EXACT:
            assert len(seen) == (box.bottom - box.top) * (box.right - box.left)
