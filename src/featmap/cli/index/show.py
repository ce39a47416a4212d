"""`featmap index show`: the content of an index."""

from __future__ import annotations

from typing import Annotated

import typer
from typer import Option

from featmap.cli.options.answer import give
from featmap.cli.options.common import Json, print_json
from featmap.cli.options.of_index import IndexPath

EXAMPLES = (
    ("What it holds:", "featmap index show photos.fmi"),
    ("As one JSON document:", "featmap index show photos.fmi --json"),
    ("The names of all its images:", "featmap index show photos.fmi --names"),
)


def command(
    index: IndexPath,
    names: Annotated[bool, Option("--names", help="Instead: the name of every image, one a line.")] = False,
    as_json: Json = False,
) -> None:
    """The content of an index: network, layers, images, labels, and the images that could not be read."""
    import featmap

    if names:
        listed = featmap.Index.open(index).names()
        if as_json:
            print_json({"names": listed})
        else:
            typer.echo("\n".join(listed))
        return
    give(featmap.Index.open(index).summary(), None, as_json=as_json)
