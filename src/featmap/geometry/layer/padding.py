"""The paddings called "same" in PyTorch and in TensorFlow.

Two conventions share the name "same". PyTorch's `padding="same"` exists at stride 1 only; with a stride its users write
the symmetric (K - 1) / 2, which gives ceil(n / stride) for every odd span K = (kernel - 1) * dilation + 1. TensorFlow's
SAME pads just enough for ceil(n / stride) and puts the odd cell at the end, so it depends on the size and is not
symmetric: the same weights give other values than with PyTorch's padding.
"""

from __future__ import annotations

PYTORCH = "PyTorch padding='same'"
SYMMETRIC = "PyTorch symmetric"
TENSORFLOW = "TensorFlow SAME"


def pytorch_same(kernel: int, dilation: int = 1) -> tuple[int, int]:
    """(before, after) of PyTorch's `padding="same"`, stride 1.

    >>> pytorch_same(5), pytorch_same(4)
    ((2, 2), (1, 2))
    """
    total = (kernel - 1) * dilation
    return total // 2, total - total // 2


def symmetric_same(kernel: int, dilation: int = 1) -> tuple[int, int] | None:
    """The symmetric padding that gives ceil(size / stride) for every size and stride; None for an even span.

    >>> symmetric_same(7), symmetric_same(4)
    ((3, 3), None)
    """
    total = (kernel - 1) * dilation
    return None if total % 2 else (total // 2, total // 2)


def tensorflow_same(size: int, kernel: int, stride: int = 1, dilation: int = 1) -> tuple[int, int]:
    """(before, after) of TensorFlow's SAME: just enough for ceil(size / stride), the odd cell at the end.

    >>> tensorflow_same(224, 7, 2), tensorflow_same(225, 7, 2)
    ((2, 3), (3, 3))
    """
    span = (kernel - 1) * dilation + 1
    total = max((-(-size // stride) - 1) * stride + span - size, 0)
    return total // 2, total - total // 2


def tensorflow_same_transposed(kernel: int, stride: int = 1, dilation: int = 1) -> tuple[int, int, int]:
    """(before, after, output_padding) of TensorFlow's transposed SAME, which gives size * stride.

    >>> tensorflow_same_transposed(3, 2), tensorflow_same_transposed(1, 2)
    ((0, 1, 0), (0, 0, 1))
    """
    surplus = (kernel - 1) * dilation + 1 - stride
    return max(surplus, 0) // 2, max(surplus, 0) - max(surplus, 0) // 2, max(-surplus, 0)


def names(size: int, kernel: int, stride: int, dilation: int, padding: tuple[int, int]) -> tuple[str, ...]:
    """The conventions, if any, that a padding follows.

    >>> names(224, 7, 2, 1, (3, 3)), names(225, 7, 2, 1, (3, 3))
    (('PyTorch symmetric',), ('PyTorch symmetric', 'TensorFlow SAME'))
    """
    if stride == 1:
        pytorch = PYTORCH if padding == pytorch_same(kernel, dilation) else ""
    else:
        pytorch = SYMMETRIC if padding == symmetric_same(kernel, dilation) else ""
    tensorflow = TENSORFLOW if padding == tensorflow_same(size, kernel, stride, dilation) else ""
    return tuple(name for name in (pytorch, tensorflow) if name)
