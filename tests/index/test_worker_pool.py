"""The worker pool of a Ray cluster: order, bounds and deaths, on a fake cluster that a test controls."""

from __future__ import annotations

import io
import pickle
import tarfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray_cases
import torch
from fake_ray import FakeRay
from index_content import assert_same_content
from PIL import Image

from featmap.errors import ImageBroken, SettingError, WorkError
from featmap.images.containers.tar_files import TarMember
from featmap.images.entries import batched, entries
from featmap.images.entry import Entry
from featmap.images.pictures import PictureConverted
from featmap.images.reading import read_image
from featmap.index.build import ray_pool, worker
from featmap.index.build.build import build_index
from featmap.index.build.engine import Work
from featmap.index.build.local import LocalEngine
from featmap.index.build.measure import Block
from featmap.index.build.ray_cluster import processors_each, share_of, workers_for
from featmap.index.build.ray_engine import RayEngine
from featmap.index.build.ray_pool import block_bytes, ray_blocks
from featmap.index.build.worker import portable
from featmap.index.schema.describe import describe
from featmap.index.schema.description import Description
from featmap.index.schema.totals import Totals
from featmap.index.schema.wish import Wish
from featmap.network.network import CapturedNetwork
from featmap.statistics.array_types import Floats


@pytest.fixture(scope="module")
def network() -> CapturedNetwork:
    return ray_cases.network()


@pytest.fixture(scope="module")
def description(network: CapturedNetwork) -> Description:
    return describe(network, Wish(block=3, top_k=5, full=["0"]), 20)


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    """Workers of the cluster in this process set the number of threads."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def ask(monkeypatch: pytest.MonkeyPatch, ray: FakeRay, network: CapturedNetwork, description: Description, **more: Any):
    monkeypatch.setattr(ray_pool, "connected", ray.connected)
    return ray_blocks(work(network, description, **more), 2, None)


def work(network: CapturedNetwork, description: Description, **more: Any) -> Work:
    settings = {"parts": parts_of(20), "tried": 0, "floors": lambda: no_floors(description), **more}
    return Work(network, description, **settings)


def measured_here(network: CapturedNetwork, description: Description, **more: Any) -> list[Block]:
    return [finish() for finish in LocalEngine().run(work(network, description, **more))]


def parts_of(count: int) -> Iterator[list[Entry]]:
    return batched(entries(ray_cases.arrays(count)), 3)


def no_floors(description: Description) -> list[Floats]:
    return [np.full(layer.channels, -np.inf, np.float32) for layer in description.layers]


def names_of(blocks: list[Block]) -> list[str]:
    return [image.entry.name for block in blocks for image in block.images]


def test_what_workers_warn_of_is_said_by_the_driver(
    monkeypatch: pytest.MonkeyPatch, network: CapturedNetwork, description: Description
) -> None:
    """A worker's own terminal is read by nobody: what featmap warns of there is said here, once per block."""
    images = [Image.fromarray(np.dstack([array, array[..., 0]])) for array in ray_cases.arrays(6)]
    parts = list(batched(entries(images), 3))
    words = "of some pictures transparency is left out, and what is below it is seen"
    inside: list[str] = []

    class Watched(worker.Worker):
        def block(self, *args: Any) -> Block:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                block = super().block(*args)
            inside.extend(str(one.message) for one in caught)
            return block

    monkeypatch.setattr(ray_pool, "Worker", Watched)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        blocks = list(ask(monkeypatch, FakeRay(), network, description, parts=iter(parts)))
    assert len(names_of(blocks)) == 6
    assert [(one.category, str(one.message)) for one in caught] == [(PictureConverted, words)] * 2
    assert not inside


@pytest.mark.parametrize("seed", range(8))
def test_blocks_come_in_order_and_are_those_of_this_machine(
    monkeypatch: pytest.MonkeyPatch, network: CapturedNetwork, description: Description, seed: int
) -> None:
    ticks: list[int] = []
    ray = FakeRay(seed=seed)
    found = list(ask(monkeypatch, ray, network, description, tried=7, tick=ticks.append))
    expected = measured_here(network, description, tried=7)
    assert names_of(found) == names_of(expected) == [f"image {number}" for number in range(20)]
    for ours, theirs in zip(found, expected, strict=True):
        assert (ours.tried, ours.skipped) == (theirs.tried, theirs.skipped)
        assert [image.digest for image in ours.images] == [image.digest for image in theirs.images]
        np.testing.assert_allclose(ours.table.mean, theirs.table.mean, rtol=1e-5)
        # Over which places maps are correlated depends on the number of images before.
        for one, other in zip(ours.totals.comoments, theirs.totals.comoments, strict=True):
            assert one is not None
            assert other is not None
            np.testing.assert_allclose(one.products, other.products, rtol=1e-5, atol=1e-5)
    assert sum(ticks) == 20
    assert ray.living == 0


