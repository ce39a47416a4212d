"""`featmap index compare`: how the maps changed in another index."""

from __future__ import annotations

from typing import Annotated

from typer import Argument, Option

from featmap.cli.options.answer import check_file, give
from featmap.cli.options.common import Json
from featmap.cli.options.of_index import IndexPath, TableOutput

EXAMPLES = (
    ("Which maps died in later training:", "featmap index compare epoch1.fmi epoch9.fmi"),
    ("All maps, as a table:", "featmap index compare epoch1.fmi epoch9.fmi -o changes.csv"),
)


def command(
    index: IndexPath,
    other: Annotated[str, Argument(metavar="OTHER", help="Another index of the same images.")],
    changed_below: Annotated[
        float, Option(metavar="R", help="Changed: its maxima in both correlate less than this.")
    ] = 0.9,
    output: TableOutput = None,
    as_json: Json = False,
) -> None:
    """How the maps changed in another index of the same images, of a later checkpoint for instance."""
    import featmap
    from featmap.index.questions.compare import Comparison

    check_file(output, Comparison)
    give(featmap.Index.open(index).compare(other, changed_below), output, as_json=as_json)
