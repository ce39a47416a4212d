"""The formula of an output size, written with its numbers so that it can be checked by hand."""

from __future__ import annotations

from featmap.geometry.axis.window import TransposedWindow, Window
from featmap.geometry.setting import signed


def size_formula(rule: Window | TransposedWindow, size: int) -> str:
    """The formula that gives the output size; rounding brackets appear only where something is rounded.

    >>> size_formula(Window(5), 32)
    '(32 + 0 + 0 - 5) / 1 + 1 = 28'
    >>> size_formula(Window(7, 2, 3, 3), 224)
    '⌊(224 + 3 + 3 - 7) / 2⌋ + 1 = 112'
    >>> size_formula(Window(3, 3, 2, 2, ceil_mode=True), 9)
    '⌈(9 + 2 + 2 - 3) / 3⌉ + 1 - 1 = 4'
    >>> size_formula(TransposedWindow(3, 2, 1, 1, output_padding=1), 16)
    '(16 - 1) × 2 + 3 - 1 - 1 + 1 = 32'
    """
    outputs = rule.output_size(size)
    if isinstance(rule, TransposedWindow):
        crops = f"{signed(-rule.before or 0)} {signed(-rule.after or 0)}".replace("+ 0", "- 0")
        extra = f" + {rule.output_padding}" if rule.output_padding else ""
        return f"({size} - 1) × {rule.stride} + {rule.span} {crops}{extra} = {outputs}"
    padded = f"{size} {signed(rule.before)} {signed(rule.after)} - {rule.span}"
    steps = f"({padded}) / {rule.stride}"
    if (size + rule.before + rule.after - rule.span) % rule.stride:
        steps = f"⌈{steps}⌉" if rule.ceil_mode else f"⌊{steps}⌋"
    # In ceil mode a last window that would start on the trailing padding is dropped.
    slack = size + rule.before + rule.after - rule.span
    dropped = " - 1" if rule.ceil_mode and -(-slack // rule.stride) + 1 > outputs else ""
    return f"{steps} + 1{dropped} = {outputs}"