def test_no_more_than_two_parts_per_worker_are_held(
    monkeypatch: pytest.MonkeyPatch, network: CapturedNetwork, description: Description
) -> None:
    taken = yielded = 0

    def parts() -> Iterator[list[Entry]]:
        nonlocal taken
        for part in parts_of(60):
            taken += 1
            yield part

    ray = FakeRay(seed=3)
    for _ in ask(monkeypatch, ray, network, description, parts=parts()):
        yielded += 1
        assert taken - yielded < 4
    assert (taken, yielded) == (20, 20)


def test_without_parts_no_cluster_is_asked(network: CapturedNetwork, description: Description) -> None:
    assert list(RayEngine(address="nowhere:1").run(work(network, description, parts=[]))) == []


def test_floors_are_sent_once_per_block_that_was_taken(
    monkeypatch: pytest.MonkeyPatch, network: CapturedNetwork, description: Description
) -> None:
    ray = FakeRay()
    blocks = list(ask(monkeypatch, ray, network, description))
    # The network and the task besides.
    assert ray.put_count <= 2 + 1 + len(blocks)


@pytest.mark.parametrize("seed", range(8))
def test_parts_of_workers_that_die_are_measured_again(
    monkeypatch: pytest.MonkeyPatch, network: CapturedNetwork, description: Description, seed: int
) -> None:
    deaths = 0

    def dies(method: str, _: tuple[Any, ...]) -> bool:
        nonlocal deaths
        is_death = ray.random.random() < 0.25 and deaths < 12
        deaths += is_death
        return is_death

    ray = FakeRay(dies, seed)
    monkeypatch.setattr(ray_pool, "_ATTEMPTS", 99)
    found = list(ask(monkeypatch, ray, network, description))
    assert names_of(found) == [f"image {number}" for number in range(20)]
    assert deaths
    assert len(ray.actors) == 2 + deaths
    assert ray.living == 0


def test_a_part_over_which_every_worker_dies_is_named(
    monkeypatch: pytest.MonkeyPatch, network: CapturedNetwork, description: Description
) -> None:
    def dies(method: str, arguments: tuple[Any, ...]) -> bool:
        return method == "block" and arguments[0][0].name == "image 9"

    ray = FakeRay(dies)
    found: list[Block] = []
    with pytest.raises(WorkError) as caught:
        found.extend(ask(monkeypatch, ray, network, description))
    assert str(caught.value) == (
        "Workers of the Ray cluster died 4 times on the 3 images from 'image 9' to 'image 11'; the last one: "
        "the process ... was killed\n\nWhat was committed before is kept, and building again goes on from there. Where "
        "memory ran out, take fewer workers or smaller blocks; Ray's logs may say more."
    )
    assert names_of(found) == [f"image {number}" for number in range(9)]
    assert ray.living == 0


def test_workers_that_die_at_the_beginning_end_it(
    monkeypatch: pytest.MonkeyPatch, network: CapturedNetwork, description: Description
) -> None:
    ray = FakeRay(lambda method, _: method == "begin")
    with pytest.raises(WorkError, match=r"^Workers of the Ray cluster died 4 times at startup; the last one: "):
        list(ask(monkeypatch, ray, network, description))
    assert ray.living == 0


def test_what_fails_there_fails_here_as_the_same_exception(
    monkeypatch: pytest.MonkeyPatch, network: CapturedNetwork, description: Description
) -> None:
    ray = FakeRay()
    parts = batched(entries([*ray_cases.arrays(5), object]), 3)
    with pytest.raises(ImageBroken, match="is not an image"):
        list(ask(monkeypatch, ray, network, description, parts=parts, strict=True))
    assert ray.living == 0


def test_workers_end_when_blocks_are_no_longer_wanted(
    monkeypatch: pytest.MonkeyPatch, network: CapturedNetwork, description: Description
) -> None:
    ray = FakeRay()
    monkeypatch.setattr(ray_pool, "connected", ray.connected)
    measured = RayEngine(workers=2).run(work(network, description))
    assert names_of([next(measured)()]) == ["image 0", "image 1", "image 2"]
    assert ray.living == 2
    measured.close()
    assert ray.living == 0


def test_floors_do_not_change_the_content(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, network: CapturedNetwork
) -> None:
    ray = FakeRay(seed=1)
    monkeypatch.setattr(ray_pool, "connected", ray.connected)
    monkeypatch.setattr("featmap.index.build.ray_cluster.imported_ray", lambda: ray)
    wish = Wish(block=3, quantile_bytes=11 * 4 * 20)
    images = ray_cases.arrays(40)
    build_index(network, images, tmp_path / "ray", wish, RayEngine(workers=2))
    build_index(network, images, tmp_path / "local", wish)
    assert_same_content(tmp_path / "ray", tmp_path / "local")
    build_index(network, ray_cases.arrays(40, seed=1), tmp_path / "other", wish)
    with pytest.raises(AssertionError):
        assert_same_content(tmp_path / "other", tmp_path / "local")


