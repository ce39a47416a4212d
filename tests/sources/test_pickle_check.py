"""The safety check of weights files, which finds what a file does before torch opens it, in every file format."""

from __future__ import annotations

import builtins
import io
import os
import pickle
import pickletools
import tarfile
import warnings
import zipfile
from collections import Counter, OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from featmap.errors import ModelError, UnsafeFile
from featmap.sources.pickle_check import beyond_tensors
from featmap.sources.weights import read_weights
from featmap.sources.zip_check import ambiguity

SAFE_REMEDY = "Save it as .safetensors or as a plain state dict, or pass --trust if you know where it comes from."


class Executing:
    """Unpickling this creates a folder of that name."""

    def __init__(self, path: Path, call: Callable[..., Any] = os.mkdir) -> None:
        self.path, self.call = path, call

    def __reduce__(self) -> Any:
        return self.call, (f"__import__('os').mkdir({str(self.path)!r})" if self.call is eval else str(self.path),)


def saved(content: Any, **settings: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, **settings)
    return buffer.getvalue()


def old_form(content: Any, **settings: Any) -> bytes:
    return saved(content, _use_new_zipfile_serialization=False, **settings)


def in_old_form(place: int, content: Any) -> bytes:
    """torch's old form with one of its five pickles replaced."""
    source, pickles = io.BytesIO(old_form({"w": torch.zeros(2)})), []
    for _ in range(5):
        start = source.tell()
        list(pickletools.genops(source))
        pickles.append(source.getvalue()[start : source.tell()])
    pickles[place] = pickle.dumps(content, protocol=2)
    return b"".join(pickles) + source.read()


