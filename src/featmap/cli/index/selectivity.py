"""`featmap index selectivity`: which label each map responds to."""

from __future__ import annotations

from typing import Annotated

from typer import Argument, Option

from featmap.cli.options.answer import check_file, give
from featmap.cli.options.common import Json
from featmap.cli.options.of_index import IndexPath, TableOutput

EXAMPLES = (
    ("Which label each map of a layer prefers:", "featmap index selectivity photos.fmi features.21"),
    ("One map, by its maxima:", "featmap index selectivity photos.fmi features.21:a/117 --by maximum"),
)


def command(
    index: IndexPath,
    address: Annotated[str, Argument(metavar="ADDRESS", help="A layer, or one map.")],
    by: Annotated[str, Option(help="By each image's mean, or its maximum.")] = "mean",
    output: TableOutput = None,
    as_json: Json = False,
) -> None:
    """Which label each map of a layer responds to, and how much more than to the others.

    The selectivity is (best - rest) / (best + rest): best is the mean over the
    images of the label with the highest mean, rest that over all others. It is 1
    for a map that responds to one label alone, 0 for one that responds to all equally.
    """
    import featmap
    from featmap.index.questions.selectivity import Selectivity

    check_file(output, Selectivity)
    give(featmap.Index.open(index).selectivity(address, by), output, as_json=as_json)  # type: ignore[arg-type]
