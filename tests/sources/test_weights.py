"""Weights from files: what fits is loaded, what does not is listed, and nothing in a file is ever executed."""

from __future__ import annotations

import os
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from featmap.errors import ModelError, NoSuchModel, UnsafeFile, WeightsMismatch
from featmap.sources.weights import load_weights, read_weights

SAFE_REMEDY = "Save it as .safetensors or as a plain state dict, or pass --trust if you know where it comes from."


def network(filters: int = 4) -> nn.Module:
    return nn.Sequential(OrderedDict(stem=nn.Conv2d(3, filters, 3), norm=nn.BatchNorm2d(filters)))


class Executing:
    """Unpickling this creates a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


def saved(folder: Path, suffix: str, state: dict[str, Any]) -> Path:
    path = folder / f"weights{suffix}"
    save_file(state, path) if suffix == ".safetensors" else torch.save(state, path)
    return path


@pytest.mark.parametrize("suffix", [".safetensors", ".pt", ".pth", ".bin"])
def test_every_kind_of_file_is_loaded(tmp_path: Path, suffix: str) -> None:
    source, target = network(), network()
    load_weights(target, saved(tmp_path, suffix, source.state_dict()))
    for name, tensor in target.state_dict().items():
        assert torch.equal(tensor, source.state_dict()[name]), name


@pytest.mark.parametrize("key", ["state_dict", "model", "model_state_dict", "net", "params_ema"])
def test_a_checkpoint_is_looked_into(tmp_path: Path, key: str) -> None:
    source = network()
    path = saved(tmp_path, ".pt", {key: source.state_dict(), "epoch": 3, "loss": [0.5]})
    assert read_weights(path).keys() == source.state_dict().keys()


def test_the_counter_of_batches_may_be_missing(tmp_path: Path) -> None:
    source, target = network(), network()
    state = {name: tensor for name, tensor in source.state_dict().items() if "num_batches" not in name}
    load_weights(target, saved(tmp_path, ".safetensors", state))
    assert torch.equal(target.stem.weight, source.stem.weight)


def test_weights_of_another_network_are_refused_with_every_mismatch_and_nothing_is_changed(tmp_path: Path) -> None:
    target = network(filters=4)
    before = {name: tensor.clone() for name, tensor in target.state_dict().items()}
    state = {"stem.weight": torch.zeros(5, 3, 3, 3), "stem.bias": torch.zeros(4), "head.weight": torch.zeros(2, 4)}
    path = saved(tmp_path, ".safetensors", state)
    with pytest.raises(WeightsMismatch) as caught:
        load_weights(target, path)
    assert str(caught.value) == (
        f"'{path}' holds the weights of another network; 6 of its tensors do not fit:\n"
        "  missing in the file: norm.weight (4)\n"
        "  missing in the file: norm.bias (4)\n"
        "  missing in the file: norm.running_mean (4)\n"
        "  missing in the file: norm.running_var (4)\n"
        "  not in the network: head.weight (2, 4)\n"
        "  stem.weight: the network has (4, 3, 3, 3), the file (5, 3, 3, 3)\n\n"
        "Give the weights of this network, or the network of these weights."
    )
    for name, tensor in target.state_dict().items():
        assert torch.equal(tensor, before[name]), name


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("nested", [False, True], ids=["alone", "in a state dict"])
def test_a_file_that_would_execute_is_refused_and_executes_nothing(
    tmp_path: Path, protocol: int, nested: bool, recwarn: pytest.WarningsRecorder
) -> None:
    created = tmp_path / "created by the file"
    content: Any = Executing(created)
    if nested:
        content = {**network().state_dict(), "stem.bias": content}
    path = tmp_path / "weights.pt"
    torch.save(content, path, pickle_protocol=protocol)
    with pytest.raises(UnsafeFile) as caught:
        load_weights(network(), path)
    assert not created.exists()
    named = f"reading it would execute {'nt' if os.name == 'nt' else 'posix'}.mkdir"
    unknown = "its pickle, of protocol 4, uses the operation FRAME, which tensors do not need"
    found = named if protocol == 2 else unknown
    assert str(caught.value) == f"'{path}' holds more than tensors: {found}.\n\n{SAFE_REMEDY}"
    assert not recwarn.list
    with pytest.raises(ModelError):
        load_weights(network(), path, trust=True)
    assert created.exists(), "the file was harmless, so this test proved nothing"


def test_a_bare_pickle_is_refused_and_executes_nothing(tmp_path: Path) -> None:
    created = tmp_path / "created by the file"
    path = tmp_path / "weights.pth"
    path.write_bytes(pickle.dumps({"stem.weight": Executing(created)}, protocol=2))
    with pytest.raises(UnsafeFile):
        read_weights(path)
    assert not created.exists()
    pickle.loads(path.read_bytes())
    assert created.exists(), "the file was harmless, so this test proved nothing"


def test_a_whole_module_needs_trust(tmp_path: Path) -> None:
    source, target = network(), network()
    path = tmp_path / "model.pt"
    torch.save(source, path)
    with pytest.raises(UnsafeFile) as caught:
        load_weights(target, path)
    assert str(caught.value) == (
        f"'{path}' holds more than tensors: reading it would execute torch.nn.modules.container.Sequential."
        f"\n\n{SAFE_REMEDY}"
    )
    load_weights(target, path, trust=True)
    assert torch.equal(target.stem.weight, source.stem.weight)


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("no.pt", None, "There is no weights file '{path}'."),
        (
            "text.pt",
            b"hello world",
            "'{path}' is not a readable weights file "
            "(it is neither an archive nor a pickle of torch.save, or it is damaged).",
        ),
        ("empty.pt", b"", "'{path}' is empty: 0 bytes."),
        ("zip.pt", b"PK\x03\x04", "'{path}' is cut off: the table at the end of its archive is missing (4 bytes)."),
        ("text.safetensors", b"hello world", "'{path}' is not a readable safetensors file."),
    ],
)
def test_files_that_are_no_weights_are_refused(tmp_path: Path, name: str, content: bytes | None, problem: str) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelError) as caught:
        read_weights(path)
    assert caught.value.problem == problem.format(path=path)
    assert isinstance(caught.value, NoSuchModel) == (content is None)
    remedy = {
        "no.pt": "Give the path of a .safetensors, .pt or .pth file.",
        "text.safetensors": "Save the weights again.",
        "empty.pt": "Download it again, and compare its size with the original's.",
        "zip.pt": "Download it again, and compare its size with the original's.",
    }
    assert caught.value.remedy == remedy.get(name, "Save the weights again with torch.save or safetensors.")


@pytest.mark.parametrize("key", ["model", "net", "state_dict"])
def test_a_module_in_a_checkpoint_is_looked_into_with_trust(tmp_path: Path, key: str) -> None:
    source, target = network(), network()
    path = saved(tmp_path, ".pt", {key: source, "epoch": 3})
    with pytest.raises(UnsafeFile):
        load_weights(target, path)
    load_weights(target, path, trust=True)
    assert torch.equal(target.stem.weight, source.stem.weight)


def test_a_usual_key_goes_before_others_and_of_others_there_may_be_one(tmp_path: Path) -> None:
    one, other = network().state_dict(), network().state_dict()
    found = read_weights(saved(tmp_path, ".pt", {"ema": other, "model": one, "optimizer": {"state": {}}}))
    assert torch.equal(found["stem.weight"], one["stem.weight"])
    path = saved(tmp_path, ".pt", {"generator": one, "discriminator": other, "epoch": 3})
    with pytest.raises(ModelError) as caught:
        read_weights(path)
    assert str(caught.value) == (
        f"'{path}' holds 2 tables of named tensors, under the keys 'generator', 'discriminator'.\n\n"
        "Save the one that is meant by itself, or under the key 'state_dict'."
    )


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ([1, 2], "it holds a list"),
        (torch.zeros(3), "it holds a Tensor"),
        ({"epoch": 3, "model": [1]}, "there is none under its keys 'epoch' (int), 'model' (list)"),
        (
            dict.fromkeys("abcdefghijkl", 1),
            "there is none under its keys " + ", ".join(f"'{key}' (int)" for key in "abcdefghij") + " and 2 more",
        ),
    ],
)
def test_a_file_without_named_tensors_is_refused(tmp_path: Path, content: Any, reason: str) -> None:
    path = tmp_path / "content.pt"
    torch.save(content, path)
    with pytest.raises(ModelError) as caught:
        read_weights(path)
    assert str(caught.value) == (
        f"'{path}' holds no table of named tensors: {reason}.\n\nSave the module's state_dict()."
    )
