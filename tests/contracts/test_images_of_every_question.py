"""Every question takes every kind of images, and answers the same of all of them."""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import featmap as fm
from featmap.errors import ImageBroken, InputError
from featmap.geometry import Box
from featmap.methods.shared.occlusion import OcclusionMap
from featmap.methods.shared.projection import Projection

COUNT, SIZE = 3, (12, 10)
PICTURES = [
    Image.fromarray(np.random.default_rng(number).integers(0, 256, (*SIZE, 3), np.uint8)) for number in range(COUNT)
]


def made() -> fm.Network:
    torch.manual_seed(3)
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5))
    return fm.trace(module, (3, *SIZE), preprocessing=fm.Preprocessing(None, SIZE, (0.5,) * 3, (0.25,) * 3))


NET = made()
VALUES: Tensor = torch.stack([NET.preprocessing(picture, 3) for picture in PICTURES])


class Dataset(torch.utils.data.Dataset[Any]):
    def __len__(self) -> int:
        return COUNT

    def __getitem__(self, number: int) -> Any:
        return VALUES[number], number


def saved(folder: Path) -> list[Path]:
    paths = [folder / "photos" / f"{number}.png" for number in range(COUNT)]
    paths[0].parent.mkdir()
    for picture, path in zip(PICTURES, paths, strict=True):
        picture.save(path)
    return paths


def list_file(folder: Path) -> str:
    saved(folder)
    text = "path,label\n" + "".join(f"photos/{number}.png,l{number}\n" for number in range(COUNT))
    (folder / "list.csv").write_text(text)
    return str(folder / "list.csv")


def tar_file(folder: Path, name: str, mode: str) -> Path:
    with tarfile.open(folder / name, mode) as tar:
        for path in saved(folder):
            tar.add(path, path.name)
    return folder / name


def folders(folder: Path) -> list[Any]:
    paths = saved(folder)
    other = folder / "more"
    other.mkdir()
    paths[-1].rename(other / "0.png")
    return [folder / "photos", str(other)]


KINDS: dict[str, Callable[[Path], Any]] = {
    "a list of paths": lambda folder: [str(path) for path in saved(folder)],
    "a tuple of paths": lambda folder: tuple(saved(folder)),
    "a folder": lambda folder: saved(folder)[0].parent,
    "folders in a list": folders,
    "a glob": lambda folder: f"{saved(folder)[0].parent}/*.png",
    "a list file": list_file,
    "a tar file": lambda folder: tar_file(folder, "photos.tar", "w:"),
    "a compressed tar file": lambda folder: str(tar_file(folder, "photos.tar.gz", "w:gz")),
    "pictures": lambda _: list(PICTURES),
    "pictures one by one": lambda _: iter(PICTURES),
    "pairs with labels": lambda _: [(picture, number) for number, picture in enumerate(PICTURES)],
    "arrays": lambda _: [np.asarray(picture) for picture in PICTURES],
    "bytes of files": lambda folder: [path.read_bytes() for path in saved(folder)],
    "nested lists": lambda _: [PICTURES[:1], [PICTURES[1:]]],
    "a tensor": lambda _: VALUES,
    "tensors in a list": lambda _: list(VALUES),
    "a tensor in a list": lambda _: [VALUES],
    "a dataset": lambda _: Dataset(),
}


def built(images: Any, folder: Path) -> Any:
    fm.Index.build(NET, images, folder / "x.fmi", progress=False)
    return fm.Index.open(folder / "x.fmi").top("0:a/1").examples


QUESTIONS: dict[str, Callable[[Any, Path], Any]] = {
    "maps": lambda images, _: NET.maps(images, "0:z", progress=False)["0:z"].values,
    "occlude": lambda images, _: torch.stack(
        [torch.from_numpy(found.grid) for found in NET.occlude(images, None, 4, 3, progress=False)]
    ),
    "project": lambda images, _: torch.stack([found.values for found in NET.project(images, 2, progress=False)]),
    "sheet": lambda images, _: torch.tensor(
        [example.value for example in NET.sheet(images, "0", [1], 3, progress=False).examples[1]]
    ),
    "index": lambda images, folder: torch.tensor([example.value for example in built(images, folder)]),
}
# An index names images one by one, and skips an item that holds several.
PAIRS = [
    (kind, question) for kind in KINDS for question in QUESTIONS if (kind, question) != ("a tensor in a list", "index")
]


@pytest.mark.parametrize(("kind", "question"), PAIRS)
def test_every_kind(kind: str, question: str, tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "other").mkdir()
    found = QUESTIONS[question](KINDS[kind](tmp_path / "one"), tmp_path / "one")
    wanted = QUESTIONS[question](VALUES, tmp_path / "other")
    torch.testing.assert_close(found, wanted, rtol=1e-6, atol=1e-6)


ONE: dict[str, Callable[[Path], Any]] = {
    "a path": lambda folder: saved(folder)[0],
    "a picture": lambda _: PICTURES[0],
    "an array": lambda _: np.asarray(PICTURES[0]),
    "bytes": lambda folder: saved(folder)[0].read_bytes(),
    "a tensor": lambda _: VALUES[0],
    "a batch of one": lambda _: VALUES[:1],
}