def contents(folder: Path) -> dict[str, Any]:
    """One entry's content of every kind, readable and not."""
    array = ray_cases.arrays(1)[0]
    png, damaged, palette, deep = (folder / f"{name}.png" for name in ("whole", "damaged", "palette", "deep"))
    Image.fromarray(array).save(png)
    damaged.write_bytes(png.read_bytes()[:-300])
    picture = Image.fromarray(array).quantize(8)
    picture.save(palette, transparency=0)
    Image.fromarray(array[..., 0].astype(np.uint16) * 200).save(deep)
    with tarfile.open(folder / "all.tar", "w") as tar:
        tar.add(png, "whole.png")
    with tarfile.open(folder / "all.tar") as tar:
        member = tar.getmember("whole.png")
        held = TarMember(folder / "all.tar", member.name, member.offset_data, member.size)
    return {
        "a path": png,
        "no such path": folder / "none.png",
        "a damaged file": damaged,
        "bytes": png.read_bytes(),
        "a member of a tar": held,
        "an array": array,
        "a picture in memory": Image.fromarray(array),
        "a picture still in its file": Image.open(png),
        "a picture with a palette": Image.open(palette),
        "a picture of 16 bits": Image.open(deep),
        "a damaged picture": Image.open(damaged),
        "a tensor with gradients": (torch.rand(3, 22, 18, requires_grad=True) * 2),
        "a part of a large tensor": torch.rand(1000, 3, 22, 18)[7],
        "a generator": (number for number in range(3)),
        "two pictures": [Image.fromarray(array), array],
    }


def test_entries_of_every_kind_travel(tmp_path: Path, network: CapturedNetwork) -> None:
    for name, content in contents(tmp_path).items():
        entry = Entry(name, "label", content)
        data = pickle.dumps(portable(network, entry))
        assert len(data) < 50_000, name
        here, there = read_image(network, entry), read_image(network, pickle.loads(data))
        assert (there.digest, there.size, there.problem) == (here.digest, here.size, here.problem), name
        assert (there.values is None) == (here.values is None) == bool(here.problem), name
        assert there.values is None or torch.equal(there.values, here.values), name
        if isinstance(content, Image.Image):
            content.close()


def test_pictures_do_not_come_back(network: CapturedNetwork, description: Description) -> None:
    image = Image.fromarray(ray_cases.arrays(1)[0])
    buffer = io.BytesIO()
    image.save(buffer, "png")
    part = [Entry("one", "label", image, "where"), Entry("two", "", buffer.getvalue())]
    (block,) = measured_here(network, description, parts=[part])
    assert block.images[0].entry.content is image
    returned = worker._without_pictures(block)
    assert [one.entry for one in returned.images] == [Entry("one", "label", None, "where"), Entry("two", "", None)]
    assert [one.digest for one in returned.images] == [one.digest for one in block.images]


def test_the_size_of_a_block_is_about_what_it_takes(network: CapturedNetwork) -> None:
    description = describe(network, Wish(block=32, full=["0"]), 100)
    part = list(entries(ray_cases.arrays(32)))
    (block,) = measured_here(network, description, parts=[part])
    assert isinstance(block.totals, Totals)
    size = len(pickle.dumps(worker._without_pictures(block)))
    assert 0.8 * size < block_bytes(description) < 1.3 * size


def test_shares_of_a_cluster() -> None:
    assert [workers_for(nodes) for nodes in ([1], [2], [16], [4, 4, 0], [])] == [1, 1, 4, 2, 0]
    assert processors_each([2], 2) == 1
    assert processors_each([8], 3) == 2
    assert processors_each([], 3) == 1
    for workers in range(1, 40):
        assert workers * processors_each([7], workers) <= 7 + 1e-9
    share = share_of(FakeRay(), None, on_gpu=False)
    assert (share.workers, share.processors, share.gpus, share.threads) == (1, 2, 0.0, 2)
    assert share_of(FakeRay(), 5, on_gpu=False).threads == 1


@pytest.mark.parametrize("workers", [0, -1, True, 1.5])
def test_a_wrong_number_of_workers_is_said(workers: Any) -> None:
    with pytest.raises(SettingError) as caught:
        RayEngine(workers).check()
    assert str(caught.value) == f"workers is {workers!r}.\n\nGive a whole number from 1 on."


def test_a_cluster_without_what_is_asked_for_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = FakeRay()
    with pytest.raises(SettingError) as caught:
        share_of(ray, 1, on_gpu=True)
    assert str(caught.value) == "The Ray cluster has no GPU.\n\nBuild with device cpu."
    monkeypatch.setattr(ray, "nodes", list)
    with pytest.raises(SettingError) as caught:
        share_of(ray, None, on_gpu=False)
    assert str(caught.value) == "The Ray cluster has no processor yet.\n\nSay how many workers to use."
