"""Options that say where an answer goes, and its writing and printing."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from typer import Option

from featmap.cli.options.common import answers, print_json, print_message
from featmap.errors import OutputError
from featmap.view.formats.format import Content
from featmap.view.formats.table import alternatives, suffixes


def file_option(*contents: Content, words: str = "") -> Any:
    """`-o FILE` for an answer that has these contents; its help lists the formats that can hold one of them."""
    names = [f"x{suffix}" for suffix in suffixes(contents)]
    return Option("--output", "-o", metavar="FILE", help=f"{words}{alternatives(names)}.")


def check_file(output: str | None, kind: type[Any], images: Sequence[str] = (), **more: Any) -> None:
    """Raises OutputError where an answer of that type cannot be written to a path; checked before the work.

    That includes the input pictures, which would be overwritten.
    """
    # There every type of answer is registered with what it can be written as.
    import_module("featmap.api")
    from featmap.view.saving import check_output

    if output is not None:
        check_output(output, kind, **more)
        check_overwrites_none(output, images)


def check_overwrites_none(output: str, images: Sequence[str]) -> None:
    """Raises OutputError where the file to be written is one of the input pictures, or lies among them in a folder."""
    written = Path(output).resolve()
    for image in map(Path, images):
        if written == image.resolve():
            raise OutputError(f"'{output}' is the picture itself; it would be overwritten.", "Choose another file.")
        if written.is_file() and image.is_dir() and written.is_relative_to(image.resolve()):
            problem = f"'{output}' is a file in the folder '{image}' of pictures; it would be overwritten."
            raise OutputError(problem, "Choose another file.")


def give(result: Any, output: str | None, *, as_json: bool, lines: Sequence[str] = (), **options: Any) -> None:
    """Writes an answer with the options of its pictures, then prints it; as text with some lines below it."""
    from featmap.view.results.network import print_to

    if output is not None:
        for path in result.save(output, **options):
            print_message(f"wrote {path}")
    if as_json:
        print_json(result.to_dict())
        return
    print_to(answers(), result)
    for line in lines:
        print(line)
