"""The helper that compares texts fails where it should."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli import golden


def test_a_changed_or_missing_text_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(golden, "FOLDER", tmp_path)
    monkeypatch.delenv("REWRITE_GOLDENS", raising=False)
    with pytest.raises(AssertionError, match="is missing"):
        golden.check("text", "one")
    monkeypatch.setenv("REWRITE_GOLDENS", "1")
    golden.check("text", "one")
    monkeypatch.delenv("REWRITE_GOLDENS")
    golden.check("text", "one")
    with pytest.raises(AssertionError):
        golden.check("text", "two")
