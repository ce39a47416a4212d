"""The arithmetic of one convolution: numbers that are often confused, PyTorch's numbers, and every error."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn

from featmap.errors import KernelTooLarge, SettingError
from featmap.geometry import convolution


def test_a_5x5_kernel_on_a_32x32x3_image() -> None:
    one = convolution(32, channels=3, filters=1, kernel=5)
    assert (one.products_per_value, one.weights_without_bias, one.weights) == (75, 75, 76)
    assert one.output_size == (28, 28)
    assert convolution(32, channels=3, filters=1, kernel=5, stride=2).output_size == (14, 14)
    assert (one.dense_unit_weights_without_bias, one.dense_unit_weights) == (3072, 3073)
    six = convolution(32, channels=3, filters=6, kernel=5)
    assert (six.kernels, six.feature_maps, six.weights, six.weights_without_bias) == (18, 6, 456, 450)
    assert six.macs == 28 * 28 * 6 * 75 == 352_800
    assert six.dense_weights == 3072 * 4704 + 4704 == 14_455_392


def test_a_larger_image_needs_no_more_weights() -> None:
    large = convolution(256, channels=3, filters=1, kernel=5)
    assert (large.dense_unit_weights_without_bias, large.weights) == (196_608, 76)


def test_padding_that_keeps_the_size() -> None:
    assert convolution(32, channels=1, filters=1, kernel=3, padding=1).output_size == (32, 32)
    assert convolution(32, channels=1, filters=1, kernel=5, padding=2).output_size == (32, 32)
    assert convolution((32, 20), channels=1, filters=1, kernel=(4, 3), padding="same").output_size == (32, 20)


def test_32_filters_on_128x128x3() -> None:
    padded = convolution(128, channels=3, filters=32, kernel=3, padding=1)
    bare = convolution(128, channels=3, filters=32, kernel=3)
    assert (*padded.output_size, padded.feature_maps) == (128, 128, 32)
    assert (*bare.output_size, bare.feature_maps) == (126, 126, 32)


def test_the_first_convolution_of_vgg() -> None:
    first = convolution(224, channels=3, filters=64, kernel=3, padding=1)
    assert first.weights_without_bias == 64 * 27
    assert (*first.output_size, first.feature_maps) == (224, 224, 64)


def test_two_maps_to_three_need_six_kernels() -> None:
    layer = convolution(8, channels=2, filters=3, kernel=3)
    assert (layer.weight_shape, layer.kernels) == ((3, 2, 3, 3), 6)


def test_the_receptive_field_of_one_layer() -> None:
    field = convolution(32, channels=3, filters=6, kernel=5, stride=2, padding=((1, 2), (0, 1))).receptive_field
    assert (field.size, field.stride, field.offset) == ((5, 5), (2, 2), (-1, 0))


pairs = st.tuples(st.integers(1, 3), st.integers(1, 4))


@settings(max_examples=200)
@given(pairs.map(lambda p: (p[0] * 3, p[1] * 3)), pairs, pairs, pairs, pairs, st.sampled_from([1, 2, 4]), st.booleans())
def test_every_number_is_that_of_pytorch(
    size: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
    padding: tuple[int, int],
    groups: int,
    transpose: bool,
) -> None:
    kind = nn.ConvTranspose2d if transpose else nn.Conv2d
    module = kind(4, 8, kernel, stride, padding, dilation=dilation, groups=groups, dtype=torch.float64)
    numbers: dict[str, Any] = {"kernel": kernel, "stride": stride, "dilation": dilation, "groups": groups}
    numbers |= {"channels": 4, "filters": 8, "padding": padding, "transpose": transpose}
    try:
        out = module(torch.zeros(1, 4, *size, dtype=torch.float64))
    except RuntimeError:
        with pytest.raises(SettingError):
            convolution(size, **numbers)
        return
    layer = convolution(size, **numbers)
    assert layer.output_size == tuple(out.shape[2:])
    assert layer.weight_shape == tuple(module.weight.shape)
    assert layer.weights == sum(parameter.numel() for parameter in module.parameters())
    assert layer.weights_without_bias == module.weight.numel()


@settings(max_examples=60)
@given(pairs, pairs, pairs, st.booleans(), st.sampled_from([1, 2]))
def test_macs_and_products_count_the_multiplications(
    size: tuple[int, int], kernel: tuple[int, int], stride: tuple[int, int], transpose: bool, groups: int
) -> None:
    """With ones everywhere and no padding, each value is the number of its products."""
    size = (size[0] + 4, size[1] + 4)
    kind = nn.ConvTranspose2d if transpose else nn.Conv2d
    module = kind(2, 4, kernel, stride, groups=groups, bias=False, dtype=torch.float64)
    nn.init.ones_(module.weight)
    out = module(torch.ones(1, 2, *size, dtype=torch.float64))
    layer = convolution(size, channels=2, filters=4, kernel=kernel, stride=stride, groups=groups, transpose=transpose)
    assert layer.macs == int(out.sum())
    assume(not transpose or min(size) > max(kernel))  # else no value has all its products
    assert layer.products_per_value == int(out.max())


def refusal(**settings_: Any) -> tuple[type[Exception], str]:
    """The error of a convolution on 8 rows and 10 columns."""
    full: dict[str, Any] = {"channels": 4, "filters": 6, "kernel": 3} | settings_
    with pytest.raises(SettingError) as caught:
        convolution(full.pop("size", (8, 10)), **full)
    assert caught.value.exit_code == 2
    return type(caught.value), str(caught.value)


@pytest.mark.parametrize(
    ("settings_", "text"),
    [
        (
            {"groups": 3},
            "4 channels cannot be divided evenly among 3 groups.\n\nFor 4 channels and 6 filters use groups 1, 2.",
        ),
        (
            {"groups": 4},
            "6 filters cannot be divided evenly among 4 groups.\n\nFor 4 channels and 6 filters use groups 1, 2.",
        ),
        (
            {"stride": 0, "kernel": (0, 3), "dilation": 0},
            "kernel is 0, the lowest possible is 1.\n"
            "stride is 0, the lowest possible is 1.\n"
            "dilation is 0, the lowest possible is 1.\n\n"
            "For kernel use 1 or more.\nFor stride use 1 or more.\nFor dilation use 1 or more.",
        ),
        ({"channels": 0}, "channels is 0, the lowest possible is 1.\n\nFor channels use 1 or more."),
        ({"padding": -1}, "padding is -1, the lowest possible is 0.\n\nFor padding use 0 or more."),
        (
            {"output_padding": 1},
            "output padding 1 belongs to a transposed convolution, this one is not.\n\n"
            "Leave it out, or ask for the transposed convolution.",
        ),
        (
            {"output_padding": (2, 0), "stride": 2, "transpose": True},
            "output padding of 2 rows, it must be smaller than stride or dilation (2).\n\n"
            "Use at most 1, or a larger stride.",
        ),
        (
            {"transpose": True, "size": 1, "padding": ((1, 2), (0, 0))},
            "padding crops 1 above and 2 below of the 3 rows that 1 rows make.\n\nUse less padding or a larger input.",
        ),
        (
            {"padding": "same", "stride": 2},
            "padding 'same' exists at stride 1 only, the stride is 2x2.\n\n"
            "For size / stride, rounded up, use top,left,bottom,right = 1,1,1,1 (PyTorch symmetric) or "
            "top,left,bottom,right = 0,0,1,1 (TensorFlow SAME for this size).",
        ),
        (
            {"padding": "same", "stride": 2, "kernel": 4},
            "padding 'same' exists at stride 1 only, the stride is 2x2.\n\n"
            "For size / stride, rounded up, use top,left,bottom,right = 1,1,1,1 (TensorFlow SAME for this size).",
        ),
        (
            {"padding": "same", "transpose": True},
            "padding 'same' does not exist for a transposed convolution.\n\n"
            "Give the padding in numbers; `featmap solve SIZE --output SIZE --transpose` finds it.",
        ),
    ],
)
def test_impossible_settings(settings_: dict[str, Any], text: str) -> None:
    assert refusal(**settings_) == (SettingError, text)


@pytest.mark.parametrize(
    ("settings_", "text"),
    [
        (
            {"kernel": (7, 1), "dilation": 2, "padding": ((1, 1), (0, 0))},
            "kernel 7 with dilation 2 spans 13 rows, the padded input has 10 (8 rows + 1 above + 1 below).\n\n"
            "Use an input of at least 11 rows, more padding or a smaller kernel.",
        ),
        (
            {"kernel": 11},
            "kernel 11 spans 11 rows, the padded input has 8 (8 rows + 0 above + 0 below).\n"
            "kernel 11 spans 11 columns, the padded input has 10 (10 columns + 0 left + 0 right).\n\n"
            "Use an input of at least 11 rows, more padding or a smaller kernel.\n"
            "Use an input of at least 11 columns, more padding or a smaller kernel.",
        ),
    ],
)
def test_a_kernel_that_does_not_fit(settings_: dict[str, Any], text: str) -> None:
    assert refusal(**settings_) == (KernelTooLarge, text)
