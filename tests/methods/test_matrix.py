"""A layer as a matrix: times the flattened input it is the layer, and its counts are those of the definition."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import featmap as fm
from featmap.errors import InputError, KernelTooLarge, NoSuchStage
from support.closeness import assert_close
from support.tiny_modules import conv, written
from support.zoo_networks import seeded

SHAPE = (4, 8, 7)

CASES: dict[str, nn.Module] = {
    "plain": nn.Conv2d(4, 6, 3),
    "padded, strided, rectangular": nn.Conv2d(4, 6, (3, 5), stride=(2, 1), padding=(1, 2)),
    "dilated": nn.Conv2d(4, 6, 3, dilation=(2, 1)),
    "same and even": nn.Conv2d(4, 6, (4, 2), padding="same"),
    "grouped": nn.Conv2d(4, 6, 3, groups=2),
    "depthwise": nn.Conv2d(4, 8, 3, groups=4, padding=1),
    "no bias": nn.Conv2d(4, 6, 1, bias=False),
    "transposed": nn.ConvTranspose2d(4, 6, (3, 2), stride=(2, 3), padding=(1, 0), output_padding=(1, 2)),
    "transposed, grouped, dilated": nn.ConvTranspose2d(4, 6, 3, stride=2, dilation=2, groups=2),
}


def matrix_of(module: nn.Module, size: tuple[int, int] | None = None, shape: tuple[int, ...] = SHAPE):
    return fm.trace(module, shape).layers[0].as_matrix(size)


@pytest.mark.parametrize("size", [None, (5, 9)])
@pytest.mark.parametrize("case", CASES)
def test_the_product_with_the_flattened_input_is_the_layers_own_value(case: str, size: tuple[int, int] | None) -> None:
    convolution = seeded(CASES[case]).double()
    found = matrix_of(nn.Sequential(convolution, nn.ReLU()), size)
    image = torch.randn((1, 4, *(size or SHAPE[1:])), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    with torch.no_grad():
        own = convolution(image)
        own = own if convolution.bias is None else own - convolution.bias[:, None, None]
    assert found.output_shape == tuple(own.shape[1:])
    assert found.input_shape == tuple(image.shape[1:])
    assert_close(found.matrix.to_dense() @ image.flatten(), own.flatten())
    assert found.distinct_weights == convolution.weight.numel()


def test_the_counts_of_a_5x5_kernel_on_a_32x32_image() -> None:
    found = matrix_of(nn.Sequential(nn.Conv2d(3, 6, 5), nn.ReLU()), shape=(3, 32, 32))
    assert found.matrix.shape == (6 * 28 * 28, 3 * 32 * 32)
    assert found.entries == 75 * 6 * 28 * 28
    assert found.share_of_nonzeros == pytest.approx(75 / 3072)
    assert found.distinct_weights == 450
    assert repr(found) == (
        "LayerMatrix(0:conv: 4,704 x 3,072, 352,800 non-zeros (2.441%), made of 450 distinct weights)"
    )
    assert found.to_dict() == {
        "address": "0:conv",
        "shape": [4704, 3072],
        "input_shape": [3, 32, 32],
        "output_shape": [6, 28, 28],
        "entries": 352_800,
        "share_of_nonzeros": found.share_of_nonzeros,
        "distinct_weights": 450,
    }


def test_every_row_of_a_layer_without_padding_holds_each_weight_of_its_filter_once() -> None:
    convolution = seeded(nn.Conv2d(4, 2, (3, 2))).double()
    rows = matrix_of(nn.Sequential(convolution, nn.ReLU())).matrix.to_dense().reshape(2, -1, 4 * 8 * 7)
    for channel, weight in enumerate(convolution.weight.detach()):
        for row in rows[channel]:
            assert torch.equal(row[row != 0].sort().values, weight.flatten().sort().values)


def test_entries_on_padding_have_no_column_and_a_weight_of_0_is_an_entry() -> None:
    convolution = nn.Conv2d(1, 1, 3, padding=1, bias=False)
    nn.init.zeros_(convolution.weight)
    found = matrix_of(nn.Sequential(convolution, nn.ReLU()), shape=(1, 4, 4))
    # Along an axis of 4 the three taps meet 3 + 4 + 3 inputs.
    assert found.entries == 100
    assert found.matrix.shape == (16, 16)


def test_a_linear_layer_is_its_weight() -> None:
    module = seeded(nn.Sequential(nn.Flatten(), nn.Linear(4 * 8 * 7, 3))).double()
    found = matrix_of(module)
    assert torch.equal(found.matrix.to_dense(), module[1].weight.detach())
    assert found.share_of_nonzeros == 1


def test_a_layer_inside_a_network_takes_the_size_that_it_has_there() -> None:
    net = fm.trace(nn.Sequential(conv(4), nn.MaxPool2d(2), conv(4, 2)), SHAPE)
    assert net.layers[1].as_matrix().input_shape == (4, 4, 3)


def test_what_is_no_matrix() -> None:
    net = fm.trace(written(lambda self, x: self.c(x) + self.d(x), c=conv(4), d=conv(4)), SHAPE)
    with pytest.raises(NoSuchStage) as caught:
        net.layers[2].as_matrix()
    assert str(caught.value) == "'add' is a merge; it has no kernels.\n\nAsk about a convolution or a linear layer."


def test_a_matrix_too_large_is_refused_before_it_is_made() -> None:
    with pytest.raises(InputError) as caught:
        matrix_of(nn.Sequential(conv(4), nn.ReLU()), (10_000, 10_000))
    assert str(caught.value) == (
        "The matrix of '0' would have up to 14,400,000,000 entries; 200,000,000 are allowed.\n\n"
        "Give a smaller input size: layer.as_matrix((8, 8))."
    )


def test_an_input_smaller_than_the_kernel_is_refused() -> None:
    with pytest.raises(KernelTooLarge):
        matrix_of(nn.Sequential(nn.Conv2d(4, 2, 5), nn.ReLU()), (4, 9))
