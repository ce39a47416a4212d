"""The same command lines as a terminal of a given width would show them."""

from __future__ import annotations

import re
import shlex

from cli.console import Ended, runner
from featmap.cli.app import app


def on_terminal(line: str, columns: int) -> Ended:
    """Runs `featmap LINE` on a terminal; its text without the styles."""
    environment = {"COLUMNS": str(columns), "FORCE_COLOR": "1", "NO_COLOR": "1", "TERM": "xterm", "FEATMAP_DEBUG": ""}
    result = runner().invoke(app, shlex.split(line), prog_name="featmap", env=environment)
    return Ended(result.exit_code, without_styles(result.stdout), without_styles(result.stderr))


def without_styles(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)
