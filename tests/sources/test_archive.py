"""torch.export archives: saved programs are read back, and executable content is found before torch opens the file."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.export import Dim, export, save
from torch.nn import functional

import featmap as fm
from featmap.errors import InputError, ModelError, NoSuchModel, UnsafeFile
from support.closeness import assert_close
from support.tiny_modules import conv, written

SHAPE = (3, 12, 10)
TRUST = "Pass --trust (trust=True) if you know where the file comes from."


def small() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(conv(), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Dropout(), conv(4)).eval()


def archive(folder: Path, module: nn.Module, images: int = 1, **settings: Any) -> Path:
    path = folder / "model.pt2"
    save(export(module, (torch.zeros(images, *SHAPE),), strict=False, **settings), path)
    return path


Change = Callable[[str, bytes], bytes]


def tampered(path: Path, change: Change) -> Path:
    """A copy of the archive with the content of its members changed."""
    other = path.with_name("tampered.pt2")
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(other, "w") as target:
        for name in source.namelist():
            target.writestr(name, change(name, source.read(name)))
    return other


class Executing:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


def test_what_was_saved_comes_back(tmp_path: Path) -> None:
    module = small()
    path = archive(tmp_path, module)
    net, own = fm.load(str(path)), fm.trace(module, SHAPE)
    assert net.name == str(path)
    assert net.input_shape == SHAPE
    assert [(layer.address, layer.stages) for layer in net.layers] == [
        (layer.address, layer.stages) for layer in own.layers
    ]
    images = torch.rand(3, *SHAPE)
    for address, maps in own.maps(images, ["0:conv", "0:z", "0:a", "4:z"]).items():
        assert_close(net.maps(images, address)[address].values, maps.values)
    assert net.plan((3, 40, 30))["0"].output_shape == (4, 40, 30)
    assert net.plan().weights_source == str(path)


def test_an_archive_with_open_sizes_is_asked_about_any_size(tmp_path: Path) -> None:
    module = written(lambda self, x: self.c(functional.pad(x, (1, 1, 1, 1))), c=conv())
    sizes = {0: Dim("images"), 2: Dim("rows", min=4), 3: Dim("columns", min=4)}
    net = fm.load(str(archive(tmp_path, module, images=2, dynamic_shapes=[sizes])))
    assert net.input_shape == SHAPE
    assert net.plan((3, 20, 30))["c"].output_shape == (4, 22, 32)


def test_a_number_that_may_come_from_a_size_binds_an_archive_to_that_size(tmp_path: Path) -> None:
    def forward(self: nn.Module, x: torch.Tensor) -> torch.Tensor:
        return self.c(functional.pad(x, (0, -x.shape[3] % 4, 0, -x.shape[2] % 4)))

    path = archive(tmp_path, written(forward, c=conv()))
    net = fm.load(str(path))
    assert net.maps(torch.rand(3, *SHAPE), "c:z")["c:z"].values.shape == (3, 4, 12, 12)
    with pytest.raises(InputError) as caught:
        net.plan((3, 21, 21))
    assert str(caught.value) == (
        f"{path} was captured for 3x12x10 and may hold numbers computed from that size (a size may have been read at "
        "model.pt2, pad); it cannot be asked about 3x21x21.\n\nExport the model again at the wanted size."
    )


def test_an_archive_of_several_images_is_told_for_one(tmp_path: Path) -> None:
    module = small()
    several = fm.load(str(archive(tmp_path, module, images=4)))
    assert several.plan().totals == fm.trace(module, SHAPE).plan().totals


@pytest.mark.parametrize(
    ("part", "what"), [(nn.Dropout(), "dropout ('dropout')"), (nn.BatchNorm2d(4), "batch_norm ('batch_norm')")]
)
def test_a_model_exported_in_training_mode_is_refused(tmp_path: Path, part: nn.Module, what: str) -> None:
    path = archive(tmp_path, nn.Sequential(conv(), part).train())
    with pytest.raises(ModelError) as caught:
        fm.load(str(path))
    assert str(caught.value) == (
        f"'{path}' was exported in training mode: its {what} is that of training.\n\n"
        "Export it again after model.eval()."
    )


def with_pickled_inputs(created: Path) -> Change:
    def change(name: str, content: bytes) -> bytes:
        return pickle.dumps(Executing(created), protocol=2) if "sample_inputs" in name else content

    return change


def with_pickled_weights(created: Path) -> Change:
    def change(name: str, content: bytes) -> bytes:
        if name.endswith("weights/weight_0"):
            return pickle.dumps(Executing(created), protocol=2)
        if not name.endswith("model_weights_config.json"):
            return content
        config = json.loads(content)
        config["config"]["0.weight"]["use_pickle"] = True
        return json.dumps(config).encode()

    return change


def with_an_executing_size(created: Path) -> Change:
    expression = f"__import__('os').mkdir({str(created)!r})"

    def change(name: str, content: bytes) -> bytes:
        return content.replace(b"Symbol('s", f"{expression} or Symbol('s".replace('"', '\\"').encode())

    return change


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (with_pickled_inputs, "'{path}': its example inputs would have to be unpickled."),
        (with_pickled_weights, "'{path}' holds pickled tensors (weight_0)."),
        (with_an_executing_size, "'{path}' holds a size that is not plain arithmetic: {size}."),
    ],
    ids=["example inputs", "weights", "sizes"],
)
def test_an_archive_that_would_execute_is_refused_and_executes_nothing(
    tmp_path: Path, change: Callable[[Path], Change], problem: str
) -> None:
    created = tmp_path / "made"
    path = tampered(archive(tmp_path, small(), dynamic_shapes=[{0: Dim("images")}], images=2), change(created))
    with pytest.raises(UnsafeFile) as caught:
        fm.load(str(path))
    assert not created.exists()
    size = f"__import__('os').mkdir({str(created)!r})"[:80]
    assert caught.value.problem.startswith(problem.format(path=path, size=size).rstrip("."))
    assert caught.value.remedy == TRUST
    # What it then is, is the file's own affair; what counts is that trust is what lets it do as it likes.
    with contextlib.suppress(ModelError):
        fm.load(str(path), trust=True)
    assert created.exists(), "the file was harmless, so this test proved nothing"


def test_an_operator_outside_torch_is_not_run(tmp_path: Path) -> None:
    created = tmp_path / "made"

    def change(name: str, content: bytes) -> bytes:
        if not name.endswith("models/model.json"):
            return content
        model = json.loads(content)
        node = model["graph_module"]["graph"]["nodes"][-1]
        node["target"] = "torch.os.mkdir"
        node["inputs"] = [{"name": "path", "arg": {"as_string": str(created)}, "kind": 1}]
        return json.dumps(model).encode()

    with pytest.raises(ModelError, match=r"is not a program that torch\.export saved"):
        fm.load(str(tampered(archive(tmp_path, small()), change)))
    assert not created.exists()


@pytest.mark.parametrize(
    ("content", "problem", "remedy"),
    [
        (None, "There is no file '{path}'.", "Give the path of a file made by torch.export.save."),
        (b"hello", "'{path}' is not a program that torch.export saved.", "Export it again."),
    ],
)
def test_what_is_no_archive_is_refused(tmp_path: Path, content: bytes | None, problem: str, remedy: str) -> None:
    path = tmp_path / "model.pt2"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelError) as caught:
        fm.load(str(path))
    assert str(caught.value) == f"{problem.format(path=path)}\n\n{remedy}"
    assert isinstance(caught.value, NoSuchModel) == (content is None)


def test_a_zip_that_is_no_archive_and_one_with_broken_json_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.pt2"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("readme.txt", "hello")
    with pytest.raises(ModelError, match=r"is not a program that torch\.export saved: "):
        fm.load(str(path))
    broken = tampered(archive(tmp_path, small()), lambda name, content: content[:-9] if "json" in name else content)
    with pytest.raises(ModelError, match=r"is not a program that torch\.export saved"):
        fm.load(str(broken))


def test_an_archive_brings_its_own_weights(tmp_path: Path) -> None:
    path = archive(tmp_path, small())
    with pytest.raises(ModelError) as caught:
        fm.load(str(path), weights="other.pt")
    assert str(caught.value) == f"'{path}' brings its own weights.\n\nLeave --weights out."
