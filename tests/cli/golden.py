"""Texts that must not change unnoticed.

`REWRITE_GOLDENS=1 pytest tests/cli` writes them anew; look at the difference before you keep it.
"""

from __future__ import annotations

import os
from pathlib import Path

FOLDER = Path(__file__).parent / "golden"


def check(name: str, text: str) -> None:
    """The text is that of the file, to the letter."""
    path = FOLDER / f"{name}.txt"
    if os.environ.get("REWRITE_GOLDENS"):
        path.write_text(text, encoding="utf-8")
    assert path.is_file(), f"{path} is missing: run with REWRITE_GOLDENS=1 and look at it"
    assert text == path.read_text(encoding="utf-8")
