"""Blocks of a report: headings, text, lists, tables and code; each knows its own HTML.

Everything that comes from outside is escaped here. Figures have a file of their own.
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from featmap.errors import SettingError
from featmap.view.drawing.text import plural

LONG_CELL = 32
Cell = str | int | float | None


class ReportBlock(Protocol):
    """A piece of a report."""

    def html(self) -> str:
        """The piece as HTML, with everything from outside escaped."""
        ...


def escaped(text: str) -> str:
    """Text for HTML, where `code` in backticks is set as code.

    >>> escaped("`conv1:a` < 3")
    '<code>conv1:a</code> &lt; 3'
    """
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text))


@dataclass(frozen=True)
class Heading:
    """A heading of level 2 or 3 with the name that the table of contents links to."""

    text: str
    level: int
    name: str

    def html(self) -> str:
        """The heading."""
        return f'<h{self.level} id="{html.escape(self.name)}">{escaped(self.text)}</h{self.level}>'


@dataclass(frozen=True)
class Paragraphs:
    """Text; empty lines separate its paragraphs."""

    text: str

    def html(self) -> str:
        """The paragraphs."""
        pieces = [piece.strip() for piece in re.split(r"\n\s*\n", self.text) if piece.strip()]
        return "\n".join(f"<p>{escaped(piece)}</p>" for piece in pieces)


@dataclass(frozen=True)
class Items:
    """A list of short sentences."""

    entries: tuple[str, ...]

    def html(self) -> str:
        """The list."""
        return "<ul>" + "".join(f"<li>{escaped(entry)}</li>" for entry in self.entries) + "</ul>"


@dataclass(frozen=True)
class Code:
    """Code or a terminal; in a terminal (`language` "console") lines that begin with "$ " were typed."""

    text: str
    language: str

    def html(self) -> str:
        """The code, in a container of its own that scrolls."""
        lines = [self._line(line) for line in self.text.strip("\n").split("\n")]
        name = html.escape(self.language or "code")
        return scrolling("code", name, f'<pre><code class="{name}">{chr(10).join(lines)}</code></pre>')

    def _line(self, line: str) -> str:
        if self.language == "console" and line.startswith("$ "):
            return f'<span class="prompt">$ </span><span class="typed">{html.escape(line[2:])}</span>'
        return html.escape(line)


@dataclass(frozen=True)
class ReportTable:
    """Headings and rows; numbers are aligned right where a heading has nothing else below it."""

    headings: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    caption: str

    def html(self) -> str:
        """The table, in a container of its own that scrolls."""
        numeric = [
            all(isinstance(row[index], int | float | None) for row in self.rows) for index in range(len(self.headings))
        ]
        head = "".join(_cell("th", heading, number) for heading, number in zip(self.headings, numeric, strict=True))
        rows = [
            "".join(_cell("td", _text(cell), right) for cell, right in zip(row, numeric, strict=True))
            for row in self.rows
        ]
        body = "\n".join(f"<tr>{row}</tr>" for row in rows)
        table = f"<table><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table>"
        above = f'<p class="caption">{escaped(self.caption)}</p>' if self.caption else ""
        return above + scrolling("table", self.caption or "table", table)


def _cell(tag: str, text: str, number: bool) -> str:
    kind = " class=number" if number else " class=long" if len(text) > LONG_CELL else ""
    return f"<{tag}{kind}>{escaped(text)}</{tag}>"


def _text(cell: Cell) -> str:
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, int):
        return f"{cell:,}"
    return f"{cell:.4g}" if isinstance(cell, float) else cell


def scrolling(kind: str, name: str, content: str) -> str:
    """A container that scrolls sideways on its own, also with the keyboard."""
    return f'<div class="scroll {kind}" role="region" tabindex="0" aria-label="{html.escape(name)}">{content}</div>'


def checked_rows(headings: Sequence[str], rows: Sequence[Sequence[Cell]]) -> tuple[tuple[Cell, ...], ...]:
    """The rows of a table, each with one cell per heading.

    Raises: SettingError: a row has more or fewer cells.
    """
    for number, row in enumerate(rows):
        if len(row) != len(headings):
            raise SettingError(
                f"Row {number} of the table has {plural(len(row), 'cell')}, the table has {len(headings)} headings.",
                "Pass one cell per heading; None leaves a cell empty.",
            )
    return tuple(tuple(row) for row in rows)
