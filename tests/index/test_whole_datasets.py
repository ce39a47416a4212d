"""Completeness of a dataset's index: every image found is measured, skipped or left out, and the counts add up."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import re
import socket
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import featmap as fm
from featmap.errors import ImageBroken
from featmap.images.entries import entries
from featmap.images.entry import Tally
from featmap.images.files import bytes_at
from featmap.index.build.build import BuildReport


def png(seed: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (20, 30, 3)).astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def net() -> fm.Network:
    torch.manual_seed(0)
    return fm.trace(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), (3, 16, 16))


@pytest.fixture
def build(net: fm.Network, tmp_path: Path) -> Callable[..., BuildReport]:
    def built(images: Any, name: str = "i.fmi", **settings: Any) -> BuildReport:
        report = fm.Index.build(net, images, tmp_path / name, progress=False, **settings).report
        assert report is not None
        return adds_up(report)

    return built


def adds_up(report: BuildReport) -> BuildReport:
    left_out = sum(entry.count for entry in report.left_out)
    assert report.found == report.added + report.known + len(report.skipped) + left_out
    return report


def write_tar(path: Path, count: int = 30, mode: Any = "w") -> list[int]:
    """A tar of pictures; where each member begins."""
    with tarfile.open(path, mode) as tar:
        for number in range(count):
            info = tarfile.TarInfo(f"{number:02}.png")
            info.size = len(png(number))
            tar.addfile(info, io.BytesIO(png(number)))
    with tarfile.open(path) as tar:
        return [member.offset for member in tar]


def flip(path: Path, first: int, count: int = 1) -> None:
    data = bytearray(path.read_bytes())
    for at in range(first, first + count):
        data[at] ^= 0x5A
    path.write_bytes(bytes(data))


@pytest.mark.parametrize("ending", ["tar", "tar.gz", "tar.bz2", "tar.xz"])
def test_a_damaged_header_costs_its_image_and_is_told(build: Any, tmp_path: Path, ending: str) -> None:
    plain, path = tmp_path / "plain.tar", tmp_path / f"t.{ending}"
    offsets = write_tar(plain)
    flip(plain, offsets[10])
    pack = {"tar": bytes, "tar.gz": gzip.compress, "tar.bz2": bz2.compress, "tar.xz": lzma.compress}[ending]
    path.write_bytes(pack(plain.read_bytes()))
    report = build(path)
    assert report.added == 29
    words = f"'{path.name}': bytes {offsets[10]} to {offsets[11]} are damaged; images may be lost there."
    assert [reason for _, reason in report.skipped] == [words]
    assert words in str(report)
    assert bytes_at(f"{path}!25.png") == png(25)
    assert build(path).skipped_before == 1
    assert "1 image could not be read before" in str(build(path))


def test_several_damaged_headers_and_a_cut_off_end(build: Any, tmp_path: Path) -> None:
    path = tmp_path / "t.tar"
    offsets = write_tar(path)
    for number in (4, 5, 20):
        flip(path, offsets[number])
    path.write_bytes(path.read_bytes()[: offsets[29] + 700])
    report = build(path)
    assert report.added == 26
    assert len(report.skipped) == 4
    assert any("'" + path.name + "': it is damaged or cut off from byte" in reason for _, reason in report.skipped)
    assert any(reason.endswith("29.png' is cut off.") for _, reason in report.skipped)


@pytest.mark.parametrize(("ending", "mode"), [("tar.gz", "w:gz"), ("tar.bz2", "w:bz2"), ("tar.xz", "w:xz")])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.3, 0.5, 0.9, 0.999])
def test_damage_of_the_compression_is_told(build: Any, tmp_path: Path, ending: str, mode: str, share: float) -> None:
    path = tmp_path / f"t.{ending}"
    write_tar(path, mode=mode)
    size = path.stat().st_size
    flip(path, min(int(size * share), size - 9), 8)
    try:
        report = build(path)
    except ImageBroken:
        # The blocks of bzip2 are larger than this tar.
        assert share < 0.1 or ending == "tar.bz2"
        return
    assert report.skipped
    assert report.added + len(report.skipped) <= 31


@pytest.mark.parametrize(("ending", "mode"), [("tar.gz", "w:gz"), ("tar.xz", "w:xz"), ("tar.bz2", "w:bz2")])
@pytest.mark.parametrize("share", [0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9])
@pytest.mark.parametrize("noise_bytes", [0, 700_000])
def test_every_member_before_the_damage_is_counted_by_its_name(
    build: Any, tmp_path: Path, ending: str, mode: str, share: float, noise_bytes: int
) -> None:
    """Also the one whose data cannot be unpacked. Behind the damage of a compression nobody knows any names."""
    path, count = tmp_path / f"t.{ending}", 8 if noise_bytes else 30
    noise = np.random.default_rng(0)
    with tarfile.open(path, mode) as tar:
        for number in range(count):
            data = png(number) + noise.bytes(noise_bytes)
            info = tarfile.TarInfo(f"a/{number}.png")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    flip(path, int(path.stat().st_size * share), 40)
    try:
        report = build(path)
    except ImageBroken:
        assert ending == "tar.bz2"
        return
    by_name = [name for name, _ in report.skipped if name.startswith("a/")]
    (behind,) = [int(found[1]) for name, _ in report.skipped if (found := re.search(r"after (\d+) members", name))]
    assert behind == report.added + len(by_name)
    assert len(set(by_name)) == len(by_name)


def test_a_sound_tar_has_no_word_of_damage(build: Any, tmp_path: Path) -> None:
    for number, form in enumerate((tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)):
        path = tmp_path / f"{number}.tar"
        with tarfile.open(path, "w", format=form) as tar:
            info = tarfile.TarInfo("a/" * 45 + "b.png")
            info.size = len(png(1))
            tar.addfile(info, io.BytesIO(png(1)))
        whole = path.read_bytes()
        # Without the blocks of zeros that should stand at the end.
        path.write_bytes(whole.rstrip(b"\0") + bytes(-len(whole.rstrip(b"\0")) % 512))
        report = build(path, f"{number}.fmi")
        assert (report.added, report.skipped, report.left_out) == (1, (), ())


@pytest.mark.parametrize("ending", ["tar", "tar.gz"])
def test_links_in_a_tar_are_images_like_others(build: Any, tmp_path: Path, ending: str) -> None:
    folder = tmp_path / "src" / "c"
    folder.mkdir(parents=True)
    (folder / "a.png").write_bytes(png(1))
    (folder / "b.png").hardlink_to(folder / "a.png")
    (folder / "0.png").symlink_to("a.png")
    (folder / "lost.png").symlink_to("none.png")
    (tmp_path / "src" / "d").symlink_to("c")
    path = tmp_path / f"h.{ending}"
    with tarfile.open(path, "w:gz" if ending == "tar.gz" else "w") as tar:
        tar.add(tmp_path / "src" / "c", "c")
        tar.add(tmp_path / "src" / "d", "d")
    report = build(path)
    assert report.added == 5
    assert fm.Index.open(tmp_path / "i.fmi").summary().labels == {"c": 3, "d": 2}
    assert [name for name, _ in report.skipped] == ["c/lost.png"]
    assert report.skipped[0][1] == "'c/lost.png' is a link to 'none.png', which the tar file does not hold."
    for name in ("c/0.png", "c/a.png", "c/b.png"):
        assert bytes_at(f"{path}!{name}") == png(1)


def test_linked_folders_are_followed_and_loops_are_not(build: Any, tmp_path: Path) -> None:
    real, root = tmp_path / "real", tmp_path / "set"
    for folder in (real, root / "own"):
        folder.mkdir(parents=True)
        (folder / "a.png").write_bytes(png(len(folder.name)))
    (root / "linked").symlink_to(real)
    (root / "own" / "again").symlink_to(root)
    (real / "self").symlink_to(real)
    report = build(root)
    assert report.added == 2
    assert fm.Index.open(tmp_path / "i.fmi").summary().labels == {"linked": 1, "own": 1}
    assert [(entry.reason, entry.count) for entry in report.left_out] == [("a link to a folder that contains it", 2)]


def test_one_odd_file_never_stops_a_build_and_all_are_counted(build: Any, tmp_path: Path) -> None:
    root = tmp_path / "set"
    (root / "x.png").mkdir(parents=True)
    (root / "x.png" / "in.png").write_bytes(png(1))
    (root / "good.png").write_bytes(png(2))
    (root / "empty.png").write_bytes(b"")
    (root / "cut.png").write_bytes(png(3)[:200])
    (root / "pipe.eps").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n{} loop\n")
    (root / "eps.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n{} loop\n")
    os.mkfifo(root / "fifo.png")
    os.mkfifo(root / "fifo")
    (root / "lost.png").symlink_to("none")
    (root / "notes.txt").write_text("notes")
    (root / ".hidden.png").write_bytes(png(4))
    (root / os.fsdecode(b"\xff\xfe.png")).write_bytes(png(5))
    report = build(root)
    assert report.added == 2
    assert {name: reason.split("; it opens")[0] for name, reason in report.skipped} == {
        "\\udcff\\udcfe.png": "'\\udcff\\udcfe.png' has a name that is not text in UTF-8.",
        "cut.png": dict(report.skipped)["cut.png"],
        "empty.png": "'empty.png' is not an image that featmap can read.",
        "eps.png": "'eps.png' is EPS or PostScript, which is a program; featmap opens only what is decoded without "
        "running it.",
        "fifo.png": "'fifo.png' is not a file, but a pipe, a socket or a device.",
        "lost.png": "'lost.png' is a link to nothing.",
        "pipe.eps": "'pipe.eps' is named as a format that featmap does not open",
    }
    assert {entry.reason: (entry.count, entry.names) for entry in report.left_out} == {
        "hidden": (1, (".hidden.png",)),
        "neither a file nor a folder": (1, ("fifo",)),
        "not named as a picture": (1, ("notes.txt",)),
    }
    assert "left out: 1 not named as a picture (notes.txt)" in str(report)
    assert f"found: {report.found} = 2 new + {len(report.skipped)} skipped + 3 left out" in str(report)
    again = build(root)
    assert (again.added, again.known, again.skipped_before) == (0, 2 + len(report.skipped), len(report.skipped))


def test_a_folder_that_cannot_be_listed_is_told(build: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "set"
    for name in ("closed", "open"):
        (root / name).mkdir(parents=True)
        (root / name / "a.png").write_bytes(png(1))
    scandir = os.scandir

    def refusing(folder: Any) -> Any:
        if Path(folder).name == "closed":
            raise PermissionError(13, "Permission denied")
        return scandir(folder)

    monkeypatch.setattr("featmap.images.folders.os.scandir", refusing)
    report = build(root)
    assert (report.added, report.skipped) == (1, (("closed", "'closed' cannot be listed: Permission denied."),))


def test_a_socket_is_left_out(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as short, socket.socket(socket.AF_UNIX) as server:
        server.bind(f"{short}/s.png")
        (Path(short) / "a.png").write_bytes(png(1))
        found = list(entries(short))
    assert [entry.name for entry in found] == ["a.png", "s.png"]


def test_an_image_listed_twice_is_counted(build: Any, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(1))
    report = build([tmp_path / "a.png", tmp_path / "a.png", torch.zeros(3, 16, 16)])
    assert [(entry.reason, entry.count) for entry in report.left_out] == [("listed twice", 1)]
    assert report.to_dict()["left_out"][0]["count"] == 1
    assert report.to_dict()["found"] == 3


def test_an_image_in_a_tar_with_too_many_bytes_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tar(tmp_path / "t.tar.gz", 3, "w:gz")
    monkeypatch.setattr("featmap.images.formats.LARGEST_BYTES", len(png(0)) - 1)
    tally = Tally()
    assert all(
        "featmap reads pictures of up to" in entry.content.problem for entry in entries(tmp_path / "t.tar.gz", tally)
    )
    assert tally.found == 3
