"""Parts of tables: headings, numbers in few digits, text without colours."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from featmap.geometry import ReceptiveField

WIDTH = 110
WIDEST = 300


def as_text(content: RenderableType, width: int = WIDTH) -> str:
    """The text that rich would print, without colours."""
    buffer = io.StringIO()
    Console(file=buffer, width=width, color_system=None, legacy_windows=False, emoji=False).print(content)
    lines = (line.rstrip() for line in buffer.getvalue().split("\n"))
    return "\n".join(lines).rstrip("\n")


def table(headings: Sequence[tuple[str, str]], rows: Sequence[Sequence[str]], title: str = "") -> Table:
    """A compact table; each heading has a text and an alignment (left, right)."""
    made = Table(box=None, pad_edge=False, header_style="bold", title=title or None, title_justify="left")
    for heading, justify in headings:
        made.add_column(Text(heading), justify="right" if justify == "right" else "left", no_wrap=justify == "right")
    for row in rows:
        made.add_row(*(Text(cell) for cell in row))
    return made


def count(value: float | None) -> str:
    """A large whole number with a unit letter, three digits.

    >>> [count(value) for value in (896, 1792, 138357544, None)]
    ['896', '1.79K', '138M', '?']
    """
    if value is None:
        return "?"
    power = min(int(math.log10(value)) // 3, 5) if value >= 1000 else 0
    scaled = value / 1000**power
    return f"{scaled:.0f}" if power == 0 else f"{scaled:.{max(0, 2 - int(math.log10(scaled)))}f}{' KMGTP'[power]}"


def size_text(bytes_: float) -> str:
    """A number of bytes.

    >>> size_text(4616192)
    '4.4 MiB'
    """
    for unit in ("B", "KiB", "MiB", "GiB"):
        if bytes_ < 1024 or unit == "GiB":
            return f"{bytes_:.0f} {unit}" if unit == "B" else f"{bytes_:.1f} {unit}"
        bytes_ /= 1024
    raise AssertionError


def shape_text(shape: tuple[int, ...]) -> str:
    """A shape as channels x rows x columns."""
    return " x ".join(map(str, shape)) if shape else "1"


def field_texts(field: ReceptiveField | None) -> tuple[str, str, str]:
    """Size, stride and offset of a receptive field; the steps of units that have no stride; "?" for an unknown one."""
    if field is None:
        return "?", "?", "?"
    pairs = zip(field.stride, field.steps, strict=True)
    moves = [_steps(steps) if stride is None else stride for stride, steps in pairs]
    return _each(field.size), _each(moves), _each(field.offset)


def _steps(steps: tuple[int, ...] | None) -> str | None:
    """The uneven steps of units: each step of a short period, the range of a long one.

    >>> _steps((4, 0)), _steps((2, 3, 2, 2, 3))
    ('4, then 0', '2 to 3 (period 5)')
    """
    if steps is None:
        return None
    if len(steps) == 1:
        return f"{steps[0]}, sizes differ"
    if len(steps) <= 4:
        return ", then ".join(map(str, steps))
    return f"{min(steps)} to {max(steps)} (period {len(steps)})"


def _each(values: Sequence[object]) -> str:
    """One number where it is that of every axis, else one per axis."""
    texts = ["-" if value is None else _short(value) for value in values]
    return texts[0] if len(set(texts)) == 1 else " x ".join(texts)


def _short(value: object) -> str:
    return str(value) if isinstance(value, int | str) else f"{float(value):.4g}"  # type: ignore[arg-type]


def natural_width(content: Table) -> int:
    """The width of a table where nothing is cut."""
    console = Console(width=WIDEST)
    return console.measure(content).maximum


def counted(number: int, noun: str) -> str:
    """A number with its noun."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def skipped_lines(skipped: Sequence[tuple[str, str]]) -> list[str]:
    """The images that could not be read, at most ten of them."""
    if not skipped:
        return []
    lines = [f"{counted(len(skipped), 'image')} could not be read:"]
    lines += [f"  {reason}" for _, reason in skipped[:_SKIPPED]]
    return lines + ([f"  and {len(skipped) - _SKIPPED} more"] if len(skipped) > _SKIPPED else [])


_SKIPPED = 10
