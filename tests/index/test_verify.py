"""Verification: every array that is not as it was written is found, and every byte that matters."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import icechunk
import numpy as np
import pytest
import zarr
from durable_cases import BLOCK, build, content, differences, network, plain_group, write_images

from featmap.errors import NoIndex
from featmap.index.schema.wish import Wish
from featmap.index.verify.verify import verify

WISH = Wish(block=BLOCK, top_k=5, correlation="all", full=["0:a"])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with images, of which one is broken, and the index of them."""
    folder = tmp_path_factory.mktemp("made")
    write_images(folder / "images", 10)
    (folder / "images" / "no picture.png").write_text("no picture")
    build(folder / "images", folder / "photos.fmi", WISH)
    return folder


@pytest.fixture
def index(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made / "photos.fmi", tmp_path / "photos.fmi"))


def repository(path: Path) -> icechunk.Repository:
    return icechunk.Repository.open(icechunk.local_filesystem_storage(str(path)))


@contextmanager
def changed(path: Path) -> Generator[Any]:
    """The root group, to write to; what is written is committed."""
    session = repository(path).writable_session("main")
    yield zarr.open_group(session.store, mode="r+")
    session.commit("changed")


def undo(path: Path) -> None:
    """Takes the newest commit back."""
    own = repository(path)
    own.reset_branch("main", list(own.ancestry(branch="main"))[1].id)


def problems(path: Path, **asked: Any) -> tuple[str, ...]:
    return verify(path, **asked).problems


def test_what_is_said_of_a_sound_index(made: Path) -> None:
    path = made / "photos.fmi"
    seen: list[tuple[int, int]] = []
    found = verify(path, files=True, network=network(), sample=3, progress=lambda done, of: seen.append((done, of)))
    assert found.is_sound
    assert found.to_dict() == {
        "index": str(path),
        "sound": True,
        "checked": [
            "the description of the index is as it was written",
            "34 arrays are as described; 29 chunks of those beside the table can be read",
            "3 states of the index can be opened",
            "14 maps of 2 layers are named as described",
            "3 blocks hold 10 images without a gap",
            "10 images have a name of their own, a digest, a size and a label; 1 are skipped",
            "what is known over all images of 14 maps is possible; so are 2 layers' correlations",
            "2 layers' largest values, up to 32 a map, are in order",
            "3 blocks have the digest that they were written with; the table of 10 images gives what is known over all",
            "the whole maps of 10 images and layers have their maxima",
            "10 of 10 images are in files, which were read again",
            "the network and its preprocessing are those of the index; 3 images were measured again",
        ],
        "problems": [],
    }
    assert repr(found) == f"Verification({path}: sound)"
    assert seen == [(done, 10) for done in range(1, 11)]


@pytest.mark.parametrize(
    "wish",
    [
        Wish(block=BLOCK, table=False),
        Wish(block=100, top_k=1, correlation="none", quantile_bytes=0),
        Wish(block=3, stage="conv", correlation="auto", quantile_bytes=4000),
        Wish(block=5, stage="z", correlation="all", full=["0:conv"], layers=["3"], top_k=50),
    ],
)
def test_indexes_of_every_kind_are_sound(made: Path, tmp_path: Path, wish: Wish) -> None:
    build(made / "images", tmp_path / "x.fmi", wish)
    assert problems(tmp_path / "x.fmi", network=network(), files=True) == ()


def test_an_index_without_images_is_sound(tmp_path: Path) -> None:
    (tmp_path / "0.png").write_text("no picture")
    build(tmp_path, tmp_path / "x.fmi")
    assert problems(tmp_path / "x.fmi", network=network(), files=True) == ()


# Other reasons and names of skipped images, and other extremes' counts, could as well be true.
NOT_KNOWN = ("skipped/name", "skipped/reason")


def change(array: zarr.Array[Any]) -> None:
    """Another value in the first place."""
    values: Any = array[...]
    if values.dtype.kind in "iuf":
        values.flat[0] = values.flat[0] * 2 + 1
    else:
        values[0] = "changed"
    array[...] = values


def arrays_of(path: Path) -> list[str]:
    return sorted(name for name, node in plain_group(path).members(max_depth=None) if isinstance(node, zarr.Array))


def test_another_value_in_any_array_is_found(index: Path) -> None:
    for name in arrays_of(index):
        with changed(index) as root:
            change(root[name])
        assert bool(problems(index)) != (name in NOT_KNOWN), name
        undo(index)
    assert problems(index) == ()


def shorten(root: Any, name: str) -> None:
    root[name].resize((root[name].shape[0] - 1, *root[name].shape[1:]))


