"""Interrupted builds: the index holds whole blocks of what it had, and continues to the same content."""

from __future__ import annotations

import errno
import os
import random
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from builder_process import Builders
from durable_cases import BLOCK, COUNT, WISH, build, content, differences, module, plain_group, write_images

import featmap as fm
from featmap.errors import IndexBroken, IndexBusy
from featmap.index.build.build import build_index
from featmap.index.schema.wish import Wish
from featmap.index.store import writer
from featmap.index.store.storage import created
from featmap.index.verify.verify import verify
from featmap.run.program.program import Program
from support.model_state import assert_same_state, model_state

KILLS = 30


@pytest.fixture(scope="module")
def builders() -> Iterator[Builders]:
    started = Builders()
    yield started
    started.close()


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_images(tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="module")
def undisturbed(images: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = tmp_path_factory.mktemp("undisturbed") / "photos.fmi"
    build(images, path)
    return content(path)


def held(path: Path) -> int:
    """How many images a sound index of whole blocks holds; -1 where nothing has begun."""
    if not path.exists():
        return -1
    assert verify(path).problems == ()
    root = plain_group(path)
    blocks: Any = root["block/images"][...]
    images: Any = root["image/name"]
    assert blocks.tolist() == [BLOCK] * len(blocks)
    assert images.shape == (blocks.sum(),)
    return int(blocks.sum())


def test_a_builder_killed_at_any_moment_leaves_whole_blocks_and_the_next_goes_on(
    builders: Builders, images: Path, undisturbed: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "photos.fmi"
    for name in ("first", "timed"):  # the first one also compiles the kernels
        began = time.perf_counter()
        assert builders.end(builders.start(images, tmp_path / name)) == 0
        whole_s = time.perf_counter() - began
    chance = random.Random(5)
    kills, before, seen = 0, -1, set[int]()
    while kills < KILLS:
        pid = builders.start(images, path)
        # Beginnings are short, and are hit as often as the rest.
        time.sleep(whole_s * chance.random() ** 2)
        if builders.has_ended(pid):
            assert builders.end(pid) == 0
            assert differences(content(path), undisturbed) == []
            shutil.rmtree(path)
            before = -1
            continue
        builders.kill(pid)
        kills += 1
        now = held(path)
        assert now >= before
        before = now
        seen.add(now)
    assert builders.end(builders.start(images, path)) == 0
    assert held(path) == COUNT
    assert differences(content(path), undisturbed) == []
    assert len(seen) > 5
    left = [entry.name for entry in tmp_path.rglob("*") if entry.name.endswith(".part") or "#" in entry.name]
    assert left == []


class Interrupted(Exception):
    """Stands for any error that is not ours."""


@pytest.mark.parametrize(
    ("where", "error"),
    [
        ("progress", KeyboardInterrupt),
        ("network", KeyboardInterrupt),
        ("network", Interrupted),
        ("commit", KeyboardInterrupt),
    ],
)
def test_an_interrupt_leaves_whole_blocks_and_the_model_as_it_was(
    monkeypatch: pytest.MonkeyPatch,
    images: Path,
    undisturbed: dict[str, Any],
    tmp_path: Path,
    error: type[BaseException],
    where: str,
) -> None:
    path, own = tmp_path / "photos.fmi", module()
    net = fm.trace(own, (3, 12, 12))._captured
    before = model_state(own)
    with monkeypatch.context() as patch:
        after = Counted(error(), 6)
        if where == "network":
            plain = Program.each
            patch.setattr(Program, "each", lambda *given: after.then(lambda: plain(*given)))
        elif where == "commit":
            committed = writer._commit
            patch.setattr(writer, "_commit", lambda *given: after.then(lambda: committed(*given)))
        with pytest.raises(error):
            build_index(net, images, path, WISH, progress=after if where == "progress" else None)
    assert_same_state(before, model_state(own))
    assert 0 < held(path) < COUNT
    build(images, path)
    left_out = differences(content(path), undisturbed)
    assert left_out == [""]  # only the name of the model


class Counted:
    """Raises an error when it is called for the `last` time."""

    def __init__(self, error: BaseException, last: int) -> None:
        self.error, self.left = error, last

    def __call__(self, *_: Any) -> None:
        self.left -= 1
        if not self.left:
            raise self.error

    def then(self, work: Any) -> Any:
        self()
        return work()


FULL = "'{}': no space left on the disk.\n\nMake room and go on: build again."


@pytest.mark.parametrize(
    ("name", "call"),
    [("_rewrite", 1), ("_commit", 1), ("_append", 1), ("_append", 30), ("_rewrite", 3), ("_commit", 4), ("_skip", 4)],
)
def test_a_full_disk_is_named_and_nothing_is_lost(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, call: int
) -> None:
    images, path = write_images(tmp_path / "images", 4 * BLOCK), tmp_path / "photos.fmi"
    build(images, tmp_path / "undisturbed.fmi")
    owner = writer.Writer if name == "_skip" else writer
    plain, after = getattr(owner, name), Counted(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), call)
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, lambda *given: after.then(lambda: plain(*given)))
        with pytest.raises(IndexBroken) as caught:
            build(images, path)
    assert str(caught.value) == FULL.format(path)
    assert caught.value.exit_code == 1
    assert held(path) < 4 * BLOCK
    build(images, path)
    assert differences(content(path), content(tmp_path / "undisturbed.fmi")) == []


