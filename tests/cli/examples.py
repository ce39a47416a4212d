"""The examples that end a command's help are shown, can be read, and come as far as the reader's own files."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib import import_module

from cli.console import featmap
from featmap.cli.app import COMMANDS

READERS_OWN = (
    "There is no image 'cat.jpg'.\n\nGive a file of JPEG, PNG, WebP, GIF, TIFF, BMP, PNM, JPEG 2000 or AVIF.\n",
    "There is no image 'photos'.\n\nGive a file of JPEG, PNG, WebP, GIF, TIFF, BMP, PNM, JPEG 2000 or AVIF.\n",
    "There is no Python module 'mypackage.models'.",
    "There is no image 'photos'.\n\nGive a picture, a folder, a list (.csv, .tsv, .txt), a tar file or a glob.\n",
    "There is no index 'photos.fmi'.\n\nBuild one: featmap index build MODEL IMAGES -o photos.fmi.\n",
    "There is no index 'epoch1.fmi'.\n\nBuild one: featmap index build MODEL IMAGES -o epoch1.fmi.\n",
    "The engine 'ray' needs Ray",
)


def check_help(name: str) -> None:
    """Help shows every example, and every example works or fails only for a file that is the reader's."""
    check_examples(name, import_module(COMMANDS[name]).EXAMPLES)


def check_examples(command: str, examples: Iterable[tuple[str, str]]) -> None:
    """The same for a command below another."""
    listed = list(examples)
    check_shown(command, listed)
    for _, line in listed:
        ended = featmap(line.removeprefix("featmap "))
        assert ended.code == 0 or ended.err.startswith(READERS_OWN), ended.err


def check_shown(command: str, examples: Iterable[tuple[str, str]]) -> None:
    """Help shows every example."""
    shown = featmap(f"{command} --help")
    assert (shown.code, shown.err) == (0, "")
    words = re.sub(r"\s+", " ", shown.out)
    for purpose, line in examples:
        assert purpose in words
        assert line in words
