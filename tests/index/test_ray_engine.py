"""Builds on a Ray cluster of this machine: same content as the local engine, whichever worker dies."""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import ray_cases
from index_content import arrays_of, assert_same_content

from featmap.errors import ImageBroken, MissingPackage, WorkError
from featmap.index.build.build import BuildReport, build_index
from featmap.index.build.engine import Engine
from featmap.index.build.ray_engine import RayEngine
from featmap.index.schema.wish import Wish
from featmap.index.store.snapshot import Snapshot

ray: Any = pytest.importorskip("ray")
# Ray leaves log files open, and its processes to themselves; how many depends on its version.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
WISH = Wish(block=4, top_k=7, full=["0"])
NETWORK = ray_cases.network()


def build(images: Any, path: Path, engine: Engine | None = None, **settings: Any) -> BuildReport:
    return build_index(NETWORK, images, path, WISH, engine, **settings)


def workers_here() -> dict[int, str]:
    """The workers of the cluster that this process started, and what they are doing."""
    found: dict[int, str] = {}
    for process in Path("/proc").iterdir():
        try:
            title = (process / "cmdline").read_text().strip("\0 ")
            if title.startswith("ray::Worker") and _parent(_parent(int(process.name))) == os.getpid():
                found[int(process.name)] = title
        except (OSError, ValueError):
            continue
    return found


def _parent(process: int) -> int:
    found = re.search(r"^PPid:\s*(\d+)", Path(f"/proc/{process}/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1])


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with images, and the index that the local engine makes of them."""
    folder = tmp_path_factory.mktemp("local")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        report = build(ray_cases.mixed(folder / "images"), folder / "index")
    assert len(report.skipped) == 9
    return folder


@pytest.fixture
def images(undisturbed: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The same images; some are paths relative to the folder in which the build runs."""
    monkeypatch.chdir(undisturbed)
    return ray_cases.mixed(undisturbed / "images")


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    try:
        yield
    finally:
        ray.shutdown()


def test_an_interrupted_build_ends_its_cluster_and_goes_on_later(
    images: list[Any], undisturbed: Path, tmp_path: Path
) -> None:
    handler, environment = signal.getsignal(signal.SIGTERM), dict(os.environ)
    living: list[int] = []

    def interrupt(done: int, _: int) -> None:
        living.extend(workers_here())
        if done >= 12:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(images, tmp_path / "index", RayEngine(workers=1), progress=interrupt)
    assert living
    assert not ray.is_initialized()
    _wait_until_gone(living)
    assert signal.getsignal(signal.SIGTERM) is handler
    assert dict(os.environ) == environment
    tried = Snapshot.of(tmp_path / "index").read("block/tried").tolist()
    assert tried == [4] * len(tried)
    assert 0 < len(tried) < 11
    build(images, tmp_path / "index")
    assert_same_content(tmp_path / "index", undisturbed / "index")


def test_nothing_answers_at_an_address(tmp_path: Path) -> None:
    with pytest.raises(
        WorkError, match=r"There is no Ray cluster at 'no such place': .*\n\nGive the address"
    ) as caught:
        build(ray_cases.arrays(1), tmp_path / "index", RayEngine(address="no such place"))
    assert "HOST:PORT; or none, then Ray is started on this machine." in str(caught.value)
    assert not ray.is_initialized()


def test_without_ray_it_is_said_and_nothing_is_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingPackage) as caught:
        build(ray_cases.arrays(1), tmp_path / "index", RayEngine())
    assert str(caught.value) == (
        "The engine 'ray' needs Ray, which cannot be imported (import of ray halted; None in sys.modules).\n\n"
        "Install it: pip install 'featmap[ray]'; or build with the engine 'local'."
    )
    assert not (tmp_path / "index").exists()


@pytest.mark.usefixtures("cluster")
def test_two_workers_of_which_one_is_killed_give_the_same_content(
    images: list[Any], undisturbed: Path, tmp_path: Path
) -> None:
    killed: list[int] = []
    seen: set[int] = set()

    def kill(done: int, _: int) -> None:
        seen.update(workers_here())
        if not killed:
            killed.append(_kill_one())

    report = build(images, tmp_path / "index", RayEngine(workers=2), progress=kill)
    assert killed[0] not in workers_here()
    assert seen - set(killed)
    assert report.images + len(report.skipped) == 44
    assert_same_content(tmp_path / "index", undisturbed / "index")
    reasons = [str(reason) for reason in arrays_of(tmp_path / "index")["skipped/reason"]]
    assert "'images/3.png' is not an image that featmap can read." not in reasons
    assert "There is no image 'images/not there.png'." in reasons
    # Ray was running before.
    assert ray.is_initialized()
    _wait_until_gone(seen)


def _kill_one() -> int:
    """A worker that measures, if there is one just now."""
    found = sorted(workers_here().items(), key=lambda worker: "block" not in worker[1])
    os.kill(found[0][0], signal.SIGKILL)
    return found[0][0]


def _wait_until_gone(processes: Iterable[int]) -> None:
    """Ray ends actors a moment after it was told to."""
    until = time.monotonic() + 10
    while _still_there(processes) and time.monotonic() < until:
        time.sleep(0.05)
    assert not _still_there(processes)


def _still_there(processes: Iterable[int]) -> list[int]:
    return [process for process in processes if Path(f"/proc/{process}/exe").exists()]


@pytest.mark.usefixtures("cluster")
def test_a_strict_build_stops_at_an_image_that_cannot_be_read(images: list[Any], tmp_path: Path) -> None:
    with pytest.raises(ImageBroken, match=r"^'images/3.png' is damaged: .*\n\nMend or leave out this image"):
        build(images, tmp_path / "index", RayEngine(workers=1), strict=True)
    assert Snapshot.of(tmp_path / "index").images == 0
    assert ray.is_initialized()
