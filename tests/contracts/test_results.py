"""Every result type, found in the code, in every form: text, HTML, data, JSON, picture and files. None is left out."""

from __future__ import annotations

import builtins
import csv
import importlib
import io
import json
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import nn

import featmap as fm
from featmap.errors import MissingPackage, OutputError
from featmap.result import Result
from featmap.result_array import ArrayResult
from featmap.result_collection import CollectionResult
from featmap.result_table import TableResult, csv_text
from featmap.view.formats.table import FORMATS
from support.results import CONTRACT, SHAPE, Made, images, network

BASES = {TableResult, ArrayResult, CollectionResult}
SUFFIXES = (".png", ".npz", ".safetensors", ".csv", ".json", ".txt")


WITH_PICTURE = [name for name, (_, files) in CONTRACT.items() if ".png" in files]
TABLES = [name for name, (_, files) in CONTRACT.items() if ".csv" in files]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(tmp_path_factory.mktemp("results"))


def subclasses(base: type) -> Iterator[type]:
    for child in base.__subclasses__():
        yield child
        yield from subclasses(child)


def result_types() -> set[type]:
    """Every result type of featmap, whatever module it stands in."""
    for module in pkgutil.walk_packages(fm.__path__, "featmap."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    return {found for found in subclasses(Result) if found.__module__.startswith("featmap.")} - BASES


def test_no_result_type_is_left_out_of_the_contract() -> None:
    assert {found.__name__ for found in result_types()} == set(CONTRACT)


@pytest.mark.parametrize("name", CONTRACT)
def test_a_result_is_of_its_type_and_has_text_and_data(name: str, made: Made) -> None:
    result = CONTRACT[name][0](made)
    assert type(result).__name__ == name
    assert str(result).strip()
    assert repr(result).strip()
    assert not repr(result).startswith("<")
    check_plain(result.to_dict(), name)
    data = json.loads(
        FORMATS[".json"].encode(result.to_dict()), parse_constant=lambda word: pytest.fail(f"{word} is no JSON")
    )
    assert data.keys() == result.to_dict().keys()


def check_plain(value: Any, where: str) -> None:
    """Numbers, texts, lists and dictionaries with texts as keys."""
    if type(value) is dict:
        for key, part in value.items():
            assert type(key) is str, f"{where}: key {key!r}"
            check_plain(part, f"{where}.{key}")
    elif type(value) is list:
        for part in value:
            check_plain(part, f"{where}[]")
    else:
        assert type(value) in (str, int, float, bool, type(None)), f"{where}: {type(value)}"


@pytest.mark.parametrize("name", WITH_PICTURE)
def test_a_picture_has_pages(name: str, made: Made) -> None:
    result = CONTRACT[name][0](made)
    pages = result.pages()
    assert pages
    assert result.show().tobytes() == pages[0].tobytes()
    assert min(pages[0].size) > 20


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("name", CONTRACT)
def test_every_file_form_is_written_or_refused_in_words(name: str, suffix: str, made: Made, tmp_path: Path) -> None:
    make, forms = CONTRACT[name]
    result, path = make(made), tmp_path / f"answer{suffix}"
    if suffix not in forms:
        with pytest.raises(OutputError) as caught:
            result.save(path)
        assert caught.value.problem
        assert caught.value.remedy
        assert not list(tmp_path.iterdir())
        return
    files = result.save(path)
    assert files
    for file in files:
        check_file(file, result)


def check_file(file: Path, result: Any) -> None:
    if file.suffix == ".png":
        Image.open(file).load()
    elif file.suffix == ".npz":
        with np.load(file, allow_pickle=False) as held:
            assert len(held.files)
            assert all(held[key].dtype != object for key in held.files)
    elif file.suffix == ".safetensors":
        assert load_file(file)
    elif file.suffix == ".csv":
        assert len(list(csv.DictReader(file.read_text().splitlines()))) == len(result.rows())
    elif file.suffix == ".json":
        assert json.loads(file.read_text()).keys() == result.to_dict().keys()
    else:
        assert file.read_text() == f"{result}\n"


@pytest.fixture
def no_pandas(monkeypatch: pytest.MonkeyPatch) -> None:
    """pandas as it is where nobody installed it."""
    real = builtins.__import__

    def blocked(name: str, *rest: Any, **more: Any) -> Any:
        if name.split(".")[0] == "pandas":
            raise ModuleNotFoundError("No module named 'pandas'", name="pandas")
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", blocked)


@pytest.mark.usefixtures("no_pandas")
@pytest.mark.parametrize("name", TABLES)
def test_csv_needs_no_pandas_and_a_frame_names_its_extra(name: str, made: Made, tmp_path: Path) -> None:
    result = CONTRACT[name][0](made)
    result.save(tmp_path / "table.csv")
    with pytest.raises(MissingPackage) as caught:
        result.to_pandas()
    assert str(caught.value) == (
        f"to_pandas() of a {name} needs pandas, which cannot be imported: No module named 'pandas'.\n\n"
        "Install it with `pip install 'featmap[pandas]'`, or take .rows(), or save as .csv."
    )


@pytest.mark.parametrize("name", TABLES)
def test_csv_and_the_frame_hold_the_same(name: str, made: Made) -> None:
    pandas = pytest.importorskip("pandas")
    result = CONTRACT[name][0](made)
    frame = result.to_pandas()
    read = pandas.read_csv(io.StringIO(csv_text(result.rows())))
    assert list(read.columns) == list(frame.columns)
    assert len(read) == len(frame) == len(result.rows())
    assert csv_text(result.rows()).count("\n") == len(frame) + 1


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64], ids=str)
def test_maps_and_projections_of_every_precision_are_saved(dtype: torch.dtype, tmp_path: Path) -> None:
    net, given = network(dtype), images(2, dtype)
    maps = net.maps(given, ["0:z", "0:a"])
    held = torch.float32 if dtype == torch.bfloat16 else dtype
    for suffix in (".npz", ".safetensors", ".png"):
        maps.save(tmp_path / f"maps{suffix}")
    with np.load(tmp_path / "maps.npz") as arrays:
        back = torch.from_numpy(arrays["0:z"])
    assert back.dtype == held
    assert torch.equal(back.to(dtype), maps["0:z"].values)
    tensors = load_file(tmp_path / "maps.safetensors")
    assert tensors["0:a"].dtype == dtype
    assert torch.equal(tensors["0:a"], maps["0:a"].values)
    for target in ("0:a/1", "0:a"):
        projected = net.project(given[:1], target)
        for suffix in (".npz", ".png", ".json", ".txt"):
            projected.save(tmp_path / f"projection{suffix}")
    sheet = net.sheet(given, "0:a")
    sheet.save(tmp_path / "sheet.npz")
    net.occlude(given[:1], 0, 4, 4).save(tmp_path / "occlusion.npz")
    assert str(net.explain(given[:1], "0:a/1@2,3"))


