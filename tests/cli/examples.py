"""The examples that end a command's help are shown, can be read, and come as far as the reader's own files."""

from __future__ import annotations

import re
from importlib import import_module

from cli.console import featmap
from featmap.cli.app import COMMANDS

READERS_OWN = (
    "There is no image 'cat.jpg'.\n\nGive the path of a picture that Pillow can read.\n",
    "There is no image 'photos'.\n\nGive the path of a picture that Pillow can read.\n",
    "There is no Python module 'mypackage.models'.",
)


def check_help(name: str) -> None:
    """Help shows every example, and every example works or fails only for a file that is the reader's."""
    shown = featmap(f"{name} --help")
    assert (shown.code, shown.err) == (0, "")
    words = re.sub(r"\s+", " ", shown.out)
    for purpose, line in import_module(COMMANDS[name]).EXAMPLES:
        assert purpose in words
        assert line in words
        ended = featmap(line.removeprefix("featmap "))
        assert ended.code == 0 or ended.err.startswith(READERS_OWN), ended.err
