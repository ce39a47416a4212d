"""Pictures are written whole or not at all."""

import errno
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from featmap.errors import OutputError
from featmap.view.output import file_names, save, save_named, write_files
from featmap.view.sheets.maps import map_pages


@pytest.fixture
def pages():
    return map_pages(np.random.default_rng(0).normal(size=(10, 5, 5)), "conv1:z", page_size=4)


def test_one_page_takes_the_name_and_several_are_numbered(tmp_path, pages):
    assert save(pages[:1], tmp_path / "x.png") == [tmp_path / "x.png"]
    assert save(pages, str(tmp_path / "y.PNG")) == [tmp_path / f"y-{page}.PNG" for page in (1, 2, 3)]
    assert len(list(tmp_path.iterdir())) == 4


def test_a_file_holds_the_picture_and_its_words(tmp_path, pages):
    (path,) = save(pages[:1], tmp_path / "x.png")
    with Image.open(path) as read:
        assert (np.asarray(read) == np.asarray(pages[0])).all()
        assert read.info["Title"] == "conv1:z"
        assert read.info["Description"] == pages[0].info["Description"]


def test_a_new_file_has_the_usual_permissions(tmp_path, pages):
    (tmp_path / "plain").write_bytes(b"")
    (path,) = save(pages[:1], tmp_path / "x.png")
    assert path.stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("name", ["x.jpg", "x", "x.png.gz"])
def test_another_suffix_is_refused(tmp_path, pages, name):
    with pytest.raises(OutputError) as caught:
        save(pages, tmp_path / name)
    wanted = (tmp_path / name).with_suffix(".png")
    ending = f"ends in {Path(name).suffix!r}" if Path(name).suffix else "has no suffix"
    assert str(caught.value) == (f"'{tmp_path / name}' {ending}; pictures are written as .png.\n\nUse '{wanted}'.")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_named(tmp_path, pages):
    with pytest.raises(OutputError) as caught:
        save(pages[:1], tmp_path / "no" / "x.png")
    assert str(caught.value) == (
        f"'{tmp_path / 'no' / 'x.png'}': there is no folder '{tmp_path / 'no'}'.\n\n"
        "Create the folder, or choose another path."
    )


def test_a_folder_in_the_way_is_named_and_nothing_stays(tmp_path, pages):
    (tmp_path / "x.png").mkdir()
    with pytest.raises(OutputError) as caught:
        save(pages[:1], tmp_path / "x.png")
    assert str(caught.value) == (
        f"'{tmp_path / 'x.png'}' cannot be written: Is a directory.\n\n"
        "Choose another path, or make room and allow writing there."
    )
    assert [path.name for path in tmp_path.iterdir()] == ["x.png"]


@pytest.mark.parametrize("failure", [OSError(errno.ENOSPC, "No space left on device", "part"), KeyboardInterrupt()])
def test_a_failure_in_the_middle_leaves_everything_as_it_was(tmp_path, monkeypatch, failure):
    (tmp_path / "a").write_bytes(b"old")
    real = Path.write_bytes

    def failing(path, data):
        real(path, data[:1])
        if data == b"second":
            raise failure
        return real(path, data)

    monkeypatch.setattr(Path, "write_bytes", failing)
    with pytest.raises(OutputError if isinstance(failure, OSError) else KeyboardInterrupt):
        write_files({tmp_path / "a": b"first", tmp_path / "b": b"second"})
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_bytes() == b"old"


def test_pictures_of_several_things_are_named_after_them(tmp_path):
    page = Image.new("RGB", (4, 4))
    found = save_named({"a.0:z": [page], "a.0:a": [page, page]}, tmp_path / "x.png")
    assert [path.name for path in found] == ["x-a.0-z.png", "x-a.0-a-1.png", "x-a.0-a-2.png"]
    assert all(path.is_file() for path in found)
    assert save_named({"a.0:z": [page]}, tmp_path / "x.png") == [tmp_path / "x.png"]


@given(st.lists(st.text(min_size=1, max_size=12), unique=True, max_size=8))
def test_names_of_files_differ_whatever_the_system_makes_of_capitals(names):
    found = file_names(names)
    assert len({name.lower() for name in found}) == len(names)
    assert not any(set(name) & set('/\\:*?"<>|\0\n ') for name in found)
