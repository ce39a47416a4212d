"""`featmap index`, `top` and `audit`: what they print, write and refuse; the numbers have tests of their own."""

from __future__ import annotations

import io
import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import chdir
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import featmap as fm
from cli import golden
from cli.console import Ended, featmap
from cli.examples import check_examples, check_help, check_shown
from cli.networks import Small
from featmap.cli.index import group
from featmap.cli.options.model import ModelOptions
from featmap.errors import InputError, NoIndex, NotKept, SettingError
from featmap.view import progress

BUILD = "index build cli.networks:Small photos -o"
BROKEN = "'broken.png' is not an image that featmap can read."
COUNTED = f"1 image could not be read:\n  {BROKEN}\n"
load_once = cache(ModelOptions.load)
EXAMPLES_OF = {name: module.EXAMPLES for name, module in group.COMMANDS.items()}
DOES_NOT_EXIST = "There is no index 'none.fmi'.\n\nBuild one: featmap index build MODEL IMAGES -o none.fmi.\n"


@pytest.fixture(autouse=True, scope="module")
def _without_bar() -> Iterator[None]:
    """No bar on standard error, however slow the machine is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(progress, "PATIENCE_S", 1e9)
        yield


def write_pictures(folder: Path, numbers: range) -> None:
    """Pictures of random colours in two folders, which are their labels."""
    for number in numbers:
        file = folder / ("cat" if number % 2 else "dog") / f"{number:02}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        values = np.random.default_rng(number).integers(0, 256, (12, 16, 3), dtype=np.uint8)
        Image.fromarray(values).save(file)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten pictures, one that is none, and two indexes of them: by the network, and by one with other weights."""
    folder = tmp_path_factory.mktemp("made")
    write_pictures(folder / "photos", range(10))
    (folder / "photos" / "broken.png").write_text("no picture")
    (folder / "empty").mkdir()
    other = Small()
    with torch.no_grad():
        # The batch norm turns its sign.
        other.stem.bias[1] += 9
    torch.save(other.state_dict(), folder / "later.pt")
    with chdir(folder):
        done(f"{BUILD} photos.fmi --block 4 --top-k 10")
        done(f"{BUILD} later.fmi --weights later.pt --correlation none")
    return folder