class Spectrum(nn.Module):
    """Maps of complex values."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.fft.fft2(self.conv(x)).abs()


@pytest.mark.parametrize("double", [False, True])
def test_complex_maps_are_saved_and_their_numbers_are_of_magnitudes(tmp_path: Path, *, double: bool) -> None:
    dtype = torch.float64 if double else torch.float32
    net = fm.trace(Spectrum().to(dtype).eval(), SHAPE)
    address = next(row.address for row in net.plan() if "fft" in row.operator)
    maps = net.maps(images(1, dtype), address)
    (one,) = maps.values()
    assert one.values.is_complex()
    assert one.to_dict()["numbers_of"] == "magnitudes"
    assert one.to_dict()["maximum"] == pytest.approx(float(one.values.abs().max()))
    assert "magnitudes" in repr(one)
    maps.save(tmp_path / "maps.npz")
    maps.save(tmp_path / "maps.png")
    with np.load(tmp_path / "maps.npz") as arrays:
        assert np.array_equal(arrays[one.address], one.values.numpy())
    if double:
        with pytest.raises(OutputError, match="complex64 at most"):
            maps.save(tmp_path / "maps.safetensors")
    else:
        maps.save(tmp_path / "maps.safetensors")
        assert torch.equal(load_file(tmp_path / "maps.safetensors")[one.address], one.values)
