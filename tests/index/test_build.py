"""What a build takes, skips and refuses: whole texts of all errors."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import icechunk
import numpy as np
import pytest
import torch
import xarray
import zarr
from durable_cases import SHAPE, WISH, build, content, differences, module, network, plain_group, write_images

import featmap as fm
from featmap.errors import FeatmapError, ImageBroken, InputError, NoIndex, OtherIndex
from featmap.index.build import read_ahead
from featmap.index.build.build import build_index
from featmap.index.schema.fingerprint import network_fingerprint, preprocessing_fingerprint
from featmap.index.schema.wish import Wish
from featmap.index.verify.verify import verify
from featmap.statistics.maps import map_statistics


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the images that are read."""
    names: list[str] = []
    plain = read_ahead.read_image
    monkeypatch.setattr(read_ahead, "read_image", lambda net, entry: names.append(entry.name) or plain(net, entry))
    return names


def texts(path: Path, name: str) -> list[str]:
    found: Any = plain_group(path)[name]
    return [str(text) for text in found[...]]


def names_of(images: Path) -> list[str]:
    return sorted(file.relative_to(images).as_posix() for file in images.rglob("*.png"))


def test_images_that_cannot_be_read_are_recorded_and_left_out(tmp_path: Path, read: list[str]) -> None:
    images, path = write_images(tmp_path / "images", 10), tmp_path / "x.fmi"
    broken = images / "label 0" / "003.png"
    whole = broken.read_bytes()
    broken.write_bytes(whole[:60])
    (images / "none.png").write_text("none")
    report = build(images, path)
    reasons = {
        "label 0/003.png": "'label 0/003.png' is damaged: ",
        "none.png": "'none.png' is not an image that featmap can read.",
    }
    assert (report.images, report.added, report.known) == (9, 9, 0)
    assert [name for name, _ in report.skipped] == list(reasons)
    assert all(reason.startswith(reasons[name]) for name, reason in report.skipped)
    assert texts(path, "skipped/name") == list(reasons)
    assert texts(path, "skipped/reason") == [reason for _, reason in report.skipped]
    assert sorted(read) == names_of(images)

    broken.write_bytes(whole)
    read.clear()
    report = build(images, path)
    assert (report.images, report.added, report.known, report.skipped, read) == (9, 0, 11, (), [])

    report = build(images, path, retry=True)
    assert (report.images, report.added, report.known) == (10, 1, 9)
    assert sorted(read) == ["label 0/003.png", "none.png"]
    assert [name for name, _ in report.skipped] == texts(path, "skipped/name") == ["none.png"]
    assert verify(path).problems == ()


def test_a_new_reason_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    images, path = write_images(tmp_path / "images", 4), tmp_path / "x.fmi"
    odd = images / "odd.png"
    odd.write_text("none")
    build(images, path)
    odd.write_bytes((images / "label 0" / "000.png").read_bytes()[:60])
    build(images, path, retry=True)
    assert texts(path, "skipped/name") == ["odd.png"]
    assert texts(path, "skipped/reason")[0].startswith("'odd.png' is damaged: ")


def test_strict_stops_at_the_first_with_whole_blocks(tmp_path: Path) -> None:
    images, path = write_images(tmp_path / "images", 10), tmp_path / "x.fmi"
    (images / "none.png").write_text("none")
    with pytest.raises(ImageBroken) as caught:
        build(images, path, strict=True)
    assert str(caught.value) == (
        "'none.png' is not an image that featmap can read.\n\nMend or leave out this image, or build without --strict."
    )
    assert len(texts(path, "image/name")) == 8
    assert verify(path).problems == ()


def test_only_new_images_are_read(tmp_path: Path, read: list[str]) -> None:
    images, path = write_images(tmp_path / "images", 10), tmp_path / "x.fmi"
    build(images, path)
    write_images(images, 3, first=10)
    read.clear()
    report = build(images, path)
    assert (report.images, report.added, report.known) == (13, 3, 10)
    assert sorted(read) == [f"label {number % 3}/{number:03}.png" for number in (12, 10, 11)]
    assert sorted(texts(path, "image/name")) == names_of(images)
    assert verify(path).problems == ()


BIG = torch.randn(SHAPE, generator=torch.Generator().manual_seed(3)).sign() * 3.4e38


