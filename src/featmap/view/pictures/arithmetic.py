"""The arithmetic of one value as plain numbers, in the form that its picture takes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from featmap.view.drawing.flow import Stage
from featmap.view.drawing.text import MINUS, number, plural


@dataclass(frozen=True, eq=False)
class ShownTerm:
    """What one input channel contributes: `sum` is the sum over window * kernel, both (row, column)."""

    channel: int
    window: NDArray[Any]
    kernel: NDArray[Any]
    sum: float
    source: str = ""

    @property
    def name(self) -> str:
        """The channel, with the operand that it is of where there are several."""
        return f"{self.source}/{self.channel}" if self.source else f"channel {self.channel}"


@dataclass(frozen=True, eq=False)
class Arithmetic:
    """The arithmetic of one value: sum of the terms + bias = conv, conv * scale + shift = z, nonlinearity(z) = a.

    Parts that the layer does not have are None. `sum_name` is what the sum is called that is no weighted one.
    """

    title: str
    terms: Sequence[ShownTerm]
    bias: float | None
    conv: float
    scale: float | None
    shift: float | None
    z: float
    nonlinearity: str | None
    a: float | None
    sum_name: str = "conv"


def largest(arithmetic: Arithmetic, shown: int) -> list[ShownTerm]:
    """The terms that contribute most, whatever their sign.

    >>> import numpy as np
    >>> terms = [ShownTerm(at, np.ones((1, 1)), np.ones((1, 1)), total) for at, total in enumerate((1, -3, 2))]
    >>> [term.channel for term in largest(Arithmetic("", terms, None, 0, None, None, 0, None, None), 2)]
    [1, 2]
    """
    return sorted(arithmetic.terms, key=lambda term: -abs(term.sum))[:shown]


def rest(arithmetic: Arithmetic, shown: Sequence[ShownTerm]) -> list[tuple[str, float]]:
    """The rest of the sum: the other channels as one sum, and the bias; then the weighted sum itself."""
    drawn = {id(term) for term in shown}
    others = [term.sum for term in arithmetic.terms if id(term) not in drawn]
    rows = [(f"{plural(len(others), 'other channel')} together", math.fsum(others))] if others else []
    if arithmetic.bias is not None:
        rows.append(("bias" if arithmetic.sum_name == "conv" else "constant", arithmetic.bias))
    return [*rows, ("weighted sum (conv)" if arithmetic.sum_name == "conv" else arithmetic.sum_name, arithmetic.conv)]


def stages(arithmetic: Arithmetic) -> list[Stage]:
    """The path from the weighted sum to z and a; z is separate from conv only where something is between them."""
    scale, shift = arithmetic.scale, arithmetic.shift
    parts = [] if scale is None else [f"× {number(scale, 4)}"]
    if shift is not None:
        parts.append(f"{MINUS if shift < 0 else '+'} {number(abs(shift), 4)}")
    way = [Stage(arithmetic.sum_name if parts else f"{arithmetic.sum_name} = z", arithmetic.conv, "")]
    if parts:
        way.append(Stage("z", arithmetic.z, "  ".join(parts)))
    if arithmetic.a is not None:
        way.append(Stage("a", arithmetic.a, arithmetic.nonlinearity or ""))
    return way


def shown_words(arithmetic: Arithmetic, shown: Sequence[ShownTerm]) -> str:
    """The part of the sum that is shown in full, in words."""
    is_of_several = any(term.source for term in arithmetic.terms)
    count = plural(len(arithmetic.terms), "operand" if is_of_several else "input channel")
    return f"the {len(shown)} largest of {count}" if len(shown) < len(arithmetic.terms) else count


def description(arithmetic: Arithmetic, shown: Sequence[ShownTerm]) -> str:
    """The picture in words."""
    total = number(math.fsum(term.sum for term in arithmetic.terms))
    word = "bias" if arithmetic.sum_name == "conv" else "constant"
    bias = f" + {number(arithmetic.bias)} {word}" if arithmetic.bias is not None else ""
    way = ", ".join(f"{stage.name} {stage.text}" for stage in stages(arithmetic))
    return f"{arithmetic.title}; {shown_words(arithmetic, shown)}; {total} from the channels{bias}; {way}"
