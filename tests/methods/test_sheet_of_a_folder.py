"""Sheets over a folder, like an index: unreadable images are skipped and listed, names are within the folder."""

from __future__ import annotations

import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import featmap as fm
from featmap.errors import ImageBroken


def write(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (20, 30, 3)).astype(np.uint8)).save(path)


@pytest.fixture
def net() -> fm.Network:
    torch.manual_seed(0)
    return fm.trace(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), (3, 16, 16))


def test_one_broken_file_does_not_end_a_sheet(net: fm.Network, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    for number, name in enumerate(("cats/1.png", "dogs/1.png", "dogs/2.png")):
        write(folder / name, number)
    (folder / "a.png").write_bytes(b"broken")
    (folder / "lost.png").symlink_to("none")
    (folder / ".hidden.png").write_bytes(b"broken")
    sheet = net.sheet(folder, "0", k=3)
    index = fm.Index.build(net, folder, tmp_path / "i.fmi", progress=False)
    assert index.report is not None
    assert (sheet.images, sheet.skipped) == (index.images, index.report.skipped)
    for channel, examples in sheet.examples.items():
        expected = index.top(f"0/{channel}", k=3).examples
        assert [(e.image, e.unit) for e in examples] == [(e.image, tuple(e.unit)) for e in expected]
    assert "cats/1.png" in str(sheet)
    assert "'a.png' is not an image that featmap can read." in str(sheet)
    assert sheet.to_dict()["skipped"][1]["reason"] == "'lost.png' is a link to nothing."


def test_a_folder_where_nothing_can_be_read_and_a_broken_picture_of_a_list_are_refused(
    net: fm.Network, tmp_path: Path
) -> None:
    (tmp_path / "a.png").write_bytes(b"broken")
    for images in (tmp_path, [tmp_path / "a.png"]):
        with pytest.raises(ImageBroken, match=r"a\.png' is not an image that featmap can read\."):
            net.sheet(images, "0")


def test_what_is_lost_in_a_damaged_tar_file_is_called_by_its_name(net: fm.Network, tmp_path: Path) -> None:
    write(tmp_path / "photos/1.png", 0)
    with tarfile.open(tmp_path / "photos.tar", "w") as tar:
        for name in ("a.png", "b.png"):
            tar.add(tmp_path / "photos/1.png", name)
    whole = (tmp_path / "photos.tar").read_bytes()
    (tmp_path / "cut.tar").write_bytes(whole[: whole.index(b"b.png") + 300])
    sheet = net.sheet([tmp_path / "cut.tar"], "0", k=2)
    index = fm.Index.build(net, [tmp_path / "cut.tar"], tmp_path / "i.fmi", progress=False)
    assert index.report is not None
    assert sheet.skipped == index.report.skipped != ()