@pytest.mark.parametrize("size_kib", [8, 64, 200, 300])
def test_a_disk_that_is_really_full(
    builders: Builders, images: Path, undisturbed: dict[str, Any], tmp_path: Path, size_kib: int
) -> None:
    disk, outcome = tmp_path / "disk", tmp_path / "outcome"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size_kib}k", "tmpfs", disk], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"no disk can be mounted: {mounted.stderr.decode().strip()}")
    try:
        path = disk / "photos.fmi"
        assert builders.end(builders.start(images, path, outcome)) == 1
        assert outcome.read_text() == "IndexBroken: " + FULL.format(path)
        assert held(path) < COUNT
        subprocess.run(["mount", "-o", "remount,size=64m", disk], check=True)
        assert builders.end(builders.start(images, path, outcome)) == 0
        assert differences(content(path), undisturbed) == []
    finally:
        subprocess.run(["umount", disk], check=True)


BUSY = "'{}' is being built by another process.\n\nWait until it is done, then build again."


def wait_for(file: Path) -> None:
    end = time.perf_counter() + 60
    while not file.exists():
        assert time.perf_counter() < end
        time.sleep(0.01)


def test_a_second_builder_is_refused_until_the_first_is_gone(
    builders: Builders, images: Path, undisturbed: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "photos.fmi"
    first = builders.start(images, path)
    wait_for(path / "builder.lock")
    time.sleep(0.2)
    with pytest.raises(IndexBusy) as caught:
        build(images, path)
    assert str(caught.value) == BUSY.format(path)
    assert caught.value.exit_code == 1
    assert not builders.has_ended(first)
    builders.kill(first)
    build(images, path)
    assert differences(content(path), undisturbed) == []


def test_a_builder_that_is_overtaken_while_it_begins_leaves_the_other_s_index(images: Path, tmp_path: Path) -> None:
    path, files = tmp_path / "photos.fmi", sorted(images.rglob("*.png"))[:8]

    def overtaken() -> None:
        with created(path):
            build(files, path)

    with pytest.raises(IndexBusy) as caught:
        overtaken()
    assert str(caught.value) == BUSY.format(path)
    with pytest.raises(IndexBusy) as caught, created(path):
        pass
    assert str(caught.value) == BUSY.format(path)
    assert held(path) == 8
    assert [entry.name for entry in tmp_path.iterdir()] == ["photos.fmi"]


def test_a_first_build_that_another_has_just_finished_says_so(tmp_path: Path) -> None:
    """Between the rename and the sweep the slower one's own folder is still there."""
    path = tmp_path / "photos.fmi"
    with pytest.raises(IndexBusy) as caught, created(path):
        (path / "anything").mkdir(parents=True)
    assert str(caught.value) == BUSY.format(path)


def test_builders_that_begin_at_the_same_instant_make_one_index(
    builders: Builders, images: Path, undisturbed: dict[str, Any], tmp_path: Path
) -> None:
    for number in range(3):
        path = tmp_path / f"{number}.fmi"
        outcomes = [tmp_path / f"{number} {each}" for each in range(3)]
        started = [builders.start(images, path, outcome) for outcome in outcomes]
        codes = sorted(builders.end(pid) for pid in started)
        said = [outcome.read_text() for outcome in outcomes if outcome.exists()]
        assert codes == [0, 1, 1]
        assert said == ["IndexBusy: " + BUSY.format(path)] * 2
        assert differences(content(path), undisturbed) == []
    assert not [entry for entry in tmp_path.iterdir() if entry.name.endswith(".part")]


def test_what_killed_builders_left_is_swept_away(images: Path, tmp_path: Path) -> None:
    path, files = tmp_path / "photos.fmi", sorted(images.rglob("*.png"))[:8]
    build(files[:4], path)
    begun, others = tmp_path / ".photos.fmi.0123abcd.part" / "refs", tmp_path / ".other.fmi.0123abcd.part"
    half, lost = path / "chunks" / "0DKAM0MVGCV1FJ9BZ9VG#1", path / "chunks" / "0DKAM0MVGCV1FJ9BZ9VG"
    for folder in (begun, others):
        folder.mkdir(parents=True)
    for file in (half, lost):
        file.write_bytes(bytes(100))
    build(files, path)
    assert not any(left.exists() for left in (begun.parent, half, lost))
    assert others.exists()
    assert held(path) == 8


def bytes_in(path: Path) -> int:
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def test_older_states_do_not_fill_the_disk(images: Path, tmp_path: Path) -> None:
    long, single, daily = (tmp_path / name for name in ("long.fmi", "single.fmi", "daily.fmi"))
    build(images, long, Wish(block=1))
    build(images, single, Wish(block=COUNT))
    files = sorted(images.rglob("*.png"))
    for count in range(4, COUNT + 1, 4):
        build(files[:count], daily, Wish(block=COUNT))
    assert bytes_in(long) < 3 * bytes_in(single)
    assert bytes_in(daily) < 3 * bytes_in(single)


def test_a_reader_may_end_its_question_while_a_block_is_added(images: Path, tmp_path: Path) -> None:
    from featmap.index.store.snapshot import Snapshot

    path, files = tmp_path / "photos.fmi", sorted(images.rglob("*.png"))
    build(files[:8], path)
    reader = Snapshot.of(path)
    build(files[:12], path)
    assert len(reader.read("table/maximum")) == 8
    assert reader.tail(0).shape[0] == 6


def test_a_damaged_past_stops_no_build(images: Path, tmp_path: Path) -> None:
    path, files = tmp_path / "photos.fmi", sorted(images.rglob("*.png"))
    build(files[:8], path)
    import icechunk

    states = list(icechunk.Repository.open(icechunk.local_filesystem_storage(str(path))).ancestry(branch="main"))
    (path / "snapshots" / states[1].id).unlink()
    assert not verify(path).is_sound
    assert build(files[:12], path).added == 4
    assert plain_group(path)["image/name"].shape == (12,)  # type: ignore[union-attr]
