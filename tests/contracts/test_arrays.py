"""Answers that are one array, given to numpy and torch as they are."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import featmap as fm
from featmap.errors import AmbiguousAddress, InputError, TooLittleMemory
from featmap.methods import matrix
from featmap.result_array import ArrayResult
from support.results import CONTRACT, SHAPE, Made, images, network

HELD: dict[str, Callable[[Any], Any]] = {
    "FeatureMaps": lambda result: result.values.numpy(),
    "MapSet": lambda result: result["0:a"].values.numpy(),
    "Contributions": lambda result: result.values.numpy(),
    "OcclusionMap": lambda result: result.grid,
    "OcclusionMaps": lambda result: np.stack([part.grid for part in result]),
    "Projection": lambda result: result.values.numpy(),
    "LayerMatrix": lambda result: result.matrix.to_dense().numpy(),
}
SHARED = [name for name in HELD if name not in ("LayerMatrix", "OcclusionMaps")]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(tmp_path_factory.mktemp("results"))


def result_of(name: str, made: Made) -> Any:
    return made.net.maps(images(2), "0:a") if name == "MapSet" else CONTRACT[name][0](made)


def test_every_answer_that_is_one_array_is_here() -> None:
    assert fm.Network, "imports them all"
    assert {kind.__name__ for kind in ArrayResult.__subclasses__()} == HELD.keys()


@pytest.mark.parametrize("name", HELD)
def test_numpy_and_torch_take_it(name: str, made: Made) -> None:
    result = result_of(name, made)
    values = HELD[name](result)
    found = np.asarray(result)
    assert found.dtype == values.dtype
    assert np.array_equal(found, values)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert torch.equal(torch.as_tensor(result), torch.from_numpy(values))
        assert torch.equal(torch.tensor(result), torch.from_numpy(values))
        assert torch.equal(torch.from_dlpack(result), torch.from_numpy(values))
        assert torch.as_tensor(result, dtype=torch.float16).dtype == torch.float16
    assert np.array_equal(np.from_dlpack(result), values)
    assert np.array_equal(np.abs(result), np.abs(values))


@pytest.mark.parametrize("name", HELD)
def test_a_dtype_is_taken_by_both_numpys(name: str, made: Made) -> None:
    """NumPy 1.26 calls it with at most the dtype, numpy 2 with the word copy."""
    result = result_of(name, made)
    values = HELD[name](result)
    for found in (np.asarray(result, dtype=np.float16), result.__array__(np.float16), result.__array__("float16")):
        assert found.dtype == np.float16
        assert np.array_equal(found, values.astype(np.float16))
    assert result.__array__(dtype=np.float16, copy=True).dtype == np.float16


@pytest.mark.parametrize("name", SHARED)
def test_only_what_must_be_copied_is_copied(name: str, made: Made) -> None:
    result = result_of(name, made)
    values = HELD[name](result)
    for found in (np.asarray(result), result.__array__(), result.__array__(copy=False)):
        assert np.shares_memory(found, values)
    assert torch.as_tensor(result).data_ptr() == values.ctypes.data
    for copied in (np.array(result), result.__array__(copy=True), torch.tensor(result).numpy()):
        assert not np.shares_memory(copied, values)
    with pytest.raises(ValueError, match=f"A {name} holds .*float.*; an array of int8 would be a copy"):
        result.__array__(np.int8, copy=False)


def test_types_that_numpy_lacks_are_widened_and_torch_keeps_them() -> None:
    maps = network(torch.bfloat16).maps(images(2, torch.bfloat16), "0:z")
    assert np.asarray(maps).dtype == np.float32
    assert np.array_equal(np.asarray(maps), maps["0:z"].values.float().numpy())
    assert torch.equal(torch.as_tensor(maps), maps["0:z"].values)
    with pytest.raises(ValueError, match=r"holds torch\.bfloat16 on cpu; an array of float32 would be a copy"):
        maps.__array__(copy=False)


def test_conjugates_are_resolved(made: Made) -> None:
    maps = made.net.maps(images(1), "0:z")["0:z"]
    values = torch.complex(maps.values, maps.values * 2)
    turned = replace(maps, values=values.conj())
    assert torch.equal(torch.as_tensor(turned), values.conj().resolve_conj())
    assert np.array_equal(np.asarray(turned), values.numpy().conj())


def test_the_maps_of_several_addresses_are_not_one_array(made: Made) -> None:
    maps = made.net.maps(images(1), ["0:z", "0:a"])
    for take in (np.asarray, torch.as_tensor):
        with pytest.raises(AmbiguousAddress) as caught:
            take(maps)
        assert str(caught.value) == (
            "The maps of 2 addresses are not one array: 0:z, 0:a.\n\nTake those of one: maps['0:z']."
        )


def test_projections_of_equal_boxes_stack(made: Made) -> None:
    several = made.net.project(images(1), ["0:a/1@2,3", "0:a/2@4,5"])
    assert np.asarray(several).shape == (2, 3, 3, 3)
    assert np.array_equal(np.asarray(several)[1], several[1].values.numpy())


def test_a_matrix_that_is_too_large_as_an_array(monkeypatch: pytest.MonkeyPatch) -> None:
    found = fm.trace(nn.Sequential(nn.Conv2d(3, 4, 3)), SHAPE).layers[0].as_matrix()
    monkeypatch.setattr(matrix, "available_bytes", lambda: 2**20)
    with pytest.raises(TooLittleMemory) as caught:
        np.asarray(found)
    assert str(caught.value) == (
        "The matrix of '0:conv', 320 x 360, takes 0.0 GiB as an array; 0.0 GiB are available.\n\n"
        "Take the sparse tensor, .matrix, or a smaller input size: layer.as_matrix((8, 8))."
    )


def test_grids_of_different_sizes_are_not_one_array(made: Made) -> None:
    several = made.net.occlude([images(1)[0], torch.rand(3, 12, 10)], "0:a/1", 4, 4)
    assert np.asarray(several).shape == (2, 3, 3)
    net = fm.trace(nn.Sequential(nn.Conv2d(3, 4, 3)), SHAPE)
    uneven = net.occlude([torch.rand(SHAPE), torch.rand(3, 16, 10)], "0:z/1", 4, 4)
    with pytest.raises(InputError) as caught:
        np.asarray(uneven)
    assert str(caught.value) == (
        "The grids of 2 images are not one array: they are 3 x 3, 4 x 3.\n\n"
        "Take one, maps[0], or give images of one size."
    )
