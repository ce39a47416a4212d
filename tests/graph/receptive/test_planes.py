"""Outputs of 2-D convolutions have rows and columns, whatever is known of the input; unknown inputs are read whole."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import featmap as fm
from featmap.geometry import Box, Status
from featmap.testing.modules import make_positive
from featmap.testing.oracles import gradient_support


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


def windows(x: Tensor) -> Tensor:
    """Windows of 4 x 2 places as images, each summed by itself, and back."""
    n, c, h, w = x.shape
    parts = x.view(n, c, h // 4, 4, w // 2, 2).permute(0, 2, 4, 1, 3, 5).reshape(-1, c, 4, 2)
    parts = functional.avg_pool2d(functional.pad(parts, (0, 0, 1, 1)), (3, 1), 1)
    return parts.view(n, h // 4, w // 2, c, 4, 2).permute(0, 3, 1, 4, 2, 5).reshape(n, c, h, w)


def grid(x: Tensor) -> Tensor:
    """Places that are 2 apart attend to one another, and back: the grid of MaxViT."""
    n, c, h, w = x.shape
    parts = x.view(n, c, 2, h // 2, w, 1).permute(0, 3, 4, 2, 5, 1).reshape(-1, 2, c)
    parts = parts @ parts.transpose(1, 2) @ parts
    return parts.view(n, h // 2, w, 2, 1, c).permute(0, 5, 3, 1, 2, 4).reshape(n, c, h, w)


def depth_to_space(x: Tensor) -> Tensor:
    n, c, h, w = x.shape
    return x.view(n, c // 4, 2, 2, h, w).permute(0, 1, 4, 2, 5, 3).reshape(n, c // 4, 2 * h, 2 * w)


FOLLOWED: dict[str, tuple[Callable[[Tensor], Tensor], int]] = {
    "tokens": WAYS["tokens"],
    "space to depth": WAYS["space to depth"],
    "depth to space": (depth_to_space, 1),
    "transposed": WAYS["transposed"],
    "channels in another order": WAYS["channels in another order"],
    "one and other channels": (lambda x: x.index_select(1, torch.tensor([3, 1, 3])), 3),
    "channels last and back": (lambda x: (x.permute(0, 2, 3, 1) @ torch.ones(4, 5).to(x)).permute(0, 3, 1, 2), 5),
    "weighed tokens": (lambda x: (x.flatten(2).mT @ torch.ones(4, 4).to(x)).mT.reshape(x.shape), 4),
    "a row as a map": WAYS["a row as a map"],
    "channels shuffled": (lambda x: x.unflatten(1, (2, 2)).transpose(1, 2).flatten(1, 2), 4),
    "windows": (windows, 4),
    "joined with itself": (lambda x: space_to_depth(x) + space_to_depth(x.square()), 16),
}


@pytest.mark.parametrize("name", FOLLOWED)
def test_rows_and_columns_are_followed_through(name: str) -> None:
    """Every unit's box is exactly the gradient's."""
    _, network = traced(Behind(*FOLLOWED[name], convolution))
    module = Behind(*FOLLOWED[name], convolution).double()
    out = network.plan()["last"].output_shape
    check_units(make_positive(module), fm.trace(module, (3, 8, 6)), "last:z")
    answers = [network.receptive_field(f"last:z/1@{row},{out[2] - 1}") for row in range(out[1])]
    assert {answer.status for answer in answers} == {Status.EXACT}


@pytest.mark.parametrize("way", [grid, lambda x: torch.cat([x[..., i::2, j::2] for i in (0, 1) for j in (0, 1)], 1)])
def test_boxes_are_tight_where_places_are_apart(way: Callable[[Tensor], Tensor]) -> None:
    module = make_positive(Behind(way, 4 if way is grid else 16, lambda c: nn.Conv2d(c, 3, 1)).double())
    network, image = fm.trace(module, (3, 8, 6)), torch.rand(1, 3, 8, 6, dtype=torch.float64) + 0.1
    for row, column in ((0, 0), (2, 1), (3, 2)):
        answer = network.receptive_field(f"last:z/1@{row},{column}")
        support = gradient_support(module, image, 1, row, column)
        assert (answer.box, answer.status) == (support.box, Status.HULL)


def test_layers_behind_space_to_depth_have_their_field() -> None:
    _, network = traced(Behind(space_to_depth, 16, convolution))
    field = network.receptive_field("last:z").field
    assert (field.size, field.stride, field.offset, field.status) == ((8, 8), (2, 2), (-3, -3), Status.EXACT)


def test_a_channel_of_folded_places_sees_its_own_pixel_of_each_block() -> None:
    _, network = traced(Behind(space_to_depth, 16, nn.BatchNorm2d))
    (row,) = [row for row in network.plan() if row.address == "last"]
    answer = network.receptive_field(f"last:{row.stages[-1]}/5@1,1")
    assert (answer.box, answer.status) == (Box(1, 2, 4, 5), Status.EXACT)
    check_units(
        make_positive(Behind(space_to_depth, 16, nn.BatchNorm2d).double()).eval(), network, f"last:{row.stages[-1]}"
    )
    assert network.receptive_field("last:z").status == Status.HULL


def test_indexed_channels_are_known_at_another_size_and_indexed_rows_are_not() -> None:
    def planned(way: Callable[[Tensor], Tensor], channels: int) -> tuple[int, ...]:
        module = Behind(way, channels, convolution).double()
        return tuple(fm.trace(module.eval(), (3, 8, 6)).plan((3, 10, 7))["last"].output_shape)

    assert planned(lambda x: x[:, [2, 0]], 2) == (3, 10, 7)
    assert planned(lambda x: x[:, :, [2, 0]], 4) == (3, 2, 7)


def test_a_generator_from_a_vector_has_maps() -> None:
    module = nn.Sequential(nn.Linear(5, 4 * 3 * 2), nn.Unflatten(1, (4, 3, 2)), nn.ConvTranspose2d(4, 3, 2, 2))
    network = fm.trace(module.eval(), (5,))
    assert tuple(network.plan()["2"].output_shape) == (3, 6, 4)
