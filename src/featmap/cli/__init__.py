"""The `featmap` command: one file per question. `main` is the console script."""

from featmap.cli.app import main

__all__ = ["main"]
