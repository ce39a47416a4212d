"""The wording of errors about an operator's settings.

The messages name the axis in the reader's words: rows lie above and below, columns left and right.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from featmap.errors import KernelTooLarge, SettingError


@dataclass(frozen=True, slots=True)
class AxisWords:
    """The words for one spatial axis."""

    cell: str
    cells: str
    before: str
    after: str


ROWS = AxisWords("row", "rows", "above", "below")
COLUMNS = AxisWords("column", "columns", "left", "right")
PLANES = AxisWords("plane", "planes", "in front", "behind")
POSITIONS = AxisWords("position", "positions", "before", "behind")
BOTH = AxisWords("row and column", "rows and columns", "before", "after")
"""For two axes with the same numbers."""
EITHER = AxisWords("cell", "cells", "before", "after")
"""For a rule that serves both axes."""


def axis_words(count: int) -> tuple[AxisWords, ...]:
    """The words for each axis of a map with so many: a signal has positions, a volume planes, rows and columns.

    >>> [words.cell for words in axis_words(3)]
    ['plane', 'row', 'column']
    """
    return (POSITIONS,) if count == 1 else (PLANES, ROWS, COLUMNS)[3 - count :]


@dataclass(frozen=True, slots=True)
class Problems:
    """Everything that is wrong with some settings, so that one error can report it all."""

    found: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    def add(self, problem: str, remedy: str) -> None:
        """Adds one thing that is wrong, and what to do about it."""
        self.found.append((problem, remedy))

    def lowest(self, what: str, value: int, lowest: int) -> None:
        """Adds a problem where `value` is below `lowest`."""
        if value < lowest:
            self.add(f"{what} is {value}, the lowest possible is {lowest}.", f"For {what} use {lowest} or more.")

    def settle(self, error: type[SettingError] = SettingError) -> None:
        """Raises: SettingError: something was found; all of it is in the text."""
        if self.found:
            problems, remedies = (dict.fromkeys(texts) for texts in zip(*self.found, strict=True))
            raise error("\n".join(problems), "\n".join(remedies))


def at_least(what: str, value: int, lowest: int) -> None:
    """Raises: SettingError: `value` is below `lowest`."""
    problems = Problems()
    problems.lowest(what, value, lowest)
    problems.settle()


def misfit(
    kernel: int, dilation: int, size: int, padding: tuple[int, int], axis: AxisWords = EITHER
) -> Iterator[tuple[str, str]]:
    """Problem and remedy of a kernel that spans more than the padded input; nothing if it fits."""
    span, padded = (kernel - 1) * dilation + 1, size + sum(padding)
    if span > padded:
        spread = f" with dilation {dilation}" if dilation > 1 else ""
        inputs = f"{size} {axis.cell if size == 1 else axis.cells}"
        terms = f"{inputs} {signed(padding[0])} {axis.before} {signed(padding[1])} {axis.after}"
        yield (
            f"kernel {kernel}{spread} spans {span} {axis.cells}, the padded input has {padded} ({terms}).",
            f"Use an input of at least {size + span - padded} {axis.cells}, more padding or a smaller kernel.",
        )


def kernel_too_large(kernel: int, dilation: int, size: int, padding: tuple[int, int]) -> KernelTooLarge:
    """The error for a kernel that does not fit."""
    return KernelTooLarge(*next(misfit(kernel, dilation, size, padding)))


def signed(number: int) -> str:
    """A number as a term of a sum.

    >>> signed(2), signed(-1)
    ('+ 2', '- 1')
    """
    return f"+ {number}" if number >= 0 else f"- {-number}"
