"""Signals back through windows: transposed filters, switches, and averages spread out.

Outputs of one box read one box of the input: what comes out is that box, uncut, for every unit at once.
"""

from __future__ import annotations

import torch
from torch import Tensor

from featmap.geometry import Window
from featmap.graph.operators.convolution import ConvolutionSettings
from featmap.run.backward.signal import MapSignal, blank, signal_at

Size = tuple[int, ...]


def filtered(
    signal: MapSignal, weight: Tensor, settings: ConvolutionSettings, outputs: Size, inputs: Size
) -> MapSignal:
    """Back through a convolution: every value lays its filter, times itself, over what it read.

    `outputs` and `inputs` are the rows and columns of the convolution's own maps.
    """
    rows, columns = _rule(settings, 0), _rule(settings, 1)
    if signal.boxes.covers(outputs) and rows.before == rows.after and columns.before == columns.after:
        # On whole maps torch cuts the border off itself; the places that no window reached are added at the end.
        left = _left_over(rows, outputs[0], inputs[0]), _left_over(columns, outputs[1], inputs[1])
        padding = rows.before, columns.before
        values = _transposed(signal.values, weight, settings, padding, left)
        return signal_at(values, signal.boxes.rows, signal.boxes.columns, is_fresh=True)
    return _read(signal, rows, columns, _transposed(signal.values, weight, settings, (0, 0), (0, 0)))


def _transposed(
    values: Tensor, weight: Tensor, settings: ConvolutionSettings, padding: tuple[int, int], left: tuple[int, int]
) -> Tensor:
    return torch.conv_transpose2d(
        values, weight, None, settings.stride, padding, left, settings.groups, settings.dilation
    )


def _rule(settings: ConvolutionSettings, axis: int) -> Window:
    rule = settings.rule(axis)
    assert isinstance(rule, Window)
    return rule


def _left_over(rule: Window, outputs: int, inputs: int) -> int:
    """How many of the last inputs no window reads."""
    return inputs + rule.before + rule.after - ((outputs - 1) * rule.stride + rule.span)


def _read(signal: MapSignal, rows: Window, columns: Window, values: Tensor) -> MapSignal:
    """Values on the boxes that the signal's boxes read."""
    tops = signal.boxes.rows * rows.stride - rows.before
    lefts = signal.boxes.columns * columns.stride - columns.before
    return signal_at(values, tops, lefts, is_fresh=True)


def switched(signal: MapSignal, switches: Tensor, rows: Window, columns: Window) -> MapSignal:
    """Back through a maximum pool: every value goes where its maximum was found; values that meet there add up."""
    made = _blank(signal, rows, columns)
    apart = rows.stride >= rows.span and columns.stride >= columns.span
    for row in range(rows.kernel):
        for column in range(columns.kernel):
            chosen = switches == row * columns.kernel + column
            place = _at(made, rows, columns, row, column, signal)
            if apart:
                torch.mul(signal.values, chosen, out=place)
            else:
                place.add_(signal.values * chosen)
    return _read(signal, rows, columns, made)


def spread(signal: MapSignal, divisors: tuple[Tensor, Tensor] | float, rows: Window, columns: Window) -> MapSignal:
    """Back through an average pool: every value is divided as the pool divided, and goes to its whole window.

    `divisors` are, per unit, how many rows and how many columns each output counts, or one number for all outputs.
    """
    shares = signal.values
    if isinstance(divisors, tuple):
        down, across = (part.to(shares) for part in divisors)
        shares = shares / (down[:, None, :, None] * across[:, None, None])
    else:
        shares = shares / divisors
    made = _blank(signal, rows, columns)
    for row in range(rows.kernel):
        for column in range(columns.kernel):
            _at(made, rows, columns, row, column, signal).add_(shares)
    return _read(signal, rows, columns, made)


def _blank(signal: MapSignal, rows: Window, columns: Window) -> Tensor:
    height, width = (
        (signal.boxes.height - 1) * rows.stride + rows.span,
        (signal.boxes.width - 1) * columns.stride + columns.span,
    )
    return blank((len(signal), signal.values.shape[1], height, width), signal.values)


def _at(made: Tensor, rows: Window, columns: Window, row: int, column: int, signal: MapSignal) -> Tensor:
    """The places of a window's row and column, for all outputs."""
    top, left = row * rows.dilation, column * columns.dilation
    down = slice(top, top + (signal.boxes.height - 1) * rows.stride + 1, rows.stride)
    across = slice(left, left + (signal.boxes.width - 1) * columns.stride + 1, columns.stride)
    return made[:, :, down, across]
