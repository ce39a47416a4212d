"""`featmap index verify`: whether an index is as it was written."""

from __future__ import annotations

from typing import Annotated

import typer
from typer import Option

from featmap.cli.options.answer import give
from featmap.cli.options.common import Json
from featmap.cli.options.model import ModelOptions, notes
from featmap.cli.options.of_index import IndexPath

EXAMPLES = (
    ("Whether it is sound:", "featmap index verify photos.fmi"),
    (
        "The images' files and the network too:",
        "featmap index verify photos.fmi --files --model torchvision:resnet50",
    ),
)


def command(
    index: IndexPath,
    files: Annotated[
        bool, Option("--files", help="Read every image again: it has the bytes that were measured.")
    ] = False,
    model: Annotated[
        str | None, Option(metavar="MODEL", help="Its network: it measures some images again, and finds the same.")
    ] = None,
    *,
    options: ModelOptions,
    as_json: Json = False,
) -> None:
    """Check that everything in an index is as it was written; the exit code is 1 where something is not."""
    import featmap

    network = None if model is None else options.load(model)
    with notes():
        found = featmap.Index(index).verify(files=files, net=network)
    give(found, None, as_json=as_json)
    if not found.is_sound:
        raise typer.Exit(1)
