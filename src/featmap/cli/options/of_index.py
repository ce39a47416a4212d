"""Options of the commands on an index: its path, and the options of a question."""

from __future__ import annotations

from typing import Annotated

from typer import Argument, Option

from featmap.cli.options.answer import file_option
from featmap.cli.options.several import several
from featmap.view.formats.format import Content

IndexPath = Annotated[
    str, Argument(metavar="INDEX", help="What `featmap index build` made: a folder, or an object store's URL.")
]
MapAddress = Annotated[str, Argument(metavar="MAP", help="One map of an indexed layer: features.21:a/117.")]
PictureOutput = Annotated[str | None, file_option(Content.PICTURE, Content.DATA, Content.ROWS, Content.TEXT)]
TableOutput = Annotated[str | None, file_option(Content.DATA, Content.ROWS, Content.TEXT, words="A table: ")]
Label = Annotated[
    list[str] | None, several("--label", metavar="LABEL", words="Only images with this label.", commas=False)
]
Subset = Annotated[
    str | None, Option("--subset", metavar="PATTERN", help="Only images whose name is like this: 'cats/*'.")
]
K = Annotated[int, Option("-k", metavar="N", help="How many images.")]