def test_shorter_and_missing_arrays_are_found(index: Path) -> None:
    for name in arrays_of(index):
        for harm in (shorten, lambda root, name: root.__delitem__(name)):
            with changed(index) as root:
                harm(root, name)
            assert problems(index), name
            undo(index)
    assert problems(index) == ()


SAID = {
    "map/maximum": (
        "The largest value is not the maximum: 0:a/0",
        "The strongest image's value is not the maximum: 0:a/0",
        "The table gives another maximum: 0:a/0",
    ),
    "table/mean": (
        "Blocks 0 do not have the digest that they were written with.",
        "The table gives another mean: 0:a/0",
    ),
    "image/path": ("Blocks 0 do not have the digest that they were written with.",),
    "map/channel": ("map/channel is wrong for maps 0.",),
    "block/first": (
        "Blocks do not follow one another: block/first does not agree with the sums of block/images.",
        "Blocks 0 do not have the digest that they were written with.",
    ),
}


def put(name: str, value: Any) -> Callable[[Any], None]:
    def harm(root: Any) -> None:
        values = root[name][...]
        values[0] = value
        root[name][...] = values

    return harm


HARMED = {
    "Images have the same name: label 1/001.png.": put("image/name", "label 1/001.png"),
    "Images have no name: 0.": put("image/name", ""),
    "Images have no SHA-256: label 0/000.png.": put("image/digest", "0"),
    "Images have no size: label 0/000.png.": put("image/rows", 0),
    "Images have a label that is not there: label 0/000.png.": put("image/label", 3),
    "Images are in the index and skipped too: label 1/001.png.": put("skipped/name", "label 1/001.png"),
    "Images are skipped without a reason: no picture.png.": put("skipped/reason", ""),
    "Labels have the same name: label 1.": put("label/name", "label 1"),
    "Blocks 0 hold more images than were read, or were wanted in a block.": put("block/tried", 3),
    "Moments or extremes are no numbers: 0:a/0.": put("map/mean", np.nan),
    "Strongest images are not in order: 0:a/0.": put("map/strongest_value", [1, 2, 3, 4, 5]),
    "The number of strongest images is wrong: 0:a/0.": put("map/strongest_value", np.nan),
    "A strongest image is named twice: 0:a/0.": put("map/strongest_image", 2),
    "A strongest image or its position does not exist: 0:a/0.": put("map/strongest_place", 144),
    "Values are at a bound that the nonlinearity lacks: 0:a/0.": put("map/at_bound", 1),
    "The largest values are not in order: 0:a/0.": put("tail/0000", np.arange(32)),
    "The number of largest values is wrong: 0:a/0.": put("tail/0000", np.nan),
    "Correlations hold NaN or infinity: 0:a/0.": put("comoment/0000", np.nan),
    "The mean of correlated positions is outside of minimum and maximum: 0:a/0.": put("comoment/0000", 1e6),
    "Whole maps of 0:a have other maxima: images 0.": put("full/0000", 0),
}


@pytest.mark.parametrize("said", HARMED)
def test_every_problem_has_its_words(index: Path, said: str) -> None:
    with changed(index) as root:
        HARMED[said](root)
    assert said in problems(index)


def test_an_array_that_nobody_asked_for_is_found(index: Path) -> None:
    with changed(index) as root:
        root.create_array("map/other", shape=(3,), dtype="int8")
    assert problems(index) == ("Arrays or groups are not described: map/other.",)


