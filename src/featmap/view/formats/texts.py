"""Formats that are text."""

from __future__ import annotations

from typing import Any

from featmap.plain_data import json_text
from featmap.view.formats.format import Content, Format


class Json(Format):
    """One document; numbers that are not finite are null."""

    suffix = ".json"
    contents = (Content.DATA,)

    def encode(self, content: dict[str, Any]) -> bytes:
        return f"{json_text(content)}\n".encode()


class Csv(Format):
    """The rows of a table below a line of headings."""

    suffix = ".csv"
    contents = (Content.ROWS,)

    def encode(self, content: list[dict[str, Any]]) -> bytes:
        from featmap.result_table import csv_text

        return csv_text(content).encode()


class PlainText(Format):
    """What a terminal shows."""

    suffix = ".txt"
    contents = (Content.TEXT,)

    def encode(self, content: str) -> bytes:
        return f"{content}\n".encode()


class Html(Format):
    """A report, in one file."""

    suffix = ".html"
    contents = (Content.REPORT,)

    def encode(self, content: str) -> bytes:
        return content.encode()
