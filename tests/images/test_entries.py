"""Entries of datasets: folders, lists, globs, tar files and iterables of images."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import featmap as fm
from featmap.errors import FeatmapError, ImageBroken, ImageMissing, InputError
from featmap.images.entries import count_hint, entries, is_read_at_once
from featmap.images.files import bytes_at
from featmap.images.reading import read_image
from featmap.index.store.snapshot import Snapshot

GIVE = "Give a picture, a folder, a list (.csv, .tsv, .txt), a tar file or a glob."


def picture(shade: int) -> Image.Image:
    return Image.new("RGB", (7, 8), (shade, 255 - shade, shade // 2))


def png(shade: int) -> bytes:
    buffer = io.BytesIO()
    picture(shade).save(buffer, "PNG")
    return buffer.getvalue()


FILES = {
    "cats/a.png": "cats",
    "cats/b.PNG": "cats",
    "dogs/small/ö 犬.jpg": "dogs/small",
    "dogs/c.png": "dogs",
    "top.png": "",
}
OTHERS = ("cats/notes.txt", "cats/.hidden.png", ".cache/d.png", "dogs/.ipynb_checkpoints/c.png", "README", "x.csv.bak")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "photos"
    for shade, name in enumerate((*FILES, *OTHERS)):
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_bytes(png(40 * shade % 250) if name in FILES else b"nothing")
    return made


def listed(images: Any) -> dict[str, str]:
    """The label of every image by its name."""
    found = list(entries(images))
    assert len({entry.name for entry in found}) == len(found)
    return {entry.name: entry.label for entry in found}


def refusal(kind: type[FeatmapError], images: Any) -> str:
    with pytest.raises(kind) as error:
        list(entries(images))
    assert type(error.value) is kind
    return str(error.value)


def network() -> fm.Network:
    torch.manual_seed(0)
    return fm.trace(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), (3, 8, 7), preprocessing=fm.Preprocessing())


def test_a_folder_with_all_below_it(folder: Path) -> None:
    assert listed(folder) == listed(str(folder)) == FILES
    for entry in entries(folder):
        assert Path(entry.path) == (folder / entry.name).absolute()


def test_a_folder_within_a_hidden_one_is_no_hidden_one(tmp_path: Path) -> None:
    hidden = tmp_path / ".photos" / "cats"
    hidden.mkdir(parents=True)
    (hidden / "a.png").write_bytes(png(3))
    assert listed(tmp_path / ".photos") == {"cats/a.png": "cats"}


@pytest.mark.parametrize(("suffix", "between"), [(".csv", ","), (".tsv", "\t"), (".txt", "\t"), (".CSV", ",")])
@pytest.mark.parametrize("heading", ["", "path{}label\n", "Image{}class\n", "filename\n"])
def test_lists(folder: Path, suffix: str, between: str, heading: str) -> None:
    lines = [f"cats/a.png{between}cat", f"dogs/small/ö 犬.jpg{between} a dog ", "", f"top.png{between}", "cats/b.PNG"]
    path = folder / f"list{suffix}"
    path.write_text(heading.format(between) + "\n".join(lines) + "\n", encoding="utf-8")
    expected = {"cats/a.png": "cat", "dogs/small/ö 犬.jpg": "a dog", "top.png": "", "cats/b.PNG": ""}
    assert listed(path) == expected
    assert [Path(entry.path) for entry in entries(path)] == [folder / name for name in expected]


def test_a_list_from_a_spreadsheet(folder: Path) -> None:
    path = folder / "list.csv"
    path.write_bytes('\ufeffpath,label\r\n"cats/a.png","cat, black"\r\n'.encode())
    assert listed(path) == {"cats/a.png": "cat, black"}


def test_lists_that_are_none(folder: Path) -> None:
    form = "Write one line per image: its path (from the list's folder), then its label if it has one."
    path = folder / "list.csv"
    path.write_text("path,label\ncats/a.png,cat\ncats/b.PNG,cat,black\n")
    assert refusal(InputError, path) == f"'{path}', line 3: 'cats/b.PNG,cat,black' is not a path and label.\n\n{form}"
    path.write_text(",cat\n")
    assert refusal(InputError, path) == f"'{path}', line 1: ',cat' is not a path and label.\n\n{form}"
    path.write_bytes("cats/ä.png,cat\n".encode("latin-1"))
    assert refusal(InputError, path).startswith(
        f"'{path}' is not a list of images in UTF-8: 'utf-8' codec can't decode"
    )
    path.write_text("path,label\n")
    give = "Give a folder, a list or a tar file with images."
    assert refusal(InputError, path) == f"There is no image in '{path}'.\n\n{give}"


def test_a_glob(folder: Path) -> None:
    names = sorted(str(folder / name) for name in ("cats/a.png", "dogs/c.png", "top.png"))
    assert list(listed(f"{folder}/**/*.png")) == names
    assert set(listed(f"{folder}/**/*.png").values()) == {""}
    assert refusal(InputError, f"{folder}/*.gif") == (
        f"There is no image in '{folder}/*.gif'.\n\nGive a folder, a list or a tar file with images."
    )


def packed(folder: Path, name: str, mode: Any) -> Path:
    path = folder.parent / name
    with tarfile.open(path, mode) as tar:
        for file in sorted(folder.rglob("*")):
            tar.add(file, f"./{file.relative_to(folder)}" if "dot" in name else str(file.relative_to(folder)), False)
    return path


@pytest.mark.parametrize(
    ("name", "mode"), [("a.tar", "w"), ("b.tar.gz", "w:gz"), ("c.TGZ", "w:gz"), ("d.tar.xz", "w:xz"), ("dot.tar", "w")]
)
def test_tar_files(folder: Path, name: str, mode: str) -> None:
    path = packed(folder, name, mode)
    start = "./" if "dot" in name else ""
    assert listed(path) == {f"{start}{name}": label for name, label in FILES.items()}
    net = network()._captured
    for entry in entries(path):
        read = read_image(net, entry)
        content = (folder / entry.name).read_bytes()
        assert read.problem == ""
        assert read.digest == read_image(net, next(entries([folder / entry.name]))).digest
        assert bytes_at(entry.path) == content
    assert is_read_at_once(path) == (mode == "w")


def test_a_tar_that_is_cut_off(folder: Path) -> None:
    path = packed(folder, "a.tar.gz", "w:gz")
    path.write_bytes(path.read_bytes()[:300])
    assert refusal(ImageBroken, path).startswith(f"'{path}' is not a readable tar file: ")
    path.write_bytes(b"nothing of the kind")
    assert refusal(ImageBroken, path).endswith("\n\nMake or copy it again.")


def test_one_picture(folder: Path) -> None:
    assert listed(folder / "top.png") == {str(folder / "top.png"): ""}
    assert listed(picture(3)) == {"image 0": ""}
    assert listed(np.zeros((8, 7, 3), np.uint8)) == {"image 0": ""}
    assert refusal(ImageMissing, folder / "none.png") == (f"There is no image '{folder / 'none.png'}'.\n\n{GIVE}")


class Dataset(torch.utils.data.Dataset[Any]):
    """Of the map kind: a length and an item, which raises nothing at the end."""

    def __len__(self) -> int:
        return 3

    def __getitem__(self, number: int) -> Any:
        return torch.full((3, 8, 7), number / 10), number % 2


def test_what_gives_images_one_by_one(folder: Path) -> None:
    a, c = str(folder / "cats/a.png"), folder / "dogs/c.png"
    assert listed([a, c]) == {a: "", str(c): ""}
    assert listed([(a, "cat"), (c, "dog"), (picture(1), "dog")]) == {a: "cat", str(c): "dog", "image 2": "dog"}
    assert listed((image, "x") for image in [a, picture(0)]) == {a: "x", "image 1": "x"}
    assert listed(torch.zeros(2, 3, 8, 7)) == {"image 0": "", "image 1": ""}
    assert listed(Dataset()) == {"image 0": "0", "image 1": "1", "image 2": "0"}
    assert count_hint(Dataset()) == count_hint([1, 2, 3]) == 3
    assert count_hint(iter([a])) == 0
    assert refusal(InputError, 5) == (
        f"A int is neither an image nor a set of images.\n\n{GIVE} "
        "Or a PIL image, an array (row, column, channel), a float tensor, or a list or iterable of these."
    )
    assert refusal(InputError, []).startswith("There is no image in a list.\n\n")


def test_labels_of_every_kind() -> None:
    given = ["cat", 3, np.int64(4), torch.tensor(5), None, "", np.str_("ö")]
    found = listed([(picture(0), label) for label in given])
    assert list(found.values()) == ["cat", "3", "4", "5", "", "", "ö"]


def test_an_image_that_comes_twice_is_one(folder: Path) -> None:
    a = str(folder / "cats/a.png")
    assert listed([(a, "cat"), (a, "dog"), a]) == {a: "cat"}
    path = folder / "list.csv"
    path.write_text("cats/a.png,cat\ntop.png\ncats/a.png,dog\n")
    assert listed(path) == {"cats/a.png": "cat", "top.png": ""}


def test_several_images_in_one_are_not_cut_to_the_first(tmp_path: Path) -> None:
    batches = torch.rand(3, 3, 8, 7).split(2)
    index = fm.Index.build(network(), (batch for batch in batches), tmp_path / "i.fmi", progress=False)
    assert index.images == 1
    assert index.summary().skipped == (("image 0", "'image 0' holds 2 images; give them one by one."),)


def test_the_index_knows_where_its_images_lay(folder: Path, tmp_path: Path) -> None:
    (folder / "cats" / "broken.png").write_bytes(b"\x89PNG no picture")
    Image.new("RGB", (9, 9)).save(folder / "cats" / "large.png")
    index = fm.Index.build(network(), folder, tmp_path / "i.fmi", block=2, progress=False)
    snapshot = Snapshot.of(index.path)
    names = [str(name) for name in snapshot.read("image/name")]
    assert sorted(names) == sorted(FILES)
    labels = [snapshot.labels[label] if label >= 0 else "" for label in snapshot.read("image/label")]
    assert labels == [FILES[name] for name in names]
    assert [str(path) for path in snapshot.read("image/path")] == [str(folder / name) for name in names]
    assert set(snapshot.read("image/rows")) == {8}
    assert set(snapshot.read("image/columns")) == {7}
    assert index.summary().labels == {"cats": 2, "dogs": 1, "dogs/small": 1}
    assert index.summary().skipped == (
        ("cats/broken.png", "'cats/broken.png' is not an image that featmap can read."),
        ("cats/large.png", "'cats/large.png' gives an input of 3x9x9; the index is of 3x8x7."),
    )
    with pytest.raises(ImageBroken) as error:
        fm.Index.build(network(), folder, tmp_path / "strict.fmi", strict=True, progress=False)
    assert str(error.value) == (
        "'cats/broken.png' is not an image that featmap can read.\n\n"
        "Mend or leave out this image, or build without --strict."
    )
    report = fm.Index.build(network(), folder, index.path, progress=False).report
    assert report is not None
    assert (report.added, report.known, report.images, report.skipped) == (0, 7, 5, ())
