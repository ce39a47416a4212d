"""Multiply-adds of single layers, counted one by one while the layer's value is computed from its definition."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from featmap.methods.plan import plan
from featmap.network.network import capture_module

SHAPE = (4, 5, 6)


@dataclass
class Sums:
    """Values that are added up, product after product; `count` is how many products there were.

    Products that land outside a value are computed and dropped: the border of a transposed convolution that its padding
    cuts off. Products with zeros of the padding count: one per weight and output value.
    """

    shape: tuple[int, ...]
    totals: dict[tuple[int, ...], float] = field(default_factory=dict[tuple[int, ...], float])
    count: int = 0

    def add(self, place: tuple[int, ...], one: float, other: float) -> None:
        self.count += 1
        self.totals[place] = self.totals.get(place, 0.0) + one * other

    @property
    def value(self) -> Tensor:
        value = torch.zeros(self.shape, dtype=torch.float64)
        for place, total in self.totals.items():
            if all(0 <= index < size for index, size in zip(place, self.shape, strict=True)):
                value[place] = total
        return value


def at(image: Tensor, channel: int, row: int, column: int) -> float:
    """A value of a map, 0 on the padding."""
    _, _, rows, columns = image.shape
    inside = 0 <= row < rows and 0 <= column < columns
    return float(image[0, channel, row, column]) if inside else 0.0


def literal_convolution(layer: nn.Conv2d, image: Tensor, shape: tuple[int, ...]) -> Sums:
    sums = Sums(shape)
    filters, inputs, *kernel = layer.weight.shape
    for filter_, row, column in product(range(filters), range(shape[2]), range(shape[3])):
        first = filter_ // (filters // layer.groups) * inputs
        for channel, i, j in product(range(inputs), range(kernel[0]), range(kernel[1])):
            y = row * layer.stride[0] - layer.padding[0] + i * layer.dilation[0]
            x = column * layer.stride[1] - layer.padding[1] + j * layer.dilation[1]
            weight = float(layer.weight[filter_, channel, i, j])
            sums.add((0, filter_, row, column), weight, at(image, first + channel, y, x))
    return sums


def literal_transposed(layer: nn.ConvTranspose2d, image: Tensor, shape: tuple[int, ...]) -> Sums:
    sums = Sums(shape)
    inputs, filters, *kernel = layer.weight.shape
    for channel, row, column in product(range(inputs), range(image.shape[2]), range(image.shape[3])):
        first = channel // (inputs // layer.groups) * filters
        for filter_, i, j in product(range(filters), range(kernel[0]), range(kernel[1])):
            y = row * layer.stride[0] - layer.padding[0] + i * layer.dilation[0]
            x = column * layer.stride[1] - layer.padding[1] + j * layer.dilation[1]
            weight = float(layer.weight[channel, filter_, i, j])
            sums.add((0, first + filter_, y, x), weight, at(image, channel, row, column))
    return sums


def literal_linear(layer: nn.Linear, image: Tensor, shape: tuple[int, ...]) -> Sums:
    sums = Sums(shape)
    inputs = layer.weight.shape[1]
    for *place, unit in product(*map(range, shape)):
        for channel in range(inputs):
            sums.add((*place, unit), float(layer.weight[unit, channel]), float(image[(*place, channel)]))
    return sums


LAYERS: dict[str, tuple[nn.Module, Any]] = {
    "plain": (nn.Conv2d(4, 3, 3, bias=False), literal_convolution),
    "strided, padded": (nn.Conv2d(4, 2, (3, 2), stride=2, padding=1, bias=False), literal_convolution),
    "dilated": (nn.Conv2d(4, 2, 2, dilation=(2, 3), bias=False), literal_convolution),
    "grouped": (nn.Conv2d(4, 6, 3, groups=2, bias=False), literal_convolution),
    "depthwise": (nn.Conv2d(4, 4, 3, padding=1, groups=4, bias=False), literal_convolution),
    "transposed": (nn.ConvTranspose2d(4, 3, 2, stride=2, bias=False), literal_transposed),
    "transposed, padded": (nn.ConvTranspose2d(4, 3, 3, 2, 1, output_padding=1, bias=False), literal_transposed),
    "transposed, grouped": (nn.ConvTranspose2d(4, 6, 3, groups=2, dilation=2, bias=False), literal_transposed),
    "linear on channels-last maps": (nn.Linear(6, 7, bias=False), literal_linear),
}


@pytest.mark.parametrize("name", LAYERS)
def test_multiply_adds_are_the_products_that_make_the_value(name: str) -> None:
    layer, literal = LAYERS[name]
    layer = layer.double()
    image = torch.rand((1, *SHAPE), dtype=torch.float64)
    with torch.no_grad():
        value = layer(image)
        sums = literal(layer, image, tuple(value.shape))
    torch.testing.assert_close(sums.value, value)
    assert macs(layer, image) == sums.count


class Product(nn.Module):
    """A product of two values that both depend on the image."""

    def __init__(self, operator: Any) -> None:
        super().__init__()
        self.operator = operator

    def forward(self, x: Tensor) -> Tensor:
        return self.operator(x)


def einsum(equation: str) -> Any:
    return lambda x: torch.einsum(equation, x, x)


def attention(x: Tensor) -> Tensor:
    return nn.functional.scaled_dot_product_attention(x, x[:, :, :3], x[:, :, :3])


# The shape is (1, 4, 5, 6): 4 channels of 5 rows and 6 columns.
PRODUCTS: dict[str, tuple[Any, int | None]] = {
    "matmul": (lambda x: x @ x.transpose(2, 3), 4 * 5 * 5 * 6),
    "matmul with a vector": (lambda x: x @ x[0, 0, 0], 4 * 5 * 6),
    "bmm": (lambda x: torch.bmm(x[0], x[0].mT), 4 * 5 * 5 * 6),
    "addmm": (lambda x: torch.addmm(x[0, 0], x[0, 0, :, :5], x[0, 1]), 5 * 5 * 6),
    "baddbmm": (lambda x: torch.baddbmm(x[0], x[0, :, :, :5], x[0]), 4 * 5 * 5 * 6),
    "attention": (attention, 4 * (5 * 3 * 6 + 5 * 3 * 6)),
    "einsum": (einsum("bchw,bciw->bchi"), 4 * 5 * 5 * 6),
    "einsum that sums beforehand": (einsum("bchw,bciw->bci"), 4 * 5 * 6),
    "einsum that sums nothing": (einsum("bchw,bchw->bchw"), 0),
    "Euclidean distances": (lambda x: torch.cdist(x[0], x[0, :, :3]), 4 * 5 * 3 * 6),
    "distances that nobody counts": (lambda x: torch.cdist(x[0], x[0], p=3.0), None),
    "affine grid": (lambda x: nn.functional.affine_grid(x[:, 0, :2, :3], [1, 2, 5, 7], False), 5 * 7 * 2 * 3),
    "affine grid of a volume": (
        lambda x: nn.functional.affine_grid(x[:, 0, :3, :4], [1, 2, 3, 5, 7], False),
        3 * 5 * 7 * 3 * 4,
    ),
    "a Fourier transform, which nobody counts": (torch.fft.fft2, None),
    "einsum that nobody counts": (einsum("...hw,...iw->...hi"), None),
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_products_of_maps(name: str) -> None:
    operator, expected = PRODUCTS[name]
    module, image = Product(operator), torch.rand(1, *SHAPE)
    found = plan(capture_module(module, (image,), {}, name="product"))
    assert (found.totals.unknown_macs != ()) == (expected is None)
    assert found.totals.macs == (expected or 0)


def literal_recurrent(layer: nn.RNNBase, sequence: Tensor) -> int:
    """The products of a recurrent layer, counted step by step while its states are computed from their definition."""
    weights = dict(layer.named_parameters())
    gates = weights["weight_hh_l0"].shape[0] // layer.hidden_size
    count, given = 0, sequence
    for number in range(layer.num_layers):
        both: list[Tensor] = []
        for name in [f"l{number}", f"l{number}_reverse"][: 1 + layer.bidirectional]:
            first, second = weights[f"weight_ih_{name}"], weights[f"weight_hh_{name}"]
            states, memory = torch.zeros(layer.hidden_size).double(), torch.zeros(layer.hidden_size).double()
            made: list[Tensor] = []
            for step in given.flip(0) if name.endswith("reverse") else given:
                count += first.numel() + second.numel()
                states, memory = moved_on(gates, first @ step, second @ states, states, memory)
                made.append(states)
            both.append(torch.stack(made).flip(0) if name.endswith("reverse") else torch.stack(made))
        given = torch.cat(both, 1)
    torch.testing.assert_close(given, layer(sequence[None])[0][0])
    return count


def moved_on(gates: int, left: Tensor, right: Tensor, states: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
    """The next states, and an LSTM's memory, as torch's documentation has them (without biases)."""
    if gates == 1:
        return torch.tanh(left + right), memory
    if gates == 3:
        (r, z, n), (other_r, other_z, other_n) = left.chunk(3), right.chunk(3)
        kept = torch.sigmoid(z + other_z)
        return (1 - kept) * torch.tanh(n + torch.sigmoid(r + other_r) * other_n) + kept * states, memory
    i, f, g, o = (left + right).chunk(4)
    memory = f.sigmoid() * memory + i.sigmoid() * g.tanh()
    return o.sigmoid() * memory.tanh(), memory


@pytest.mark.parametrize("kind", [nn.RNN, nn.GRU, nn.LSTM])
def test_a_recurrent_layer_multiplies_all_its_weights_at_every_step(kind: type[nn.RNNBase]) -> None:
    torch.manual_seed(0)
    layer = kind(6, 3, 2, bias=False, batch_first=True, bidirectional=True).double()
    module = Product(lambda x: layer(x.mean(1))[0])
    module.layer = layer
    image = torch.rand(1, *SHAPE, dtype=torch.float64)
    with torch.no_grad():
        expected = literal_recurrent(layer, image[0].mean(0))
    assert macs(module, image) == expected


def macs(module: nn.Module, image: Tensor) -> int:
    """The multiply-adds of a module's plan."""
    return plan(capture_module(module, (image,), {}, name="layer")).totals.macs