@pytest.mark.parametrize("odd", [BIG, -BIG, torch.full(SHAPE, torch.nan), torch.full(SHAPE, torch.inf)])
def test_images_whose_maps_are_no_numbers_are_left_out(tmp_path: Path, odd: torch.Tensor) -> None:
    chance = torch.Generator().manual_seed(0)
    good = list(torch.randn(10, *SHAPE, generator=chance))
    plain = build(good, tmp_path / "plain.fmi")
    report = build([*good[:2], odd, *good[2:]], tmp_path / "odd.fmi")
    assert plain.images == report.images == 10
    ((name, reason),) = report.skipped
    verb = "gives" if odd.isfinite().all() else "holds"
    assert name == "image 2"
    assert reason.startswith(f"'image 2' {verb} values that are no numbers")
    ours, wanted = content(tmp_path / "odd.fmi"), content(tmp_path / "plain.fmi")
    # Its blocks are other ones, and the names behind the odd image count on.
    for array in (name for name in wanted if name.startswith(("table/", "map/"))):
        np.testing.assert_allclose(ours[array], wanted[array], rtol=1e-5, err_msg=array)
    for array in (name for name in wanted if name.startswith("tail/")):
        kept = wanted[array].shape[1]
        np.testing.assert_allclose(ours[array][:, :kept], wanted[array], rtol=1e-5, err_msg=array)
    assert verify(tmp_path / "odd.fmi").problems == ()


def test_the_first_totals_hold_nothing_that_no_image_has(tmp_path: Path) -> None:
    """Of fewer images than are kept, of maps that are below 0 everywhere."""
    images = torch.randn(3, *SHAPE, generator=torch.Generator().manual_seed(1))
    build(images, tmp_path / "x.fmi", Wish(block=2, top_k=5, layers=["0:conv"]))
    found = content(tmp_path / "x.fmi")
    with torch.no_grad():
        maps = module()[0](images)
    statistics = map_statistics(maps)
    np.testing.assert_allclose(found["map/minimum"], statistics.minimum.min(axis=0), rtol=1e-5)
    assert (found["map/strongest_image"][:, 3:] == -1).all()
    assert np.isnan(found["map/strongest_value"][:, 3:]).all()
    np.testing.assert_array_equal(
        found["map/strongest_image"][:, :3], np.argsort(-statistics.maximum, axis=0, kind="stable").T
    )


