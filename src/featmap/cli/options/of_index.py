"""Options of the commands on an index: its path, the options of a question, and how an answer is given."""

from __future__ import annotations

from typing import Annotated, Any

from typer import Argument, Option

from featmap.cli.options.common import answers, print_json, print_message

IndexPath = Annotated[
    str, Argument(metavar="INDEX", help="What `featmap index build` made: a folder, or an object store's URL.")
]
MapAddress = Annotated[str, Argument(metavar="MAP", help="One map of an indexed layer: features.21:a/117.")]
Output = Annotated[str | None, Option("--output", "-o", metavar="FILE", help="A picture (.png), or .csv, .json, .txt.")]
TableOutput = Annotated[str | None, Option("--output", "-o", metavar="FILE", help="A table: .csv, .json or .txt.")]
Label = Annotated[
    list[str] | None, Option("--label", metavar="LABEL", help="Only images with this label; give it again for more.")
]
Subset = Annotated[
    str | None, Option("--subset", metavar="PATTERN", help="Only images whose name is like this: 'cats/*'.")
]
K = Annotated[int, Option("-k", metavar="N", help="How many images.")]


def give(result: Any, output: str | None, *, as_json: bool, **options: Any) -> None:
    """Writes, then prints an answer."""
    from featmap.view.results.network import print_to

    if output is not None:
        for path in result.save(output, **options):
            print_message(f"wrote {path}")
    if as_json:
        print_json(result.to_json())
    else:
        print_to(answers(), result)


def check_file(output: str | None, *, has_picture: bool = True) -> None:
    """Raises OutputError where an answer cannot be written to that path; checked before the work."""
    from featmap.view.results.index import PICTURED, TABLES, check_index_output

    if output is not None:
        check_index_output(output, PICTURED if has_picture else TABLES, "this answer is")
