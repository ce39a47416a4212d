"""`featmap index audit`, in short `featmap audit`: the maps that are dead, saturated or redundant on a dataset."""

from __future__ import annotations

from typing import Annotated

import typer
from typer import Option

from featmap.cli.options.answer import check_file, give
from featmap.cli.options.common import Json, print_message
from featmap.cli.options.of_index import IndexPath, TableOutput
from featmap.cli.options.several import several, split

EXAMPLES = (
    ("Every layer:", "featmap audit photos.fmi"),
    ("In a check of your own, ends with exit code 1:", 'featmap audit photos.fmi --fail-on "dead>5%"'),
    (
        "Several bounds, and the counts of every layer as a table:",
        'featmap audit photos.fmi --fail-on "nearly_dead>20" --fail-on "sparsity>95%" -o audit.csv',
    ),
)


def command(
    index: IndexPath,
    fail_on: Annotated[
        list[str] | None,
        several("--fail-on", metavar="BOUND", words="End with exit code 1 where a total is so: 'dead>5%'."),
    ] = None,
    nearly_dead: Annotated[
        float, Option(metavar="SHARE", help="Nearly dead: above 0 on less than this share of images.")
    ] = 0.01,
    saturated: Annotated[
        float, Option(metavar="SHARE", help="Saturated: at a bound at this share of positions or more.")
    ] = 0.99,
    redundant: Annotated[
        float, Option(metavar="R", help="Redundant: a correlation of this or more, of either sign.")
    ] = 0.95,
    output: TableOutput = None,
    as_json: Json = False,
) -> None:
    """Dead, nearly dead, constant, saturated and redundant maps, and sparsity, by layer and in total.

    Only maps behind a nonlinearity that is 0 on a half line, such as ReLU, can be
    dead; others that are never above 0 count as never positive, which is not a fault.

    --fail-on takes dead, nearly_dead, constant, saturated, sparsity,
    redundant_pairs or beyond_input (layers that see more than the input), one of
    > >= < <=, and a number, or a share of all maps in %.
    """
    import featmap
    from featmap.index.questions.audit import Audit, FailOn

    bounds = [FailOn.parse(text) for text in split(fail_on) or ()]
    check_file(output, Audit)
    result = featmap.Index.open(index).audit(nearly_dead, saturated, redundant)
    give(result, output, as_json=as_json)
    broken = [words for bound in bounds if (words := bound.broken_by(result))]
    for words in broken:
        print_message(f"failed: {words}")
    if broken:
        raise typer.Exit(1)
