"""Errors of axis rules, with their full text."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from featmap.errors import KernelTooLarge, SettingError
from featmap.geometry import Adaptive, Gather, Linear, Nearest, Pad, Repeat, Slice, TransposedWindow, Window


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Window(0), "kernel is 0, the lowest possible is 1.\n\nFor kernel use 1 or more."),
        (lambda: Window(3, 0), "stride is 0, the lowest possible is 1.\n\nFor stride use 1 or more."),
        (
            lambda: TransposedWindow(3, dilation=0),
            "dilation is 0, the lowest possible is 1.\n\nFor dilation use 1 or more.",
        ),
        (
            lambda: TransposedWindow(3, 2, output_padding=2),
            "output_padding 2 is smaller than neither stride 2 nor dilation 1.\n\n"
            "Use an output_padding of at most 1, or a larger stride.",
        ),
        (
            lambda: TransposedWindow(2, 1, 2, 2).output_size(2),
            "padding 2 + 2 crops all of the 3 outputs that 2 inputs make.\n\n"
            "Use less padding or a larger input: a transposed convolution crops what its padding says.",
        ),
        (lambda: Nearest(), "a resize has neither an output size nor a scale.\n\nGive `outputs` or `scale`."),
        (lambda: Linear(scale=-1.0), "the scale of a resize is -1.\n\nUse a scale above 0."),
        (lambda: Nearest(scale=0.1).output_size(5), "scale 0.1 makes 0 of 5.\n\nUse a scale of at least 1/5."),
        (
            lambda: Linear(0),
            "the output size of a resize is 0, the lowest possible is 1.\n\n"
            "For the output size of a resize use 1 or more.",
        ),
        (
            lambda: Adaptive(0),
            "the output size of an adaptive pooling is 0, the lowest possible is 1.\n\n"
            "For the output size of an adaptive pooling use 1 or more.",
        ),
        (lambda: Repeat(0), "factor is 0, the lowest possible is 1.\n\nFor factor use 1 or more."),
        (lambda: Gather(3).output_size(8), "8 is not divisible by the factor 3.\n\nUse an input of 6 or 9."),
        (
            lambda: Pad(1, 1, "mirror"),
            "there is no padding mode 'mirror'.\n\nUse one of constant, reflect, replicate, circular.",
        ),
        (
            lambda: Pad(-4, -4).output_size(8),
            "padding -4 before and -4 after leaves nothing of 8.\n\nCrop less, or use a larger input.",
        ),
        (
            lambda: Pad(0, 4, "reflect").output_size(4),
            "reflect padding of 4 on an input of 4, the most is 3.\n\nPad by at most 3, or use a larger input.",
        ),
        (
            lambda: Slice(step=0),
            "the step of a slice is 0, the lowest possible is 1.\n\nFor the step of a slice use 1 or more.",
        ),
    ],
)
def test_refusal(make: Callable[[], object], text: str) -> None:
    with pytest.raises(SettingError) as caught:
        make()
    assert str(caught.value) == text
    assert type(caught.value) is SettingError


def test_a_window_that_does_not_fit() -> None:
    with pytest.raises(KernelTooLarge) as caught:
        Window(7, before=1, after=1, dilation=2).output_size(8)
    assert str(caught.value) == (
        "kernel 7 with dilation 2 spans 13 cells, the padded input has 10 (8 cells + 1 before + 1 after).\n\n"
        "Use an input of at least 11 cells, more padding or a smaller kernel."
    )
