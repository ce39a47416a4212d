"""A 2-D convolution's value has rows and columns, whatever is known of what it reads; what is unknown reads whole."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import featmap as fm
from featmap.geometry import Status


def space_to_depth(x: Tensor) -> Tensor:
    """2 x 2 places become channels, by reshapes."""
    n, c, h, w = x.shape
    return x.view(n, c, h // 2, 2, w // 2, 2).permute(0, 3, 5, 1, 2, 4).reshape(n, 4 * c, h // 2, w // 2)


WAYS: dict[str, tuple[Callable[[Tensor], Tensor], int]] = {
    "tokens": (lambda x: x.flatten(2).transpose(1, 2).transpose(1, 2).view(1, 4, 8, 6), 4),
    "flat and back": (lambda x: x.flatten(1).view(1, 2, 8, 12), 2),
    "channels as images": (lambda x: x.reshape(4, 1, 8, 6).view(1, 4, 8, 6), 4),
    "space to depth": (space_to_depth, 16),
    "transposed": (lambda x: x.transpose(2, 3), 4),
    "channels in another order": (lambda x: x[:, [2, 0]], 2),
    "rows as channels": (lambda x: x.transpose(1, 2), 8),
    "a row as a map": (lambda x: x[:, :, 2].unsqueeze(2), 4),
    "windows": (lambda x: functional.unfold(x, 3, padding=1).view(1, 36, 8, 6), 36),
    "unpooled": (lambda x: functional.max_unpool2d(*functional.max_pool2d(x, 2, return_indices=True), 2), 4),
}


class Behind(nn.Module):
    """A convolution behind another way of writing the maps of a first one."""

    def __init__(self, way: Callable[[Tensor], Tensor], channels: int, last: Callable[[int], nn.Module]) -> None:
        super().__init__()
        self.first, self.way, self.last = nn.Conv2d(3, 4, 3, padding=1), way, last(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.way(self.first(x)))


def convolution(channels: int) -> nn.Module:
    return nn.Conv2d(channels, 3, 3, padding=1)


def others(name: str) -> Callable[[int], nn.Module]:
    return {
        "pool": lambda _channels: nn.AvgPool2d(2, 1, padding=1),
        "adaptive pool": lambda _channels: nn.AdaptiveAvgPool2d((1, 2)),
        "norm": nn.BatchNorm2d,
        "resize": lambda _channels: nn.Upsample(scale_factor=2.0),
        "transposed": lambda channels: nn.ConvTranspose2d(channels, 3, 2, stride=2),
    }[name]


def traced(module: nn.Module) -> tuple[nn.Module, fm.Network]:
    module = module.double().eval()
    return module, fm.trace(module, (3, 8, 6))


def check_units(module: nn.Module, network: fm.Network, address: str) -> None:
    """Every unit's box holds all pixels with a gradient, and an exact one no others."""
    out = module(torch.zeros(1, 3, 8, 6, dtype=torch.float64))
    for row in range(out.shape[2]):
        for column in range(out.shape[3]):
            answer = network.receptive_field(f"{address}/1@{row},{column}")
            image = torch.rand(1, 3, 8, 6, dtype=torch.float64, requires_grad=True)
            (gradient,) = torch.autograd.grad(module(image)[0, 1, row, column], image)
            seen = (gradient != 0).any(1)[0]
            inside = torch.zeros_like(seen)
            inside[answer.box.top : answer.box.bottom, answer.box.left : answer.box.right] = True
            assert not (seen & ~inside).any(), (row, column, answer)
            if answer.status == Status.EXACT:
                assert (seen == inside).all(), (row, column, answer)


@pytest.mark.parametrize("name", WAYS)
def test_a_convolution_has_maps_units_and_arithmetic_behind_every_way(name: str) -> None:
    module, network = traced(Behind(*WAYS[name], convolution))
    image = torch.rand(1, 3, 8, 6, dtype=torch.float64)
    out = module(image).detach()
    maps = network.maps(image, "last:z", dtype=torch.float64)["last:z"].values
    assert maps.shape == out.shape
    torch.testing.assert_close(maps, out)
    assert tuple(network.plan()["last"].output_shape) == tuple(out.shape[1:])
    row, column = out.shape[2] // 2, out.shape[3] - 1
    explained = network.explain(image, f"last:z/1@{row},{column}")
    assert explained.value == pytest.approx(float(out[0, 1, row, column]))
    assert sum(term.sum for term in explained.terms) + explained.bias == pytest.approx(explained.value)
    torch.testing.assert_close(network.contributions(image, "last/1").conv, out[0, 1])
    check_units(module, network, "last:z")


@pytest.mark.parametrize("last", ["pool", "adaptive pool", "norm", "resize", "transposed"])
@pytest.mark.parametrize("name", ["tokens", "flat and back", "transposed", "channels as images", "space to depth"])
def test_what_works_on_planes_has_rows_and_columns_too(name: str, last: str) -> None:
    module, network = traced(Behind(*WAYS[name], others(last)))
    if last == "norm":
        module.last.running_var.uniform_(0.5, 2)  # type: ignore[union-attr]
    row = list(network.plan())[-1]
    address = f"{row.address}:{row.stages[-1]}"
    image = torch.rand(1, 3, 8, 6, dtype=torch.float64)
    values = network.maps(image, address, dtype=torch.float64)[address].values
    expected = module(image).detach()
    if name == "transposed" and last == "norm":
        # A norm keeps the rows of the image for rows.
        expected = expected.transpose(2, 3)
    torch.testing.assert_close(values, expected)
    if not (name == "transposed" and last == "norm"):
        check_units(module, network, address)
        effect = network.occlude(image, f"{address}/1", window=4, stride=4, progress=False)
        changed = image.clone()
        changed[..., :4, :4] = 0
        drop = float(expected[0, 1].max() - module(changed).detach()[0, 1].max())
        assert float(effect.drop[0, 0]) == pytest.approx(drop)


def test_a_generator_from_a_vector_has_maps() -> None:
    module = nn.Sequential(nn.Linear(5, 4 * 3 * 2), nn.Unflatten(1, (4, 3, 2)), nn.ConvTranspose2d(4, 3, 2, 2))
    network = fm.trace(module.eval(), (5,))
    assert tuple(network.plan()["2"].output_shape) == (3, 6, 4)
