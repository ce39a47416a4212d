"""The crops are real, disjoint between training and test, and the same for the same seed."""

from __future__ import annotations

import subprocess
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from featmap.demo import crops as module
from featmap.demo.crops import CROP_SIZE_PX, FILES, PHOTOGRAPHS, Crop, crops, held_out, photograph
from featmap.errors import ImageBroken, ImageMissing, MissingPackage


def covered(chosen: tuple[Crop, ...], name: str) -> np.ndarray:
    """Which pixels of a photograph its crops show, marked one crop after the other."""
    whole = photograph(name)
    mask = np.zeros((whole.height, whole.width), bool)
    for crop in chosen:
        if crop.photograph == name:
            mask[crop.box.top : crop.box.bottom, crop.box.left : crop.box.right] = True
    return mask


def test_no_pixel_is_in_training_and_test_whatever_the_seeds() -> None:
    training = crops("train", 60, seed=1) + crops("train", 60, seed=2)
    test = crops("test", 60, seed=3)
    for name in PHOTOGRAPHS:
        seen, tested = covered(training, name), covered(test, name)
        assert seen.any()
        assert tested.any()
        assert not (seen & tested).any()


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_held_out_cells_are_a_part_of_the_photograph(name: str) -> None:
    whole = photograph(name)
    mask = np.zeros((whole.height, whole.width), int)
    for cell in held_out(whole.height, whole.width):
        mask[cell.top : cell.bottom, cell.left : cell.right] += 1
    assert mask.max() == 1
    assert 0.18 < mask.mean() < 0.35


def test_same_seed_same_crops_and_another_seed_others() -> None:
    boxes = [crop.box for crop in crops("train", 5, seed=4)]
    assert boxes == [crop.box for crop in crops("train", 5, seed=4)]
    assert boxes != [crop.box for crop in crops("train", 5, seed=5)]


def test_crops_of_every_photograph_in_order() -> None:
    chosen = crops("test", 3)
    assert [crop.photograph for crop in chosen] == [name for name in PHOTOGRAPHS for _ in range(3)]
    assert [crop.label for crop in chosen] == [label for label in range(len(PHOTOGRAPHS)) for _ in range(3)]
    assert {crop.image.size for crop in chosen} == {(CROP_SIZE_PX, CROP_SIZE_PX)}


def test_unscaled_crop_is_the_photograph_itself() -> None:
    unscaled = [crop for crop in crops("train", 60) if crop.box.height == CROP_SIZE_PX]
    assert unscaled
    for crop in unscaled:
        pixels = np.asarray(photograph(crop.photograph))
        window = pixels[crop.box.top : crop.box.bottom, crop.box.left : crop.box.right]
        assert np.array_equal(np.asarray(crop.image), window)


def test_photographs_are_read_without_importing_scikit_image() -> None:
    read_all = "from featmap.demo.crops import *; [photograph(name) for name in PHOTOGRAPHS]"
    code = f"import sys; {read_all}; print('skimage' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_unknown_name() -> None:
    with pytest.raises(ImageMissing) as caught:
        photograph("rockets")
    assert str(caught.value) == (
        "There is no photograph 'rockets'; there are astronaut, brick, camera, cat, coffee, coins, grass, gravel, "
        "motorcycle, retina, rocket, stars.\n\nThe nearest names are rocket, brick, retina."
    )


def test_scikit_image_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda _: None)
    with pytest.raises(MissingPackage) as caught:
        photograph("cat")
    assert str(caught.value) == (
        "The demo's photographs come with scikit-image, which is not installed.\n\n"
        "Install it: pip install 'featmap[demo]'."
    )


def installed_at(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    spec = ModuleSpec("skimage", None, is_package=True)
    spec.submodule_search_locations = [str(folder)]
    monkeypatch.setattr(module, "find_spec", lambda _: spec)
    (folder / "data").mkdir()
    return folder / "data"


def test_scikit_image_without_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = installed_at(tmp_path, monkeypatch)
    with pytest.raises(ImageMissing) as caught:
        photograph("cat")
    assert str(caught.value) == (
        f"'cat': the installed scikit-image brings no chelsea.png; it was expected in {data}.\n\n"
        "Install scikit-image 0.22 or newer from its wheel: pip install 'featmap[demo]'."
    )


def test_broken_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = installed_at(tmp_path, monkeypatch) / FILES["cat"]
    path.write_bytes(b"no image")
    with pytest.raises(ImageBroken) as caught:
        photograph("cat")
    assert str(caught.value) == f"'cat': {path} cannot be read as an image.\n\nInstall scikit-image again."


def test_truncated_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = installed_at(tmp_path, monkeypatch) / FILES["cat"]
    Image.effect_noise((64, 64), 50).save(path)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ImageBroken, match="cannot be read as an image"):
        photograph("cat")
