"""Weights and record are kept whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from featmap.demo.kept import RECORD_NAME, WEIGHTS_NAME, Record, keep, read_kept
from featmap.errors import OutputError

RECORD = Record(
    classes=("cat", "dog"),
    mean=(0.5, 0.5, 0.5),
    std=(0.2, 0.2, 0.2),
    seed=0,
    accuracy=0.75,
    chance=0.5,
    test_crops=8,
    training_s=1.5,
    settings_digest="abc",
)
WEIGHTS = {"a.weight": torch.arange(6.0).view(2, 3), "a.bias": torch.zeros(2)}
OTHER_WEIGHTS = {"a.weight": torch.ones(2, 3), "a.bias": torch.ones(2)}


def test_kept_is_read_again(tmp_path: Path) -> None:
    keep(WEIGHTS, RECORD, tmp_path / "made" / "here")
    found = read_kept(tmp_path / "made" / "here", "abc")
    assert found is not None
    weights, record = found
    assert record == RECORD
    assert all(torch.equal(weights[name], WEIGHTS[name]) for name in WEIGHTS)
    assert sorted(path.name for path in (tmp_path / "made" / "here").iterdir()) == [RECORD_NAME, WEIGHTS_NAME]


def test_weights_of_any_memory_format_are_kept(tmp_path: Path) -> None:
    weight = torch.rand(4, 3, 3, 3).contiguous(memory_format=torch.channels_last)
    keep({"weight": weight}, RECORD, tmp_path)
    assert torch.equal(load_file(tmp_path / WEIGHTS_NAME)["weight"], weight)


def test_nothing_kept(tmp_path: Path) -> None:
    assert read_kept(tmp_path, "abc") is None


def test_other_settings_are_not_read(tmp_path: Path) -> None:
    keep(WEIGHTS, RECORD, tmp_path)
    assert read_kept(tmp_path, "abd") is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"weights_digest": 1}', b"\xff"])
def test_damaged_record_is_not_read(content: bytes, tmp_path: Path) -> None:
    keep(WEIGHTS, RECORD, tmp_path)
    (tmp_path / RECORD_NAME).write_bytes(content)
    assert read_kept(tmp_path, "abc") is None


def test_damaged_weights_are_not_read(tmp_path: Path) -> None:
    keep(WEIGHTS, RECORD, tmp_path)
    content = bytearray((tmp_path / WEIGHTS_NAME).read_bytes())
    content[-1] ^= 1
    (tmp_path / WEIGHTS_NAME).write_bytes(content)
    assert read_kept(tmp_path, "abc") is None


def interrupt_second_call(owner: object, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = getattr(owner, name)
    calls: list[None] = []

    def interrupted(*arguments: object) -> object:
        calls.append(None)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(owner, name, interrupted)


def test_interrupt_while_writing_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupt_second_call(Path, "write_bytes", monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        keep(WEIGHTS, RECORD, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_interrupt_between_the_files_reads_as_nothing_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(WEIGHTS, RECORD, tmp_path)
    interrupt_second_call(os, "replace", monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        keep(OTHER_WEIGHTS, RECORD, tmp_path)
    assert torch.equal(load_file(tmp_path / WEIGHTS_NAME)["a.bias"], OTHER_WEIGHTS["a.bias"])
    assert read_kept(tmp_path, "abc") is None


def test_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError) as caught:
        keep(WEIGHTS, RECORD, tmp_path / "file")
    assert (
        str(caught.value) == f"The folder '{tmp_path / 'file'}' cannot be made: File exists.\n\nChoose another folder."
    )
