"""The safety check of archives before torch sees them: the same files are refused with every version of torch."""

from __future__ import annotations

import io
import json
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.export import Dim, export, save

from featmap.errors import ModelError, UnsafeFile
from featmap.sources import archive_check
from featmap.sources.archive_check import check_archive
from support.tiny_modules import conv, written


class Executing:
    def __reduce__(self) -> Any:
        return os.mkdir, ("made",)


def saved(content: Any, **settings: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, **settings)
    return buffer.getvalue()


def written_archive(folder: Path, members: dict[str, bytes]) -> Path:
    path = folder / "model.pt2"
    with zipfile.ZipFile(path, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


def graph(*targets: str, **more: Any) -> bytes:
    return json.dumps({"graph_module": {"graph": {"nodes": [{"target": name} for name in targets]}}, **more}).encode()


PLAIN = {"m/models/model.json": graph("torch.ops.aten.relu.default", "_operator.add"), "m/archive_version": b"0"}
OLD = {"serialized_exported_program.json": graph(), "version": b"8.2"}
HARMFUL = {
    "example inputs": {"m/data/sample_inputs/model.pt": saved(Executing())},
    "example inputs of protocol 4": {"m/data/sample_inputs/model.pt": saved(Executing(), pickle_protocol=4)},
    "example inputs in capitals": {"m/DATA/Sample_Inputs/model.pt": saved(Executing())},
    "a bare pickle": {"m/data/sample_inputs/model.pt": pickle.dumps(Executing(), protocol=2)},
    "torch's old form": {"m/data/sample_inputs/model.pt": saved(Executing(), _use_new_zipfile_serialization=False)},
    "a pickle before an archive": {"m/data/sample_inputs/model.pt": pickle.dumps(Executing()) + saved(1)},
    "a truncated pickle": {"m/data/sample_inputs/model.pt": saved([torch.zeros(2)])[:-40]},
    "weights of the old form": {"m/data/weights/model.pt": saved({"w": Executing()})},
    "constants of the old form": {"m/data/constants/model.pt": saved({"w": Executing()})},
    "pickled weights": {"m/data/weights/model_weights_config.json": b'{"config": {"w": {"use_pickle": true}}}'},
    "an object": {"m/data/constants/model_constants_config.json": b'{"config": {"o": {"path_name": "opaque_obj_0"}}}'},
    "compiled code": {"m/data/aotinductor/model/model.so": b"\x7fELF"},
    "a size": {"m/models/other.json": graph(size={"expr_str": "__import__('os')"})},
    "an enumeration": {"m/models/other.json": graph(spec='{"__enum__": true, "fqn": "antigravity:x"}')},
}
OLD_HARMFUL = {
    f"serialized_{part}": {f"serialized_{part}": saved(Executing())}
    for part in ("state_dict.pt", "state_dict.json", "constants.pt", "constants.json", "example_inputs.pt")
}


@pytest.mark.parametrize("members", HARMFUL.values(), ids=HARMFUL.keys())
def test_what_would_execute_is_refused(tmp_path: Path, members: dict[str, bytes]) -> None:
    check_archive(written_archive(tmp_path, PLAIN))
    with pytest.raises(UnsafeFile):
        check_archive(written_archive(tmp_path, {**PLAIN, **members}))


@pytest.mark.parametrize("members", OLD_HARMFUL.values(), ids=OLD_HARMFUL.keys())
def test_what_would_execute_in_the_form_of_old_torch_is_refused(tmp_path: Path, members: dict[str, bytes]) -> None:
    check_archive(written_archive(tmp_path, OLD | dict.fromkeys(members, saved({"w": torch.zeros(2)}))))
    with pytest.raises(UnsafeFile):
        check_archive(written_archive(tmp_path, {**OLD, **members}))


@pytest.mark.parametrize(
    "target", ["torch.os.mkdir", "os.mkdir", "torch.ops.load_library.__func__", "torch.ops.aten.__init__", "torch.load"]
)
def test_what_is_no_operator_is_refused(tmp_path: Path, target: str) -> None:
    with pytest.raises(ModelError, match="is not an operator"):
        check_archive(written_archive(tmp_path, {"m/models/model.json": graph(target)}))


def test_the_first_of_two_members_of_one_name_is_not_overlooked(tmp_path: Path) -> None:
    path = written_archive(tmp_path, {**PLAIN, "m/data/sample_inputs/model.pt": saved(Executing())})
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("m/data/sample_inputs/MODEL.pt", saved(1))
    with pytest.raises(UnsafeFile, match="two members of the same name"):
        check_archive(path)


def test_what_torch_saves_is_not_refused(tmp_path: Path) -> None:
    torch.manual_seed(0)
    parts = {"c": conv(), "b": nn.BatchNorm2d(4)}
    module = written(lambda self, x: self.b(self.c(x)) * torch.tensor([1.0]) + x.sum().double(), **parts).eval()
    for settings in ({}, {"dynamic_shapes": [{0: Dim("images"), 2: Dim("rows", min=4)}]}):
        path = tmp_path / "model.pt2"
        save(export(module, (torch.zeros(2, 3, 12, 10),), strict=False, **settings), path)
        check_archive(path)


def test_it_does_not_ask_torch_to_read_anything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*args: Any, **kwargs: Any) -> Any:
        pytest.fail("torch read the file")

    monkeypatch.setattr(torch, "load", refused)
    with pytest.raises(UnsafeFile):
        check_archive(written_archive(tmp_path, {**PLAIN, **HARMFUL["example inputs"]}))
    assert "load" not in vars(archive_check)
