"""An error of writing names the file that was asked for, never the one that is written beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from featmap.errors import OutputError
from featmap.view.output import write_files


def test_a_file_that_cannot_be_written_is_named_as_it_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, data: bytes) -> int:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "write_bytes", refuse)
    with pytest.raises(OutputError) as raised:
        write_files({tmp_path / "maps.png": b"x"})
    assert str(raised.value).startswith(f"'{tmp_path / 'maps.png'}' cannot be written: Permission denied.")
    assert ".part" not in str(raised.value)


def test_a_name_that_is_too_long_is_named_as_it_was_given(tmp_path: Path) -> None:
    path = tmp_path / f"{'a' * 300}.png"
    with pytest.raises(OutputError) as raised:
        write_files({path: b"x"})
    assert str(raised.value).startswith(f"'{path}' cannot be written")
