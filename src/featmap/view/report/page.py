"""Reports: one HTML file to read and to send, without server, script or network.

A report grows by methods that each return a longer report, and is written at the end, whole or not at all.
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image

from featmap.errors import SettingError
from featmap.view.formats.format import Content
from featmap.view.formats.table import format_for
from featmap.view.output import write_files
from featmap.view.report.blocks import (
    Cell,
    Code,
    Heading,
    Items,
    Paragraphs,
    ReportBlock,
    ReportTable,
    checked_rows,
    escaped,
)
from featmap.view.report.figure import Figure
from featmap.view.report.style import STYLE

# Nothing may be loaded from anywhere, whatever ends up in a text: the browser holds this line, not only our escaping.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


@dataclass(frozen=True)
class Report:
    """A page in the making; every text is escaped, `code` in backticks is set as code.

    >>> report = Report("VGG16 on a photograph").section("Plan").table(["layer", "maps"], [["`features.0`", 64]])
    >>> "<td><code>features.0</code></td><td class=number>64</td>" in report.html()
    True
    """

    title: str
    lead: str = ""
    blocks: tuple[ReportBlock, ...] = ()

    def _with(self, block: ReportBlock) -> Report:
        return replace(self, blocks=(*self.blocks, block))

    @property
    def headings(self) -> list[Heading]:
        """The headings so far, in order."""
        return [block for block in self.blocks if isinstance(block, Heading)]

    def section(self, heading: str) -> Report:
        """The report with a heading that stands in the table of contents."""
        return self._with(Heading(heading, 2, self._name(heading)))

    def subsection(self, heading: str) -> Report:
        """The report with a smaller heading, also in the table of contents."""
        return self._with(Heading(heading, 3, self._name(heading)))

    def _name(self, heading: str) -> str:
        """A name for links, unique in this report."""
        name = re.sub(r"[^a-z0-9]+", "-", heading.lower()).strip("-") or "section"
        taken = {other.name for other in self.headings}
        count = len(self.headings) + 1
        return name if name not in taken else f"{name}-{count}"

    def text(self, text: str) -> Report:
        """The report with paragraphs, which empty lines part."""
        return self._with(Paragraphs(text))

    def items(self, entries: Sequence[str]) -> Report:
        """The report with a list."""
        return self._with(Items(tuple(entries)))

    def table(self, headings: Sequence[str], rows: Sequence[Sequence[Cell]], caption: str = "") -> Report:
        """The report with a table; numbers are aligned right where a heading has nothing else below it.

        Raises: SettingError: a row has more or fewer cells than there are headings.
        """
        return self._with(ReportTable(tuple(headings), checked_rows(headings, rows), caption))

    def figure(
        self, image: Image.Image | Path | Sequence[Image.Image | Path], caption: str = "", alt: str = ""
    ) -> Report:
        """The report with a picture, or with pages of which the first is shown and the others unfold.

        `alt` says in words what is seen; without it the picture's own description is taken, then the caption.
        """
        images = (image,) if isinstance(image, Image.Image | Path) else tuple(image)
        if not images:
            raise SettingError("A figure came without a picture.", "Pass a picture, a path, or a list of them.")
        return self._with(Figure(images, caption, alt))

    def code(self, text: str, language: str = "") -> Report:
        """The report with a block of code; in the language "console", lines that begin with "$ " were typed."""
        return self._with(Code(text, language))

    def html(self) -> str:
        """The whole page."""
        body = "\n".join(block.html() for block in self.blocks)
        lead = f"<p>{escaped(self.lead)}</p>" if self.lead else ""
        return (
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f"<title>{html.escape(self.title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
            f"<header><h1>{escaped(self.title)}</h1>{lead}</header>\n"
            f'<div class="columns">\n{self._contents()}<main>\n{body}\n</main>\n</div>\n'
            "<footer>Made by featmap. This page is one file and loads nothing.</footer>\n</body>\n</html>\n"
        )

    def _contents(self) -> str:
        if not self.headings:
            return ""
        entries = "\n".join(
            f'<li{" class=sub" if heading.level > 2 else ""}><a href="#{html.escape(heading.name)}">'
            f"{escaped(heading.text)}</a></li>"
            for heading in self.headings
        )
        return f'<nav aria-label="Contents"><p>Contents</p><ol>\n{entries}\n</ol></nav>\n'

    def save(self, path: str | Path) -> Path:
        """Writes the page and returns its path.

        Raises: OutputError: another suffix than .html, a folder that does not exist, a file that cannot be written.
        """
        target = Path(path)
        form = format_for(target, (Content.REPORT,), "reports are")
        return write_files({target: form.encode(self.html())})[0]