def refused(kind: type[FeatmapError], path: Path, *given: Any, **settings: Any) -> str:
    before = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()} if path.is_dir() else {}
    with pytest.raises(kind) as caught:
        build_index(*given, **settings)
    assert before == ({file: file.read_bytes() for file in before})
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_another_network_preprocessing_or_setting_is_refused_with_both_fingerprints(tmp_path: Path) -> None:
    images, path = write_images(tmp_path / "images", 4), tmp_path / "x.fmi"
    build(images, path)
    ours, theirs = network(seed=1), network()
    assert refused(OtherIndex, path, ours, images, path, WISH) == (
        f"'{path}' is the index of another network: its fingerprint is {network_fingerprint(theirs)} (Small, weights: "
        f"the module's own), that of Small (weights: the module's own) is {network_fingerprint(ours)}.\n\n"
        "Give the network that it was built with, its weights too (--weights), or build into another path."
    )
    other = fm.Preprocessing(resize=(12, 12), mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    ours = network(preprocessing=other)
    assert refused(OtherIndex, path, ours, images, path, WISH) == (
        f"'{path}' was built with another preprocessing: {preprocessing_fingerprint(theirs)} "
        f"({theirs.preprocessing.describe()}); now it is {preprocessing_fingerprint(ours)} ({other.describe()}).\n\n"
        "Give the preprocessing that it was built with, or build into another path."
    )
    wish = Wish(top_k=8, table=False, block=5, layers=["0"], correlation="none", full=["0:a"])
    assert refused(OtherIndex, path, theirs, images, path, wish) == (
        f"'{path}' keeps something else: layers: it has 3:a too; top_k is 7, not 8; table is True, not False; "
        "full: it has no 0:a; correlation is all, not none; block is 4, not 5.\n\n"
        "Leave these settings out, and the index goes on with its own; or build into another path."
    )
    assert build_index(theirs, images, path, Wish()).known == 4


def test_what_is_no_index_is_left_alone(tmp_path: Path) -> None:
    images, net = write_images(tmp_path / "images", 4), network()
    file = tmp_path / "file"
    file.write_text("kept")
    choose = "\n\nChoose another path."
    assert refused(NoIndex, file, net, images, file, WISH) == f"'{file}' exists and is not an index.{choose}"
    assert file.read_text() == "kept"

    folder = tmp_path / "folder"
    for name in ("a", "b", "c"):
        (folder / name).mkdir(parents=True)
    said = f"The folder '{folder}' exists and is not an index: it holds a, b, c.{choose}"
    assert refused(NoIndex, folder, net, images, folder, WISH) == said
    (folder / "d").write_text("d")
    assert refused(NoIndex, folder, net, images, folder, WISH) == said.replace("c.", "c and more.")

    foreign = tmp_path / "foreign"
    own = icechunk.Repository.create(icechunk.local_filesystem_storage(str(foreign)))
    said = f"The folder '{foreign}' exists and is not an index: it holds refs, snapshots.{choose}"
    assert refused(NoIndex, foreign, net, images, foreign, WISH).startswith(said[: -len("refs, snapshots." + choose)])
    session = own.writable_session("main")
    zarr.create_group(session.store)
    session.commit("somebody's own")
    assert refused(NoIndex, foreign, net, images, foreign, WISH) == (
        f"'{foreign}' is an icechunk repository, but no index of featmap.\n\n"
        "Give the path of an index; or build again, if a build was interrupted at its start."
    )


def test_a_folder_without_images_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    images, path = tmp_path / "images", tmp_path / "x.fmi"
    images.mkdir()
    assert refused(InputError, path, network(), images, path, WISH) == (
        f"There is no image in '{images}'.\n\nGive a folder, a list or a tar file with images."
    )
    assert not path.exists()


def test_an_empty_folder_becomes_the_index(tmp_path: Path) -> None:
    path = tmp_path / "x.fmi"
    path.mkdir()
    assert build(write_images(tmp_path / "images", 4), path).images == 4


def test_plain_zarr_and_xarray_open_it(tmp_path: Path) -> None:
    images, path = write_images(tmp_path / "images", 10), tmp_path / "x.fmi"
    build(images, path)
    own = icechunk.Repository.open(icechunk.local_filesystem_storage(str(path)))
    store = own.readonly_session("main").store
    found = content(path)
    for group in ("table", "image", "map", "tail", "block"):
        opened = xarray.open_zarr(store, group=group, consolidated=False)
        wanted = {name.partition("/")[2]: values for name, values in found.items() if name.startswith(f"{group}/")}
        values = {name: opened[name].to_numpy() for name in opened.variables}
        assert values.keys() == wanted.keys()
        assert differences(values, wanted) == []
    table = xarray.open_zarr(store, group="table", consolidated=False)
    assert table["maximum"].dims == ("image", "map")
    assert dict(table.sizes) == {"image": 10, "map": 14}


def test_the_comparison_of_contents_sees_every_difference(tmp_path: Path) -> None:
    build(write_images(tmp_path / "images", 8), tmp_path / "x.fmi")
    one = content(tmp_path / "x.fmi")
    for name, values in one.items():
        other: Any = {**values, "more": 1} if isinstance(values, dict) else values.copy()
        if not isinstance(values, dict):
            if not values.size:
                continue
            other.flat[0] = other.flat[0] + (1 if values.dtype.kind in "iuf" else "x")
        assert differences(one, {**one, name: other}) == [name]
    assert differences(one, {}) == sorted(one)


def test_images_of_half_the_digits(tmp_path: Path) -> None:
    half = fm.trace(module().to(torch.bfloat16), inputs=torch.zeros(1, *SHAPE, dtype=torch.bfloat16))
    images = torch.rand(3, *SHAPE).bfloat16()
    index = fm.Index.build(half, images, tmp_path / "half.fmi")
    assert index.images == 3
    maps = half.maps(images[1:2], index.layers[0])[index.layers[0]].values
    assert index.top(f"{index.layers[0]}/0", subset=[1]).examples[0].value == maps[0, 0].max()


BUILDS_AT_ONCE = """
import sys, threading, torch
import featmap as fm
torch.set_num_threads(2)
net = fm.trace(torch.nn.Sequential(torch.nn.Conv2d(3, 64, 3), torch.nn.ReLU()), (3, 64, 64))
images = torch.rand(60, 3, 64, 64)
def build(number):
    print(fm.Index.build(net, images, f"{sys.argv[1]}/{number}.fmi", block=8, progress=False).images)
build(0)
threads = [threading.Thread(target=build, args=(number,)) for number in (1, 2)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


def test_builds_at_once_where_numba_has_its_own_threads(tmp_path: Path) -> None:
    """That pool takes one pass at a time and ends the process at a second."""
    environment = {**os.environ, "NUMBA_THREADING_LAYER": "workqueue"}
    command = [sys.executable, "-c", BUILDS_AT_ONCE, str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout.split()) == (0, ["60"] * 3), done.stderr
