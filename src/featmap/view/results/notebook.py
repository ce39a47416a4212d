"""What a notebook shows of a type of result: a table, with a picture where that says more; or the picture alone.

A type whose table is not registered here shows its picture.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rich.console import RenderableType

from featmap.result import Result, html_of, pictures_of
from featmap.view.tables.html import as_html


def shows_table(
    kind: type[Result],
    table: Callable[[Any], RenderableType],
    *,
    has_picture: Callable[[Any], bool] = lambda _: False,
) -> None:
    """Registers the table of a type; `has_picture` says of which results the first page stands above it."""

    def shown(result: Result) -> str:
        return as_html(table(result), pictures_of(result)[:1] if has_picture(result) else ())

    html_of.register(kind, shown)
