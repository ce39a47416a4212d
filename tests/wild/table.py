"""The table of foreign networks in docs/networks.md, behind the zoos' own."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from wild.compare import TOLERANCE, Row

HEADING = "## Networks of other packages"
COLUMNS = (
    "| package | network | layers | convolutions without maps | outputs | shapes | boxes | what differs, or why none |"
)
RULES = "|---|---|---:|---:|---:|---:|---:|---|"

TEXT = """{heading}

Written by `make wild`, which installs these packages and compares each network with its own module: what every module
gives with the maps of its address (equal to {tolerance:g} of the largest value), the planned shapes, and the boxes of
some units (every pixel outside is replaced; the unit keeps its value). No number in it is typed by hand.

- Versions: {versions}.
- {captured} of {tried} networks that run by themselves are captured; {outputs:,} outputs, {shapes:,} shapes and
  {boxes:,} boxes were compared; {different} networks differ in something.
- {without:,} of {convolutions:,} convolution calls have no maps of rows and columns ({share:.1%}).

{columns}
{rules}
{rows}
"""


def write(page: Path, rows: Sequence[Row]) -> None:
    """Puts the table behind what the page says of the zoos, in the place of an older one."""
    before = page.read_text(encoding="utf-8").partition(HEADING)[0]
    page.write_text(f"{before.rstrip()}\n\n{text(rows)}", encoding="utf-8")


def text(rows: Sequence[Row]) -> str:
    """The section with its totals."""
    tried = [row for row in rows if not row.failed]
    convolutions, without = (sum(getattr(row, name) for row in rows) for name in ("convolutions", "without_maps"))
    return TEXT.format(
        heading=HEADING,
        tolerance=TOLERANCE,
        versions=_versions([row.package for row in rows]),
        captured=sum(not row.refused for row in tried),
        tried=len(tried),
        outputs=sum(row.outputs for row in rows),
        shapes=sum(row.shapes for row in rows),
        boxes=sum(row.boxes for row in rows),
        different=sum(bool(row.differences) for row in rows),
        without=without,
        convolutions=convolutions,
        share=without / max(convolutions, 1),
        columns=COLUMNS,
        rules=RULES,
        rows="\n".join(map(_line, rows)),
    )


def _line(row: Row) -> str:
    reason = row.failed or (f"refused: {row.refused}" if row.refused else "; ".join(_first(row.differences)))
    cells = [row.package, row.name, row.layers, row.without_maps, row.outputs, row.shapes, row.boxes, reason]
    return f"| {' | '.join(map(str, cells))} |"


def _first(differences: Sequence[str], most: int = 3) -> list[str]:
    more = [f"and {len(differences) - most} more"] if len(differences) > most else []
    return [*differences[:most], *more]


def _versions(packages: Sequence[str]) -> str:
    found: list[str] = []
    for package in dict.fromkeys(["torch", *packages]):
        try:
            found.append(f"{package} {version(package.replace('_', '-')).partition('+')[0]}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)