def zipped(*members: tuple[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members:
            archive.writestr(name, content)
    return buffer.getvalue()


def members(content: bytes) -> list[tuple[str, bytes]]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return [(name, archive.read(name)) for name in archive.namelist()]


def in_tar(content: bytes) -> bytes:
    """The oldest form: a tar whose members are pickles."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in ("sys_info", "pickle", "storages", "tensors"):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def with_another_table(content: bytes) -> bytes:
    """An archive whose end names a table of members that is not the one before it."""
    end = content.rindex(b"PK\x05\x06")
    return content[: end + 16] + (0).to_bytes(4, "little") + content[end + 20 :]


HARMFUL: dict[str, Callable[[Any], bytes]] = {
    "an archive": saved,
    "a state dict in an archive": lambda harm: saved({"a": torch.zeros(2), "w": harm}),
    "an archive of protocol 3": lambda harm: saved(harm, pickle_protocol=3),
    "an archive of protocol 4": lambda harm: saved(harm, pickle_protocol=4),
    "an archive of protocol 5": lambda harm: saved({"w": harm}, pickle_protocol=5),
    "the old form": old_form,
    "a state dict in the old form": lambda harm: old_form({"a": torch.zeros(2), "w": harm}),
    "the old form of protocol 4": lambda harm: old_form(harm, pickle_protocol=4),
    **{f"pickle {place + 1} of the old form": lambda harm, place=place: in_old_form(place, harm) for place in range(5)},
    "a bare pickle": lambda harm: pickle.dumps({"w": harm}, protocol=2),
    "a key of a table": lambda harm: saved({("k", Once(harm)): 1}),
    "an attribute of a table": lambda harm: saved(Attributes(harm)),
    "the first of two tables": lambda harm: zipped(
        *((name.upper(), content) for name, content in members(saved(harm))), *members(saved({}))
    ),
    "code beside tensors": lambda harm: zipped(*members(saved({})), ("archive/code/m.py", pickle.dumps(harm))),
    "a compiled program": lambda harm: zipped(("m/constants.pkl", pickle.dumps(harm)), *members(saved({}))),
    "tables in two places": lambda harm: with_another_table(saved(harm)),
}


class Once:
    """Hashable by itself, and harmful when unpickled."""

    def __init__(self, harm: Any) -> None:
        self.harm = harm

    def __reduce__(self) -> Any:
        return self.harm.__reduce__()


class Attributes:
    def __init__(self, harm: Any) -> None:
        self.harm = harm

    def __reduce__(self) -> Any:
        return OrderedDict, (), {"a": self.harm}


@pytest.mark.parametrize("call", [os.mkdir, eval], ids=["a system call", "builtins.eval"])
@pytest.mark.parametrize("form", HARMFUL.values(), ids=HARMFUL.keys())
def test_what_would_execute_is_refused_whatever_torch_allows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: Callable[[Any], bytes], call: Callable[..., Any]
) -> None:
    made, path = tmp_path / "made", tmp_path / "weights.pth"
    path.write_bytes(form(Executing(made, call)))
    load = torch.load
    monkeypatch.setattr(torch, "load", lambda *args, **kwargs: load(*args, **{**kwargs, "weights_only": False}))
    with pytest.raises(UnsafeFile) as caught:
        read_weights(path)
    assert not made.exists()
    assert caught.value.problem.startswith(f"'{path}' holds more than tensors: ")
    assert caught.value.remedy == SAFE_REMEDY


@pytest.mark.parametrize("form", [saved, old_form, lambda harm: pickle.dumps({"w": harm}, protocol=2)])
def test_the_files_are_harmful_indeed(tmp_path: Path, form: Callable[[Any], bytes]) -> None:
    made, path = tmp_path / "made", tmp_path / "weights.pth"
    path.write_bytes(form(Executing(made)))
    with pytest.raises(ModelError):
        read_weights(path, trust=True)
    assert made.exists()


@pytest.mark.parametrize("protocol", [0, 1])
def test_pickles_older_than_torch_are_no_weights(tmp_path: Path, protocol: int) -> None:
    made, path = tmp_path / "made", tmp_path / "weights.pth"
    path.write_bytes(pickle.dumps({"w": Executing(made)}, protocol=protocol))
    with pytest.raises(ModelError, match="not a readable weights file"):
        read_weights(path)
    assert not made.exists()


def test_a_tar_of_pickles_is_no_weights(tmp_path: Path) -> None:
    made, path = tmp_path / "made", tmp_path / "weights.pth"
    path.write_bytes(in_tar(pickle.dumps(Executing(made), protocol=2)))
    with pytest.raises(ModelError, match="not a readable weights file"):
        read_weights(path)
    assert not made.exists()


REASONS = {
    "reading it would execute builtins.eval": lambda: saved(Executing(Path("made"), builtins.eval), pickle_protocol=3),
    "reading it would execute torch.nn.modules.activation.ReLU": lambda: saved(nn.ReLU()),
    "its pickle, of protocol 4, uses the operation FRAME, which tensors do not need": lambda: saved(
        {"weight": 1}, pickle_protocol=4
    ),
    "it holds 'extra/a.py', which may be code": lambda: zipped(*members(saved({})), ("archive/extra/a.py", b"")),
    "it holds two members of the same name": lambda: zipped(*members(saved({})), ("archive/DATA.pkl", b"")),
    "it is a TorchScript program": lambda: script(),
    "it holds no table of tensors (data.pkl)": lambda: zipped(("archive/version", b"3")),
    "its table of members is not where the archive says that it is": lambda: with_another_table(saved({})),
}


def script() -> bytes:
    return zipped(("m/data.pkl", b""), ("m/code/__torch__/m.py", b""), ("m/constants.pkl", b""))


@pytest.mark.parametrize(("reason", "content"), REASONS.items(), ids=REASONS.keys())
def test_the_reason_is_told(tmp_path: Path, reason: str, content: Callable[[], bytes]) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(content())
    with pytest.raises(UnsafeFile) as caught:
        read_weights(path)
    found = reason.replace("builtins.eval", "__builtin__.eval") if b"__builtin__" in content() else reason
    assert str(caught.value) == f"'{path}' holds more than tensors: {found}.\n\n{SAFE_REMEDY}"


def test_what_only_torch_refuses_is_said_to_be_torchs_word(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    # Attributes set on a number: no name is looked up, and torch does not do it.
    path.write_bytes(zipped(("m/data.pkl", b"\x80\x02K\x01}b."), ("m/version", b"3")))
    with pytest.raises(UnsafeFile) as caught:
        read_weights(path)
    problem = f"'{path}' holds more than tensors: torch does not read it without trust."
    assert str(caught.value) == f"{problem}\n\n{SAFE_REMEDY}"


def is_read(dtype: torch.dtype) -> bool:
    """Whether torch makes, saves and reads tensors of the type."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.load(io.BytesIO(saved(torch.zeros(4, dtype=dtype))), weights_only=True)
    except (RuntimeError, NotImplementedError, KeyError, TypeError, AttributeError, pickle.UnpicklingError):
        return False
    return True


def dtypes() -> list[torch.dtype]:
    every = {value for value in vars(torch).values() if isinstance(value, torch.dtype)}
    return sorted(filter(is_read, every), key=str)


def with_attribute() -> nn.Parameter:
    parameter = nn.Parameter(torch.zeros(2))
    parameter.decayed = False
    return parameter


HARMLESS = {
    "a state dict with its metadata": lambda: nn.BatchNorm2d(2).state_dict(),
    "parameters": lambda: dict(nn.Linear(2, 2).named_parameters()),
    "a parameter with an attribute": with_attribute,
    "a quantised tensor": lambda: torch.quantize_per_tensor(torch.zeros(2), 0.1, 0, torch.qint8),
    "a sparse tensor": lambda: torch.eye(2).to_sparse(),
    "a view": lambda: torch.zeros(4, 4)[1:, ::2],
    "plain values": lambda: [
        1,
        2**20,
        2**40,
        -1,
        0.5,
        1j,
        None,
        True,
        False,
        "text",
        b"bytes",
        (1,),
        {1},
        bytearray(2),
    ],
    "containers": lambda: OrderedDict(a=Counter("aab"), b=[(1, 2, 3, 4)], c=torch.Size([1, 2])),
    "settings of tensors": lambda: [torch.device("cpu"), torch.float32, torch.strided],
    "many names": lambda: {f"layer.{i}": torch.zeros(1) for i in range(300)},
}


@pytest.mark.parametrize("form", [saved, old_form], ids=["archive", "old form"])
@pytest.mark.parametrize("content", HARMLESS.values(), ids=HARMLESS.keys())
@pytest.mark.filterwarnings("ignore")  # torch remarks on sparse and quantised tensors.
def test_what_tensors_need_is_not_refused(content: Callable[[], Any], form: Callable[[Any], bytes]) -> None:
    data = form(content())
    torch.load(io.BytesIO(data), weights_only=True)
    assert beyond_tensors(io.BytesIO(data)) is None


@pytest.mark.parametrize("dtype", dtypes(), ids=str)
@pytest.mark.filterwarnings("ignore")
def test_tensors_of_every_type_that_torch_reads_are_not_refused(dtype: torch.dtype) -> None:
    assert beyond_tensors(io.BytesIO(saved({"w": torch.zeros(4, dtype=dtype)}))) is None


@pytest.mark.parametrize("kept", [1, 3, 40, 200, -1])
@pytest.mark.parametrize("form", [saved, old_form], ids=["archive", "old form"])
def test_a_damaged_file_is_never_taken_for_a_whole_one(tmp_path: Path, form: Callable[[Any], bytes], kept: int) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(form({"w": torch.zeros(2)})[:kept])
    with pytest.raises(ModelError):
        read_weights(path)


def test_archives_of_more_than_4_gb_state_their_table_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 10)
    content = zipped(("a", b"1"), ("b", b"2"))
    assert b"PK\x06\x06" in content
    at = content.rindex(b"PK\x06\x06")
    for changed, expected in [
        (content, None),
        (content[: at + 48] + bytes(8) + content[at + 56 :], "its table of members is not where the archive says"),
        (b"PK\x03\x04" + content, "its table of members is not where the archive says"),
    ]:
        file = io.BytesIO(changed)
        with zipfile.ZipFile(file) as archive:
            found = ambiguity(archive, file)
        assert (found or "").startswith(expected or ""), changed
        assert (found is None) == (expected is None), changed
