"""Tables as HTML for a notebook: what a terminal shows as lines and columns, as elements that a page lays out.

A notebook brings its own fonts and colours, light or dark. So nothing here has a colour of its own, and every style
stands in the element: many notebooks drop style sheets.
"""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterator, Sequence

from PIL import Image
from rich.console import Group, RenderableType
from rich.table import Column, Table
from rich.text import Text

_RULE = "1px solid rgba(128,128,128,.35)"
_HEAD_RULE = "1px solid rgba(128,128,128,.8)"
_CELL = "padding:.3em 1.4em .3em 0;vertical-align:baseline;white-space:nowrap"
_LONG = 60
"""A text with more characters may be broken into lines."""


def as_html(content: RenderableType, pictures: Sequence[Image.Image] = ()) -> str:
    """The content of a table with its title and notes as HTML, behind the pictures that say it at one glance."""
    parts = [*map(_picture, pictures), *_blocks(content)]
    return f"<div style='line-height:1.4;font-variant-numeric:tabular-nums'>{''.join(parts)}</div>"


def _blocks(content: RenderableType) -> Iterator[str]:
    if isinstance(content, Group):
        for part in content.renderables:
            yield from _blocks(part)
    elif isinstance(content, Table):
        yield _table(content)
    elif isinstance(content, Text):
        is_title = "bold" in str(content.style)
        style = "font-weight:600;margin:.2em 0 .5em" if is_title else "opacity:.8;font-size:.92em"
        yield from (f"<div style='{style}'>{_escaped(line)}</div>" for line in content.plain.splitlines() if line)
    else:
        raise TypeError(f"a {type(content).__name__} is no part of a table")


def _table(table: Table) -> str:
    columns = table.columns
    names = [_plain(column.header) for column in columns]
    head = "".join(_heading(name, column) for name, column in zip(names, columns, strict=True))
    cells = zip(*(list(column.cells) for column in columns), strict=True)
    rows = "".join(f"<tr style='background:none'>{_row(row, names, columns)}</tr>" for row in cells)
    top = f"<thead><tr style='background:none'>{head}</tr></thead>" if any(names) else ""
    style = "border-collapse:collapse;border:none;margin:.2em 0 .7em;font-size:inherit;table-layout:auto"
    return f"<div style='overflow-x:auto'><table style='{style}'>{top}<tbody>{rows}</tbody></table></div>"


def _heading(name: str, column: Column) -> str:
    style = f"{_CELL};{_side(column)};border:none;border-bottom:{_HEAD_RULE};font-weight:600"
    return f"<th scope='col' style='{style}'>{_escaped(name)}</th>"


def _row(row: Sequence[RenderableType], names: Sequence[str], columns: Sequence[Column]) -> str:
    """The cells of a row; a first column without a heading says what its row is."""
    found: list[str] = []
    for at, (cell, column) in enumerate(zip(row, columns, strict=True)):
        text = _plain(cell)
        wrap = ";white-space:normal;min-width:24em" if len(text) > _LONG else ""
        style = f"{_CELL};{_side(column)};border:none;border-bottom:{_RULE}{wrap}"
        is_name = at == 0 and not names[0]
        tag, weight = ("th scope='row'", ";font-weight:600") if is_name else ("td", "")
        found.append(f"<{tag} style='{style}{weight}'>{_escaped(text)}</{tag.split()[0]}>")
    return "".join(found)


def _side(column: Column) -> str:
    return f"text-align:{'right' if column.justify == 'right' else 'left'}"


def _plain(cell: RenderableType) -> str:
    return cell.plain if isinstance(cell, Text) else str(cell)


def _escaped(text: str) -> str:
    return html.escape(text)


def _picture(page: Image.Image) -> str:
    buffer = io.BytesIO()
    page.save(buffer, format="PNG")
    source = base64.b64encode(buffer.getvalue()).decode()
    words = html.escape(str(page.info.get("Title", "")))
    style = "max-width:100%;height:auto;background:#fff;display:block;margin:.2em 0 .7em"
    return f"<img alt='{words}' src='data:image/png;base64,{source}' style='{style}'>"