def test_an_array_that_is_not_listed_is_found(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    every = icechunk.IcechunkStore.list

    async def without(self: icechunk.IcechunkStore) -> Any:
        async for key in every(self):
            if not key.startswith("comoment/0000/"):
                yield key

    monkeypatch.setattr(icechunk.IcechunkStore, "list", without)
    assert problems(index) == ("Arrays or groups are not listed: comoment/0000.",)


class PanicException(BaseException):
    """What icechunk raises where its Rust code gives up; its own class cannot be imported."""


def test_a_file_at_which_icechunk_panics_is_a_problem(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def panics(*args: Any, **kwargs: Any) -> Any:
        raise PanicException("Invalid node data type in flatbuffers file <UNKNOWN 208>")

    monkeypatch.setattr(icechunk.Repository, "diff", panics)
    assert problems(index) == (f"'{index}': Invalid node data type in flatbuffers file <UNKNOWN 208>.",)


@pytest.mark.parametrize("name", SAID)
def test_it_is_said_what_is_wrong_and_where(index: Path, name: str) -> None:
    with changed(index) as root:
        change(root[name])
    found = problems(index)
    for said in SAID[name]:
        assert any(problem.startswith(said) for problem in found), (said, found)


def test_another_description_is_found(index: Path) -> None:
    with changed(index) as root:
        root.attrs["featmap"] = {**dict(root.attrs)["featmap"], "model": "Other"}
    assert problems(index) == ("The description of the index is not the one that was written.",)
    with changed(index) as root:
        root.attrs["featmap"] = {"format": 1}
    assert problems(index) == (f"'{index}': its description is damaged: KeyError('layers').",)
    with changed(index) as root:
        root.attrs["featmap"] = {"format": 7}
    assert problems(index) == (f"'{index}': its description is not the one that was written.",)
    with changed(index) as root:
        del root.attrs["featmap"]
    assert problems(index) == (f"'{index}': its description is lost.",)


def needed(path: Path, tmp_path: Path) -> set[str]:
    """The files that the newest state needs: those that stay when every older one is taken away."""
    copy = Path(shutil.copytree(path, tmp_path / "newest"))
    alone = repository(copy)
    alone.expire_snapshots(datetime.now(UTC))
    alone.garbage_collect(datetime.now(UTC))
    return {file.relative_to(copy).as_posix() for file in copy.rglob("*") if file.is_file()}


def files_of(path: Path) -> list[Path]:
    return sorted(file for file in path.rglob("*") if file.is_file() and file.stat().st_size)


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :]


def harms(kind: str, data: bytes) -> Iterator[tuple[str, bytes]]:
    """Bytes changed at some places, at more of them where there are few files."""
    count = {"chunks": 4, "snapshots": 12, "refs": 12}.get(kind, 1)
    for at in np.linspace(len(data) // 4, len(data) - 1, count).astype(int).tolist():
        yield f"byte {at}", flipped(data, at)


def is_unharmed(path: Path, before: dict[str, Any]) -> bool:
    try:
        return differences(content(path), before) == []
    except Exception:
        return False


def test_a_changed_byte_is_found_or_changes_nothing(index: Path, tmp_path: Path) -> None:
    before, matters, found = content(index), needed(index, tmp_path), dict[str, list[bool]]()
    for file in files_of(index):
        name, data = file.relative_to(index).as_posix(), file.read_bytes()
        kind = name.partition("/")[0]
        for what, harmed in harms(kind, data):
            file.write_bytes(harmed)
            is_found = bool(problems(index))
            # What only older states need, and what icechunk keeps in a file beside the data, changes no answer.
            assert is_found or is_unharmed(index, before), (name, what)
            found.setdefault(kind if name in matters else "older", []).append(is_found)
        file.write_bytes(data)
    assert problems(index) == ()
    assert all(found["chunks"])
    assert all(found["refs"])
    assert np.mean(found["snapshots"]) > 0.5
    assert np.mean(found["manifests"]) > 0.5


@pytest.mark.parametrize("harm", [Path.unlink, lambda file: file.write_bytes(file.read_bytes()[:-7])])
def test_a_lost_or_cut_off_file_is_found(index: Path, tmp_path: Path, harm: Callable[[Path], Any]) -> None:
    for name in sorted(needed(index, tmp_path) - {"builder.lock"}):
        file = index / name
        data = file.read_bytes()
        harm(file)
        assert problems(index), name
        file.write_bytes(data)
    assert problems(index) == ()


def test_a_lost_branch_is_a_problem_not_a_missing_index(index: Path) -> None:
    shutil.rmtree(index / "refs")
    assert problems(index) == (f"'{index}' holds parts of an index, whose branch is lost.",)


def test_files_that_are_gone_or_others_are_named(made: Path, tmp_path: Path) -> None:
    images = Path(shutil.copytree(made / "images", tmp_path / "images"))
    build(images, tmp_path / "x.fmi", WISH)
    gone, other = images / "label 0" / "000.png", images / "label 1" / "001.png"
    gone.unlink()
    shutil.copyfile(images / "label 2" / "002.png", other)
    assert problems(tmp_path / "x.fmi") == ()
    missing = f"There is no image '{gone}'."
    assert problems(tmp_path / "x.fmi", files=True) == (missing, f"'{other}' was changed since it was measured.")
    found = problems(tmp_path / "x.fmi", network=network(), sample=10)
    assert found[0] == missing
    assert found[1].startswith(f"'{other}' (image 4) is measured otherwise now: the maximum of maps 0, 1, 2, 3 and ")
    assert len(found) == 2


def test_another_network_is_named(index: Path, made: Path) -> None:
    found = problems(index, network=network(seed=1))
    assert len(found) == 1
    assert found[0].startswith("The index is of another network: its fingerprint is ")


def test_where_nothing_was_ever_an_index_that_is_said(tmp_path: Path) -> None:
    with pytest.raises(NoIndex, match="There is no index"):
        verify(tmp_path / "nothing")
    with pytest.raises(NoIndex, match="is not an index"):
        verify(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(NoIndex, match="is a file, no index"):
        verify(tmp_path / "file")