@pytest.fixture
def photos(made: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, to read from only."""
    monkeypatch.chdir(made)
    return made


@pytest.fixture
def copied(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, which a test may change."""
    shutil.copytree(made, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    return tmp_path / "copy"


def done(line: str) -> str:
    """What a command prints that ends well and says nothing else."""
    ended = featmap(line)
    assert (ended.code, ended.err) == (0, ""), ended
    return ended.out


def document(line: str) -> Any:
    """The one document of `--json`, without a word beside it."""
    return json.loads(done(f"{line} --json"))


def refused(line: str) -> str:
    ended = featmap(line)
    assert (ended.code, ended.out) == (2, ""), ended
    return ended.err


def without_fingerprints(text: str) -> str:
    return re.sub(r"\b[0-9a-f]{16}\b", "FINGERPRINT", text)


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("name", ["top", "audit"])
def test_help_ends_with_examples(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    check_help(name)


@pytest.mark.parametrize("name", EXAMPLES_OF)
def test_help_below_index_ends_with_examples(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ModelOptions, "load", load_once)
    check_examples(f"index {name}", EXAMPLES_OF[name])


def test_help_of_index_ends_with_some_of_these_examples() -> None:
    check_shown("index", group.EXAMPLES)
    assert set(group.EXAMPLES) <= {example for examples in EXAMPLES_OF.values() for example in examples}


def test_every_command_below_index_has_examples() -> None:
    assert [command.name for command in group.app.registered_commands] == list(EXAMPLES_OF)
    assert all(EXAMPLES_OF.values())


def test_build_says_what_is_new_and_what_could_not_be_read(copied: Path) -> None:
    assert done(f"{BUILD} new.fmi") == f"new.fmi: 10 images, 10 of them new\n{COUNTED}"
    write_pictures(copied / "photos", range(10, 12))
    assert done(f"{BUILD} new.fmi") == (
        "new.fmi: 12 images, 2 of them new\n1 image could not be read before; --retry (retry=True) tries again\n"
    )
    assert done(f"{BUILD} new.fmi --retry") == f"new.fmi: 12 images, 0 of them new\n{COUNTED}"
    shutil.copyfile("photos/cat/01.png", "photos/broken.png")
    assert document(f"{BUILD} new.fmi --retry") == {
        "index": "new.fmi",
        "images": 13,
        "found": 13,
        "added": 1,
        "known": 12,
        "skipped_before": 0,
        "skipped": [],
        "left_out": [],
    }
    assert document("index show new.fmi")["skipped"] == []


def test_build_as_one_document(photos: Path, tmp_path: Path) -> None:
    assert document(f"{BUILD} {tmp_path}/new.fmi") == {
        "index": f"{tmp_path}/new.fmi",
        "images": 10,
        "found": 11,
        "added": 10,
        "known": 0,
        "skipped_before": 0,
        "skipped": [{"name": "broken.png", "reason": BROKEN}],
        "left_out": [],
    }


def test_strict_stops_at_what_cannot_be_read(photos: Path, tmp_path: Path) -> None:
    assert refused(f"{BUILD} {tmp_path}/new.fmi --strict").startswith(f"{BROKEN}\n")
    assert document(f"index show {tmp_path}/new.fmi")["images"] == 0
    assert done(f"{BUILD} {tmp_path}/new.fmi") == f"{tmp_path}/new.fmi: 10 images, 10 of them new\n{COUNTED}"


def test_what_is_kept_is_what_was_asked_for(photos: Path, tmp_path: Path) -> None:
    layers = "--layer stem:conv,grouped --layers pool --stage z --full pool"
    done(f"{BUILD} {tmp_path}/new.fmi {layers} --no-table --block 3 --top-k 2 --correlation none")
    shown = document(f"index show {tmp_path}/new.fmi")
    assert "\nwhole maps of pool:a\n" in done(f"index show {tmp_path}/new.fmi")
    assert [(layer["address"], layer["full"], layer["correlated_places"]) for layer in shown["layers"]] == [
        ("stem:conv", False, 0),
        ("grouped:z", False, 0),
        ("pool:a", True, 0),
    ]
    assert (shown["table"], shown["block"], shown["blocks"], shown["top_k"]) == (False, 3, 4, 2)
    assert refused(f"top {tmp_path}/new.fmi pool/0 --label cat") == (
        f"'{tmp_path}/new.fmi' keeps no table of its images; a filter needs one.\n\n"
        "Build it with table=True (--table).\n"
    )
    assert refused(f"audit {tmp_path}/new.fmi --fail-on 'redundant_pairs>0' -o {tmp_path}/audit.png") == (
        f"'{tmp_path}/audit.png' ends in '.png'; this answer is written as .json, .csv or .txt.\n\n"
        f"Use '{tmp_path}/audit.json'.\n"
    )
    ended = featmap(f"audit {tmp_path}/new.fmi --fail-on 'redundant_pairs>0'")
    assert (ended.code, ended.err) == (
        2,
        f"'redundant_pairs>0': '{tmp_path}/new.fmi' keeps no correlations.\n\n"
        "Build the index with correlation='auto'.\n",
    )


def test_a_list_a_glob_and_pictures_are_images_too(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text(f"{photos}/photos/cat/01.png,tabby\n{photos}/photos/dog/02.png,\n")
    sources = {f"{tmp_path}/list.csv": 2, "'photos/cat/*.png'": 5, "photos/cat/01.png photos/dog/00.png": 2}
    for number, (images, count) in enumerate(sources.items()):
        line = f"index build cli.networks:Small {images} -o {tmp_path}/{number}.fmi --layers stem"
        assert document(line)["images"] == count
    assert document(f"index show {tmp_path}/0.fmi")["labels"] == {"tabby": 1}


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("show", "index show photos.fmi"),
        ("top", "top photos.fmi stem/0 -k 3"),
        ("top-filtered", "top photos.fmi stem/0 -k 3 --label cat --subset 'cat/*' --most 0.16"),
        ("top-layer", "top photos.fmi stem -k 2 --channel 0,2-3"),
        ("audit", "audit photos.fmi"),
        ("similar", "index similar photos.fmi cat/01.png --layer stem -k 3"),
        ("distribution", "index distribution photos.fmi stem/0"),
        ("selectivity", "index selectivity photos.fmi stem"),
        ("selectivity-map", "index selectivity photos.fmi stem/1 --by maximum"),
        ("compare", "index compare photos.fmi later.fmi"),
        ("verify", "index verify photos.fmi --files --model cli.networks:Small"),
    ],
)
def test_answers_as_tables(photos: Path, name: str, line: str) -> None:
    golden.check(f"index-{name}", without_fingerprints(done(line)))


def test_show_as_a_document(photos: Path) -> None:
    shown = document("index show photos.fmi")
    index = fm.Index.open("photos.fmi")
    assert shown["network_fingerprint"] == index.description.network
    assert (shown["images"], shown["blocks"], shown["labels"]) == (10, 3, {"cat": 5, "dog": 5})
    assert [layer["address"] for layer in shown["layers"]] == ["stem:a", "grouped:z", "add:a"]
    assert shown["skipped"] == [{"name": "broken.png", "reason": BROKEN}]


def test_top_as_a_document(photos: Path) -> None:
    found = document("top photos.fmi stem/0 -k 2")
    assert (found["address"], found["images"], found["chosen"]) == ("stem:a/0", 10, "all")
    first, second = found["examples"]
    assert first["value"] >= second["value"]
    assert first.keys() >= {"image", "label", "value", "unit", "box"}
    assert first["label"] == first["image"].split("/")[0]
    row, column = first["unit"]
    assert first["box"] == [max(row - 1, 0), max(column - 1, 0), min(row + 2, 12), min(column + 2, 16)]
    assert Path(first["path"]) == photos / "photos" / first["image"]


def test_top_is_filtered(photos: Path) -> None:
    every = document("top photos.fmi stem/0 -k 10")["examples"]
    cats = document("top photos.fmi stem/0 -k 10 --label cat")
    assert cats["examples"] == [each for each in every if each["label"] == "cat"]
    assert cats["chosen"] == "label cat"
    assert document("top photos.fmi stem/0 -k 10 --label cat --label dog")["examples"] == every
    dogs = document("top photos.fmi stem/0 -k 10 --subset 'dog/*'")["examples"]
    assert dogs == [each for each in every if each["label"] == "dog"]
    third = every[2]["value"]
    least, most = (
        document(f"top photos.fmi stem/0 -k 10 --{name} {third!r}")["examples"] for name in ("least", "most")
    )
    assert (least, most) == (every[:3], every[2:])


def test_channels_are_those_of_a_layer(photos: Path) -> None:
    assert refused("top photos.fmi stem/1 --channels 2") == (
        "'stem/1' is one map; --channel chooses among those of a layer.\n\nLeave one of them out.\n"
    )


def test_top_of_a_layer(photos: Path) -> None:
    found = document("top photos.fmi stem -k 2 --channel 0,2-3")
    assert [each["address"] for each in found["maps"]] == ["stem:a/0", "stem:a/2", "stem:a/3"]
    assert found["maps"][0] == document("top photos.fmi stem/0 -k 2")
    assert len(document("top photos.fmi stem -k 2")["maps"]) == 4
    assert refused("top photos.fmi stem --channel 0,x").startswith("--channel '0,x' is not a list of maps.")


def is_png(data: bytes) -> bool:
    with Image.open(io.BytesIO(data)) as picture:
        return picture.format == "PNG" and min(picture.size) > 50


def has_header(*columns: str) -> Callable[[bytes], bool]:
    return lambda data: set(columns) <= set(data.decode().split("\n")[0].split(","))


ASKED = [
    ("top photos.fmi stem/0 -k 2", has_header("image", "label", "value", "unit", "box")),
    ("top photos.fmi stem -k 2", has_header("map", "image", "value")),
    ("audit photos.fmi", has_header("address", "dead", "nearly_dead", "sparsity", "redundant_pairs")),
    ("index similar photos.fmi '#2' --layer stem -k 2", has_header("image", "distance")),
    ("index distribution photos.fmi stem/0", has_header()),
    ("index selectivity photos.fmi stem", has_header("selectivity", "label")),
    ("index compare photos.fmi later.fmi", has_header("map", "died", "revived", "changed")),
]
PICTURED = {"top", "similar", "distribution"}


@pytest.mark.parametrize(("line", "is_table"), ASKED, ids=[line for line, _ in ASKED])
def test_answers_are_written(photos: Path, tmp_path: Path, line: str, is_table: Callable[[bytes], bool]) -> None:
    printed = done(line)
    has_picture = bool(PICTURED & set(line.split()))
    suffixes = [*([".png"] if has_picture else []), ".json", ".csv", ".txt"]
    for suffix in suffixes:
        ended = featmap(f"{line} -o {tmp_path}/answer{suffix}")
        assert (ended.code, ended.out, ended.err) == (0, printed, f"wrote {tmp_path}/answer{suffix}\n")
    assert files(tmp_path) == {f"answer{suffix}" for suffix in suffixes}
    assert (tmp_path / "answer.txt").read_text() == printed
    assert json.loads((tmp_path / "answer.json").read_text()) == document(line)
    assert is_table((tmp_path / "answer.csv").read_bytes())
    assert not has_picture or is_png((tmp_path / "answer.png").read_bytes())
    *others, last = suffixes
    assert refused(f"{line} -o {tmp_path}/answer.gif") == (
        f"'{tmp_path}/answer.gif' ends in '.gif'; this answer is written as {', '.join(others)} or {last}.\n\n"
        f"Use '{tmp_path}/answer{suffixes[0]}'.\n"
    )


def test_audit_as_a_document(photos: Path) -> None:
    found = document("audit photos.fmi")
    layers = {layer["address"]: layer for layer in found["layers"]}
    assert list(layers) == ["stem:a", "grouped:z", "add:a"]
    for layer in layers.values():
        assert layer.keys() >= {"dead", "nearly_dead", "sparsity", "redundant_pairs"}
    assert (layers["grouped:z"]["dead"], layers["grouped:z"]["never_positive"]) == ([], [2])
    assert layers["stem:a"]["constant"] == [3]
    assert (found["totals"]["dead"], found["totals"]["maps"]) == (0, 12)
    assert document("audit later.fmi")["layers"][0]["redundant_pairs"] is None
    assert document("audit photos.fmi --nearly-dead 1 --redundant 0")["layers"][0]["nearly_dead"] != []


def test_audit_names_what_it_counts(photos: Path) -> None:
    pairs = document("audit photos.fmi --redundant 0.3")["layers"][0]["redundant_pairs"]
    shown = ", ".join(f"/{one} and /{other} ({correlation:.2f})" for one, other, correlation in pairs[:3])
    more = f" and {len(pairs) - 3} more" if len(pairs) > 3 else ""
    assert pairs
    assert f"\nstem:a: redundant {shown}{more}\n" in done("audit photos.fmi --redundant 0.3")


def test_a_broken_bound_ends_with_1_after_the_answer(photos: Path) -> None:
    printed = done("audit photos.fmi")
    assert done("audit photos.fmi --fail-on 'dead>0' --fail-on 'constant>9%'") == printed
    line = "audit photos.fmi --fail-on 'constant>5%' --fail-on 'dead>0' --fail-on 'constant>=1'"
    said = "failed: constant>5%: constant is 8.333%\nfailed: constant>=1: constant is 1\n"
    assert featmap(line) == Ended(1, printed, said)
    ended = featmap(f"{line} --json")
    assert (ended.code, json.loads(ended.out), ended.err) == (1, document("audit photos.fmi"), said)


def test_a_bound_that_is_none_ends_with_2(photos: Path) -> None:
    assert refused("audit photos.fmi --fail-on 'dead>many'") == (
        "'dead>many' is not a bound of an audit.\n\nWrite NAME>NUMBER or NAME>NUMBER%, such as dead>5%; NAME is one of "
        "dead, nearly_dead, constant, saturated, sparsity, redundant_pairs, beyond_input, and >= < <= compare "
        "too.\n"
    )
    assert refused("audit photos.fmi --redundant 2") == "redundant is 2.0.\n\nGive a number from 0 to 1.\n"


def test_similar_to_a_number_a_name_and_a_picture(photos: Path) -> None:
    by_name = document("index similar photos.fmi cat/03.png --layer stem -k 4")
    assert document("index similar photos.fmi '#1' --layer stem -k 4") == by_name
    assert len(by_name["nearest"]) == 4
    picture = "photos/cat/03.png --model cli.networks:Small"
    by_picture = document(f"index similar photos.fmi {picture} --layer stem -k 4 --measure euclidean")
    assert by_picture["nearest"][0]["image"] == "cat/03.png"
    assert by_picture["nearest"][0]["distance"] == pytest.approx(0, abs=1e-6)
    assert refused("index similar photos.fmi '#99' --layer stem") == (
        "There is no image 99; 'photos.fmi' has 10.\n\nImages are counted from 0.\n"
    )


def test_names_of_all_images(photos: Path) -> None:
    listed = fm.Index.open("photos.fmi").names()
    assert len(listed) == 10
    assert done("index show photos.fmi --names") == "".join(f"{name}\n" for name in listed)
    assert document("index show photos.fmi --names") == {"names": listed}


def test_an_image_that_is_not_in_the_index(photos: Path) -> None:
    name = fm.Index.open("photos.fmi").names()[0]
    remedy = (
        "`featmap index show photos.fmi --names` lists all names; for another picture, name the network of the index: "
        "--model MODEL.\n"
    )
    for given, nearest in ((f"elsewhere/{name}", f"The nearest names are {name}. "), ("none.png", "")):
        line = f"index similar photos.fmi {given} --layer stem"
        assert refused(line) == f"There is no image '{given}' in 'photos.fmi'.\n\n{nearest}{remedy}"
        with pytest.raises(NotKept) as caught:
            fm.Index.open("photos.fmi").similar(given, "stem")
        assert "net=..." in caught.value.remedy
        assert "--" not in caught.value.remedy


def test_top_of_a_layer_says_how_many_it_does_not_list(photos: Path) -> None:
    lines = done("top photos.fmi stem -k 4").splitlines()[1:]
    assert lines
    for line in lines:
        assert line.count("@") == 3
        assert line.endswith(" and 1 more")
    assert "more" not in done("top photos.fmi stem -k 3")


def test_compare_names_the_maps_that_died(photos: Path) -> None:
    layer = document("index compare photos.fmi later.fmi")["layers"][0]
    assert (layer["address"], layer["died"]) == ("stem:a", [1])
    assert document("index compare later.fmi photos.fmi")["layers"][0]["revived"] == [1]


def test_verify_of_a_sound_index(photos: Path) -> None:
    found = document("index verify photos.fmi")
    assert (found["index"], found["sound"], found["problems"]) == ("photos.fmi", True, [])
    with_files = document("index verify photos.fmi --files --model cli.networks:Small")
    assert with_files["checked"] == [
        *found["checked"],
        "10 of 10 images are in files, which were read again",
        "the network and its preprocessing are those of the index; 8 images were measured again",
    ]


def test_verify_ends_with_1_where_anything_is_wrong(copied: Path) -> None:
    done(f"{BUILD} new.fmi --layers stem")
    (copied / "photos" / "dog" / "02.png").unlink()
    lost = f"There is no image '{copied}/photos/dog/02.png'."
    ended = featmap("index verify new.fmi --files")
    assert (ended.code, ended.err) == (1, "")
    assert ended.out.startswith(f"new.fmi: 1 problem\n\nwrong  {lost}\nright  ")
    assert "are in files" not in ended.out
    assert done("index verify new.fmi").startswith("new.fmi: sound\n")
    other = featmap("index verify photos.fmi --model cli.networks:Small --weights later.pt --json")
    problem = "The index is of another network: its fingerprint is X, that of the one given is X."
    found = json.loads(other.out)
    assert (other.code, other.err, found["sound"]) == (1, "", False)
    assert [re.sub(r"[0-9a-f]{16}", "X", text) for text in found["problems"]] == [problem]


def test_verify_of_what_cannot_be_opened(copied: Path) -> None:
    shutil.rmtree("photos.fmi/refs")
    problem = "'photos.fmi' holds parts of an index, whose branch is lost."
    ended = featmap("index verify photos.fmi")
    assert (ended.code, ended.err) == (1, "")
    assert ended.out == f"photos.fmi: 1 problem\n\nwrong  {problem}\n"
    assert fm.Index("photos.fmi").verify().problems == (problem,)
    for snapshot in Path("later.fmi/snapshots").iterdir():
        snapshot.write_bytes(b"no snapshot")
    ended = featmap("index verify later.fmi --json")
    assert (ended.code, ended.err) == (1, "")
    assert len(json.loads(ended.out)["problems"]) == 1


def test_what_is_damaged_is_not_called_something_else(copied: Path) -> None:
    """To zarr a state that cannot be read looks like one that holds nothing."""
    for snapshot in Path("photos.fmi/snapshots").iterdir():
        snapshot.write_bytes(b"no snapshot " * 99)
    said = "'photos.fmi': invalid magic numbers in file.\n\n`featmap index verify` says what is wrong.\n"
    for line in ("audit photos.fmi", "index show photos.fmi", f"{BUILD} photos.fmi"):
        assert featmap(line) == Ended(1, "", said)


def test_verify_where_nothing_is(photos: Path) -> None:
    assert refused("index verify none.fmi") == DOES_NOT_EXIST
    assert refused("index verify empty").startswith("'empty' is not an index.\n\n")
    with pytest.raises(NoIndex):
        fm.Index("none.fmi").verify()
    with pytest.raises(InputError, match="An index is of a Network, got Small"):
        fm.Index("photos.fmi").verify(net=Small())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "line",
    [
        "index show none.fmi",
        "index similar none.fmi cat/01.png --layer stem",
        "index distribution none.fmi stem/0",
        "index selectivity none.fmi stem",
        "index compare none.fmi photos.fmi",
        "index compare photos.fmi none.fmi",
        "top none.fmi stem/0",
        "audit none.fmi",
    ],
)
def test_where_there_is_no_index(photos: Path, line: str) -> None:
    assert refused(line) == DOES_NOT_EXIST


def test_a_path_that_exists_and_is_no_index(photos: Path) -> None:
    assert refused(f"{BUILD} photos") == (
        "The folder 'photos' exists and is not an index: it holds broken.png, cat, dog.\n\nChoose another path.\n"
    )
    assert refused(f"{BUILD} later.pt") == "'later.pt' exists and is not an index.\n\nChoose another path.\n"
    assert refused("top later.pt stem/0") == "'later.pt' is a file, no index.\n\nAn index is a folder; give its path.\n"


def test_an_index_of_another_network(photos: Path) -> None:
    ours, theirs = (document(f"index show {name}")["network_fingerprint"] for name in ("later.fmi", "photos.fmi"))
    assert ours != theirs
    assert refused(f"{BUILD} photos.fmi --weights later.pt") == (
        f"'photos.fmi' is the index of another network: its fingerprint is {theirs} (cli.networks:Small, weights: "
        f"as the model's own code made them), that of cli.networks:Small (weights: later.pt) is {ours}.\n\n"
        "Give the network that it was built with, its weights too (--weights), or build into another path.\n"
    )


def test_an_index_that_keeps_something_else(photos: Path) -> None:
    assert refused(f"{BUILD} photos.fmi --top-k 7 --no-table") == (
        "'photos.fmi' keeps something else: top_k is 10, not 7; table is True, not False.\n\n"
        "Leave these settings out, and the index goes on with its own; or build into another path.\n"
    )


def test_a_layer_that_is_not_indexed(photos: Path) -> None:
    message = "'stam' is not indexed.\n\nIndexed are stem:a, grouped:z, add:a. The nearest names are stem:a.\n"
    assert refused("top photos.fmi stam/0") == message
    assert refused("index distribution photos.fmi stam/0") == message
    assert refused("index similar photos.fmi '#0' --layer stam") == message
    assert refused("index selectivity photos.fmi stam") == message
    assert refused("top photos.fmi stem:z") == "'stem:z' is not indexed; of that layer stem:a is.\n\nAsk for stem:a.\n"


def test_more_than_are_kept(photos: Path) -> None:
    assert refused("top photos.fmi stem/0 -k 11") == (
        "k is 11; 'photos.fmi' keeps the 10 strongest images of each map.\n\nAsk for at most 10, or build the index "
        "with top_k=11 (--top-k 11). With a filter, such as least=0 (--least 0), the table of all images is searched, "
        "for any k.\n"
    )


def test_no_images(photos: Path, tmp_path: Path) -> None:
    line = f"index build cli.networks:Small empty -o {tmp_path}/new.fmi"
    assert refused(line) == "There is no image in 'empty'.\n\nGive a folder, a list or a tar file with images.\n"
    assert refused(line.replace(" empty ", " nothing ")) == (
        "There is no image 'nothing'.\n\nGive a picture, a folder, a list (.csv, .tsv, .txt), a tar file or a glob.\n"
    )
    assert not (tmp_path / "new.fmi").exists()


ENGINES = [
    ({"engine": "spark"}, "There is no engine 'spark'.\n\nIt is one of local, ray."),
    (
        {"workers": 2},
        "workers is 2; the engine is local, which has no such setting.\n\nLeave it out, or take engine ray.",
    ),
    (
        {"workers": 0, "address": "auto"},
        "workers is 0 and address is 'auto'; the engine is local, which has no such setting.\n\n"
        "Leave it out, or take engine ray.",
    ),
]


@pytest.mark.parametrize(("settings", "message"), ENGINES)
def test_engines_and_what_they_take(photos: Path, tmp_path: Path, settings: dict[str, Any], message: str) -> None:
    words = " ".join(f"--{name} {value}" for name, value in settings.items())
    assert refused(f"{BUILD} {tmp_path}/new.fmi {words}") == f"{message}\n"
    with pytest.raises(SettingError) as error:
        fm.Index.build(fm.load("cli.networks:Small"), "photos", tmp_path / "new.fmi", **settings)
    assert str(error.value) == message
    assert files(tmp_path) == set()


def interrupt_after(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C comes when so many images have been read."""
    from featmap.index.build import read_ahead

    plain, read = read_ahead.read_image, list[str]()

    def reading(network: Any, entry: Any) -> Any:
        read.append(entry.name)
        if len(read) > count:
            raise KeyboardInterrupt
        return plain(network, entry)

    monkeypatch.setattr(read_ahead, "read_image", reading)


def test_an_interrupt_says_what_is_kept(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "new.fmi"
    with monkeypatch.context() as patch:
        interrupt_after(9, patch)
        ended = featmap(f"{BUILD} {path} --block 4")
    kept = document(f"index show {path}")["images"]
    said = f"interrupted: '{path}' holds {kept} images; the same command goes on.\n"
    assert (ended.code, ended.out, ended.err) == (130, "", said)
    assert 0 < kept < 10
    # The one that could not be read lies in the first block.
    again = "1 image could not be read before; --retry (retry=True) tries again\n"
    assert done(f"{BUILD} {path}") == f"{path}: 10 images, {10 - kept} of them new\n{again}"
    assert done(f"index verify {path}").startswith(f"{path}: sound\n")


def test_an_interrupt_before_anything_is_kept(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(fm.Index, "build", interrupted)
    path = tmp_path / "new.fmi"
    assert featmap(f"{BUILD} {path}") == Ended(130, "", f"interrupted: '{path}' was not started.\n")
    assert not path.exists()
