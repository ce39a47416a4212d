"""Convolutions from settings in short form: a single number for both axes, "same" for the padding."""

from __future__ import annotations

from typing import Literal

from featmap.errors import SettingError
from featmap.geometry.layer.arithmetic import ConvolutionArithmetic, Pair
from featmap.geometry.layer.padding import pytorch_same, symmetric_same, tensorflow_same

Setting = int | Pair
Padding = int | Pair | tuple[Pair, Pair] | Literal["same"]


def convolution(
    input_size: Setting,
    *,
    channels: int,
    filters: int,
    kernel: Setting,
    stride: Setting = 1,
    padding: Padding = 0,
    dilation: Setting = 1,
    groups: int = 1,
    transpose: bool = False,
    output_padding: Setting = 0,
) -> ConvolutionArithmetic:
    """The arithmetic of a convolution whose settings may be single numbers, as in PyTorch.

    `padding` is a number, (rows, columns), ((above, below), (left, right)) or "same", which means PyTorch's and exists
    at stride 1 only.

    Raises: SettingError: settings that no convolution can have. KernelTooLarge: the kernel does not fit.

    >>> convolution(128, channels=3, filters=32, kernel=3, padding=1).output_size
    (128, 128)
    >>> convolution(32, channels=3, filters=6, kernel=4, padding="same").padding
    ((1, 2), (1, 2))
    """
    size, kernel, stride, dilation = pair(input_size), pair(kernel), pair(stride), pair(dilation)
    if padding == "same":
        refuse_same(size, kernel, stride, dilation, transpose=transpose)
        padding = pytorch_same(kernel[0], dilation[0]), pytorch_same(kernel[1], dilation[1])
    numbers = size, channels, filters, kernel, stride, sides(padding), dilation, groups
    return ConvolutionArithmetic(*numbers, transpose, pair(output_padding))


def pair(setting: Setting) -> Pair:
    """(rows, columns) of a number for both or of a pair."""
    return (setting, setting) if isinstance(setting, int) else (setting[0], setting[1])


def sides(padding: int | Pair | tuple[Pair, Pair]) -> tuple[Pair, Pair]:
    """((above, below), (left, right)) of a number for all sides, (rows, columns), or itself.

    >>> sides((1, 2))
    ((1, 1), (2, 2))
    """
    if isinstance(padding, int):
        return sides((padding, padding))
    rows, columns = padding
    return pair(rows), pair(columns)


def refuse_same(size: Pair, kernel: Pair, stride: Pair, dilation: Pair, *, transpose: bool) -> None:
    """Raises: SettingError: padding "same" does not exist for this stride or for a transposed convolution."""
    if transpose:
        raise SettingError(
            "padding 'same' does not exist for a transposed convolution.",
            "Give the padding in numbers; `featmap solve SIZE --output SIZE --transpose` finds it.",
        )
    if max(stride) > 1:
        tensorflow = [tensorflow_same(*axis) for axis in zip(size, kernel, stride, dilation, strict=True)]
        options = [f"{in_words(tensorflow)} (TensorFlow SAME for this size)"]
        symmetric = [symmetric_same(*axis) for axis in zip(kernel, dilation, strict=True)]
        if None not in symmetric:
            options.insert(0, f"{in_words([way for way in symmetric if way])} (PyTorch symmetric)")
        raise SettingError(
            f"padding 'same' exists at stride 1 only, the stride is {stride[0]}x{stride[1]}.",
            f"For size / stride, rounded up, use {' or '.join(options)}.",
        )


def in_words(padding: list[Pair]) -> str:
    """The padding of both axes in the order of an address: top, left, bottom, right.

    >>> in_words([(0, 1), (2, 3)])
    'top,left,bottom,right = 0,2,1,3'
    """
    (above, below), (left, right) = padding
    return f"top,left,bottom,right = {above},{left},{below},{right}"
