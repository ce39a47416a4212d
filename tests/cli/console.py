"""One command line, run in this process: its exit code, standard output and standard error."""

from __future__ import annotations

import inspect
import shlex
from dataclasses import dataclass

from typer.testing import CliRunner

from featmap.cli.app import app


@dataclass(frozen=True)
class Ended:
    """What a command leaves behind."""

    code: int
    out: str
    err: str


def runner() -> CliRunner:
    """What runs commands, with both streams apart."""
    # Before 8.2, click mixed them unless told not to; since then it knows no such word.
    apart = {"mix_stderr": False} if "mix_stderr" in inspect.signature(CliRunner).parameters else {}
    return CliRunner(**apart)


def featmap(line: str, standard_input: bytes | None = None) -> Ended:
    """Runs `featmap LINE`, 80 columns wide and without colours."""
    environment = {"COLUMNS": "80", "TERMINAL_WIDTH": "80", "NO_COLOR": "1", "FEATMAP_DEBUG": ""}
    result = runner().invoke(app, shlex.split(line), standard_input, prog_name="featmap", env=environment)
    return Ended(result.exit_code, result.stdout, result.stderr)
