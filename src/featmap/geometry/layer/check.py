"""The check of a convolution's settings, which reports everything that is wrong in one error."""

from __future__ import annotations

from math import gcd
from typing import Protocol

from featmap.errors import KernelTooLarge
from featmap.geometry.setting import COLUMNS, ROWS, Problems, misfit

Pair = tuple[int, int]


class HasSettings(Protocol):
    """The settings of one convolution; pairs are (rows, columns), paddings (before, after) of each."""

    @property
    def input_size(self) -> Pair: ...
    @property
    def channels(self) -> int: ...
    @property
    def filters(self) -> int: ...
    @property
    def kernel(self) -> Pair: ...
    @property
    def stride(self) -> Pair: ...
    @property
    def padding(self) -> tuple[Pair, Pair]: ...
    @property
    def dilation(self) -> Pair: ...
    @property
    def output_padding(self) -> Pair: ...
    @property
    def groups(self) -> int: ...
    @property
    def transpose(self) -> bool: ...


def check_convolution(layer: HasSettings) -> None:
    """Raises: SettingError, KernelTooLarge: no convolution has these settings."""
    problems = Problems()
    check_lowest(layer, problems)
    problems.settle()
    check_groups(layer, problems)
    check_output_padding(layer, problems)
    problems.settle()
    if layer.transpose:
        check_crop(layer, problems)
        problems.settle()
    else:
        check_kernel(layer, problems)
        problems.settle(KernelTooLarge)


def check_lowest(layer: HasSettings, problems: Problems) -> None:
    """Numbers that must not be below 1, or below 0."""
    for name in ("channels", "filters", "groups"):
        problems.lowest(name, getattr(layer, name), 1)
    for name in ("input_size", "kernel", "stride", "dilation", "output_padding"):
        for value in getattr(layer, name):
            problems.lowest(name, value, 0 if name == "output_padding" else 1)
    for value in (*layer.padding[0], *layer.padding[1]):
        problems.lowest("padding", value, 0)


def check_groups(layer: HasSettings, problems: Problems) -> None:
    """Groups divide channels and filters evenly."""
    common = gcd(layer.channels, layer.filters)
    possible = ", ".join(str(groups) for groups in range(1, common + 1) if common % groups == 0)
    for name in ("channels", "filters"):
        if getattr(layer, name) % layer.groups:
            problem = f"{getattr(layer, name)} {name} cannot be divided evenly among {layer.groups} groups."
            problems.add(problem, f"For {layer.channels} channels and {layer.filters} filters use groups {possible}.")


def check_output_padding(layer: HasSettings, problems: Problems) -> None:
    """Output padding belongs to transposed convolutions and is smaller than stride or dilation."""
    for axis, words in enumerate((ROWS, COLUMNS)):
        extra, limit = layer.output_padding[axis], max(layer.stride[axis], layer.dilation[axis])
        if extra and not layer.transpose:
            problem = f"output padding {extra} belongs to a transposed convolution, this one is not."
            problems.add(problem, "Leave it out, or ask for the transposed convolution.")
        elif extra >= limit:
            problem = f"output padding of {extra} {words.cells}, it must be smaller than stride or dilation ({limit})."
            problems.add(problem, f"Use at most {limit - 1}, or a larger stride.")


def check_kernel(layer: HasSettings, problems: Problems) -> None:
    """The kernel fits into the padded input."""
    told: list[tuple[object, ...]] = []
    for axis, words in enumerate((ROWS, COLUMNS)):
        numbers = layer.kernel[axis], layer.dilation[axis], layer.input_size[axis], layer.padding[axis]
        if numbers not in told:  # of a square layer only the rows are reported
            told.append(numbers)
            for problem, remedy in misfit(*numbers, words):
                problems.add(problem, remedy)


def check_crop(layer: HasSettings, problems: Problems) -> None:
    """The padding of a transposed convolution, which crops, leaves at least one output."""
    for axis, words in enumerate((ROWS, COLUMNS)):
        size, crop = layer.input_size[axis], layer.padding[axis]
        span = (layer.kernel[axis] - 1) * layer.dilation[axis] + 1
        made = (size - 1) * layer.stride[axis] + span + layer.output_padding[axis]
        if made <= sum(crop):
            crops = f"{crop[0]} {words.before} and {crop[1]} {words.after}"
            problem = f"padding crops {crops} of the {made} {words.cells} that {size} {words.cells} make."
            problems.add(problem, "Use less padding or a larger input.")
