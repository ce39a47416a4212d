"""The walk: it asks what is worth a look, shows what it says, and stops where its photographs are missing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from featmap.demo import crops, tour
from featmap.demo.tour import DEEP, FIRST, MODEL, PHOTOGRAPH_SHAPE, run_demo
from featmap.demo.train import Settings, trained_network
from featmap.errors import MissingPackage
from featmap.network.address import Address

TINY = Settings(training_crops=2, test_crops=1, epochs=1, batch_size=12)


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> tour._Walk:
    folder = tmp_path_factory.mktemp("tour")
    return tour._Walk(trained_network(folder, TINY), folder)


def test_whole_photograph_is_asked(walk: tour._Walk) -> None:
    assert walk.net.input_shape == PHOTOGRAPH_SHAPE
    assert (walk.framed.height, walk.framed.width) == PHOTOGRAPH_SHAPE[1:]


@pytest.mark.parametrize("layer", [FIRST, DEEP])
def test_strongest_unit_is_the_largest_value_away_from_the_border(walk: tour._Walk, layer: str) -> None:
    address = Address.parse(walk._strongest(layer))
    maps = walk.net.maps(walk.picture, layer, progress=False)[layer].values[0]
    _, rows, columns = maps.shape
    assert address.unit is not None
    row, column = address.unit
    assert 2 <= row < rows - 2
    assert 2 <= column < columns - 2
    assert maps[address.channel, row, column] == maps[:, 2:-2, 2:-2].max()


def test_marks_are_the_boxes_of_their_units(walk: tour._Walk) -> None:
    mark = walk._mark(DEEP)
    box = walk.net.receptive_field(walk._strongest(DEEP)).box
    assert box is not None
    assert list(mark.box) == box.as_list()


def test_commands_name_everything_that_they_need(walk: tour._Walk) -> None:
    _, maps, top = walk._next()
    assert maps.startswith("featmap maps ")
    assert all(word in maps for word in (MODEL, "cat.png", "--weights", "network.safetensors", "3x296x448"))
    assert top.startswith("featmap top ")
    assert all(word in top for word in ("crops.fmi", f"{DEEP}:a/", "-o top.png"))


def without_photographs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crops, "find_spec", lambda _: None)


def test_photographs_that_are_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_photographs(monkeypatch)
    with pytest.raises(MissingPackage) as caught:
        run_demo(tmp_path / "new" / "demo")
    assert str(caught.value) == (
        "The demo's photographs come with scikit-image, which is not installed.\n\n"
        "Install it: pip install 'featmap[demo]'."
    )
    assert not (tmp_path / "new" / "demo").exists()


@pytest.mark.parametrize("end", [RuntimeError, KeyboardInterrupt])
def test_a_folder_that_was_there_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: Callable[[], BaseException]
) -> None:
    def ended(*_: object) -> None:
        raise end()

    monkeypatch.setattr(tour, "trained_network", ended)
    with pytest.raises((RuntimeError, KeyboardInterrupt)):
        run_demo(tmp_path)
    assert tmp_path.is_dir()
    with pytest.raises((RuntimeError, KeyboardInterrupt)):
        run_demo(tmp_path / "new")
    assert not (tmp_path / "new").exists()