@pytest.mark.parametrize("kind", list(ONE))
def test_one_image_gives_one_answer(kind: str, tmp_path: Path) -> None:
    image = ONE[kind](tmp_path)
    assert isinstance(NET.occlude(image, None, 4, 3, progress=False), OcclusionMap)
    assert isinstance(NET.project(image, 2, progress=False), Projection)
    assert NET.explain(image, "0:z/1@2,3").value == pytest.approx(
        float(NET.maps(VALUES[:1], "0:z")["0:z"].values[0, 1, 2, 3])
    )
    assert NET.contributions(image, "0/1").address == "0:conv/1"
    assert NET.draw_field(image, "0:a/1@2,3").box == Box(2, 3, 5, 6)


@pytest.mark.parametrize("kind", ["a folder", "a tar file", "pictures one by one", "a dataset"])
def test_several_images_where_one_is_meant(kind: str, tmp_path: Path) -> None:
    for number, (ask, words) in enumerate(
        (
            (lambda images: NET.explain(images, "0:z/1@2,3"), "one value belongs to one"),
            (lambda images: NET.contributions(images, "0/1"), "contributions belong to one"),
        )
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        with pytest.raises(InputError) as caught:
            ask(KINDS[kind](folder))
        assert str(caught.value) == f"3 images were given; {words}.\n\nGive one image."


def broken_last(folder: Path) -> Path:
    paths = saved(folder)
    paths[-1].write_bytes(b"nothing of the kind")
    return paths[0].parent


@pytest.mark.parametrize("question", ["maps", "occlude", "project"])
def test_a_damaged_picture_is_named_before_anything_is_computed(question: str, tmp_path: Path) -> None:
    asked: list[tuple[int, int]] = []
    folder = broken_last(tmp_path)
    progress = {"progress": lambda done, total: asked.append((done, total))}
    ask: dict[str, Callable[[], Any]] = {
        "maps": lambda: NET.maps(folder, "0:z", **progress),
        "occlude": lambda: NET.occlude(folder, 1, 4, 3, **progress),
        "project": lambda: NET.project(folder, 2, **progress),
    }
    with pytest.raises(ImageBroken, match=r"^'2\.png' is not an image that featmap can read\."):
        ask[question]()
    assert not asked


def test_a_folder_is_a_sheet_without_what_is_damaged(tmp_path: Path) -> None:
    found = NET.sheet(broken_last(tmp_path), "0", [1], progress=False)
    assert found.images == 2
    assert [name for name, _ in found.skipped] == ["2.png"]


def sized(*shapes: tuple[int, int]) -> Iterator[Tensor]:
    generator = torch.Generator().manual_seed(4)
    return (torch.rand(3, *shape, generator=generator) for shape in shapes)


def test_images_of_several_sizes_are_each_answered_as_alone() -> None:
    images = list(sized((12, 10), (14, 10), (12, 10), (9, 16)))
    for together, image in zip(NET.occlude(images, 3, 4, 3, progress=False), images, strict=True):
        np.testing.assert_array_equal(together.grid, NET.occlude(image, 3, 4, 3, progress=False).grid)
    for together, image in zip(NET.project(images, 3, progress=False), images, strict=True):
        assert torch.equal(together.values, NET.project(image, 3, progress=False).values)
    with pytest.raises(InputError) as caught:
        NET.maps(images, "0:z")
    assert str(caught.value) == (
        "'image 1' is 3 x 14 x 10; the first image is 3 x 12 x 10.\n\nGive images of one size."
    )


def test_progress_counts_all_windows_of_all_sizes() -> None:
    asked: list[tuple[int, int]] = []
    found = NET.occlude(list(sized((12, 10), (14, 10))), 3, 4, 3, progress=lambda *done: asked.append(done))
    total = sum(one.windows.count for one in found)
    assert asked[-1] == (total, total)
    assert {each for _, each in asked} == {total}
    assert [done for done, _ in asked] == sorted(done for done, _ in asked)


def test_what_images_of_one_size_share_is_planned_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from featmap.run import occlusion, projection
    from featmap.run.program.program import Program

    folded: list[Any] = []
    before = Program.__init__

    def counted(self: Any, *args: Any, **kwargs: Any) -> None:
        folded.append(self)
        before(self, *args, **kwargs)

    monkeypatch.setattr(Program, "__init__", counted)
    assert occlusion.Program is projection.Program is Program
    for ask in (
        lambda images: NET.occlude(images, None, 4, 3, progress=False),
        lambda images: NET.project(images, None, progress=False),
    ):
        folded.clear()
        ask(VALUES[:1])
        alone = len(folded)
        folded.clear()
        ask(VALUES)
        assert len(folded) == alone > 0


def test_the_predicted_class_takes_no_run_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    from featmap.run.program.program import Program

    ran: list[Any] = []
    before = Program.run

    def counted(self: Any, *args: Any, **kwargs: Any) -> Any:
        ran.append(self)
        return before(self, *args, **kwargs)

    monkeypatch.setattr(Program, "run", counted)
    for ask in (
        lambda target: NET.occlude(VALUES[:1], target, 4, 3, progress=False),
        lambda target: NET.project(VALUES[:1], target, progress=False),
    ):
        ran.clear()
        ask(1)
        named = len(ran)
        ran.clear()
        ask(None)
        assert len(ran) == named
