"""`featmap demo`: trains once, walks through the product, writes a page that stands alone, and says what to try."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator
from functools import partial
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

import featmap as fm
from cli.console import Ended, featmap
from cli.golden import check
from featmap.api import Network
from featmap.demo import command, tour, train
from featmap.demo.kept import RECORD_NAME, WEIGHTS_NAME

TINY = train.Settings(training_crops=2, test_crops=1, epochs=1, batch_size=12)
LINE = "demo -o 'my demo'"


@pytest.fixture(scope="module", autouse=True)
def short_training() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tour, "trained_network", partial(train.trained_network, settings=TINY))
        yield


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ended]:
    """The folder in which the demo was run for the first time, and how it ended."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return folder, featmap(f"{LINE} --json")


@pytest.fixture
def home(first: tuple[Path, Ended], monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same folder as the working directory."""
    monkeypatch.chdir(first[0])
    return first[0]


def assert_whole(picture: Path) -> None:
    with Image.open(picture) as opened:
        assert opened.format == "PNG"
        opened.load()


def test_help() -> None:
    shown = featmap("demo --help")
    assert shown.code == 0
    assert " featmap demo " in shown.out


def test_json_names_the_report_all_files_and_what_to_try(home: Path, first: tuple[Path, Ended]) -> None:
    ended = first[1]
    assert ended.code == 0
    document = json.loads(ended.out)
    assert set(document) == {"report", "files", "next"}
    written = {str(path.relative_to(home)) for path in (home / "my demo").iterdir()}
    kept = {f"my demo/{RECORD_NAME}", f"my demo/{WEIGHTS_NAME}"}
    assert written == {document["report"], *document["files"], *kept}
    pictures = [file for file in document["files"] if file.endswith(".png")]
    assert len(pictures) >= len(document["files"]) - 2
    for file in pictures:
        assert_whole(home / file)
    assert fm.Index.open(home / "my demo" / "crops.fmi").images == 3000


def test_progress_and_accuracy_go_to_standard_error(first: tuple[Path, Ended]) -> None:
    assert "training" in first[1].err
    assert "crops from areas it never saw; guessing would name 8.3%." in first[1].err


class Page(HTMLParser):
    """What a page refers to, what it says, and its elements."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.references: list[str] = []
        self.elements: list[str] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.references += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "data", "poster")]

    def handle_data(self, data: str) -> None:
        self.words += data


def page(home: Path) -> Page:
    return Page((home / "my demo" / "report.html").read_text(encoding="utf-8"))


def test_report_needs_no_other_file_and_no_server(home: Path) -> None:
    report = page(home)
    assert "img" in report.elements
    assert "script" not in report.elements
    assert "link" not in report.elements
    assert all(reference.startswith(("data:image/png;base64,", "#")) for reference in report.references)
    assert "@import" not in report.words
    assert str(home) not in report.words


def test_report_tells_what_was_measured(home: Path) -> None:
    words = page(home).words
    record = json.loads((home / "my demo" / RECORD_NAME).read_text())
    assert f"it is right in {record['accuracy']:.1%}; guessing would be right in 8.3%." in words
    for heading in ("Plan:", "Maps:", "One value, taken apart", "Receptive fields:", "Go on"):
        assert heading in words
    assert "features.0:z" in words
    assert "features.12:a" in words


def test_second_time_nothing_is_trained(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "train", lambda *_: pytest.fail("trained again"))
    monkeypatch.setattr(command, "program", lambda: "featmap")
    ended = featmap(LINE)
    assert ended.code == 0
    check("demo", ended.out.replace(strongest(ended.out), "MAP"))
    assert f"Network kept in my demo/{WEIGHTS_NAME}: it names the photograph of " in ended.err


def strongest(text: str) -> str:
    """The map that the walk found to be the strongest: which one depends on the training."""
    return next(word for word in shlex.split(text.split("\n")[-2]) if ":a/" in word)


def test_commands_to_try_run(home: Path, first: tuple[Path, Ended]) -> None:
    commands = json.loads(first[1].out)["next"]
    assert len(commands) == 3
    for line in commands:
        program, _, rest = line.partition(" ")
        assert Path(shlex.split(program)[0]).name == "featmap"
        ended = featmap(rest)
        assert ended.code == 0, ended.err
        assert ended.out
    assert (home / "z.png").is_file()


def test_commands_of_the_report_give_what_it_shows(home: Path) -> None:
    words = page(home).words
    start = words.index("$ featmap explain") + len("$ featmap ")
    line, _, shown = words[start:].partition("\n")
    answer = featmap(line).out
    assert shown.startswith(answer.rstrip("\n"))


def test_first_command_runs_without_torchvision(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tour, "find_spec", lambda _: None)
    folder = Path("my demo")
    line = tour._Walk(train.trained_network(folder, TINY), folder)._next()[0]
    assert "torchvision" not in line
    assert featmap(line.removeprefix("featmap ")).code == 0
    assert (home / "field.png").is_file()


@pytest.mark.parametrize(
    ("found", "exists", "typed"),
    [("here", True, "featmap"), (None, True, "'.my venv/bin/featmap'"), (None, False, "featmap")],
)
def test_what_to_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, found: str | None, exists: bool, typed: str
) -> None:
    programs = tmp_path / ".my venv" / "bin"
    programs.mkdir(parents=True)
    if exists:
        (programs / "featmap").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command.sys, "executable", str(programs / "python"))
    monkeypatch.setattr(command.shutil, "which", lambda _: found)
    assert command.program() == typed


def interrupted_at(owner: object, name: str, call: int, monkeypatch: pytest.MonkeyPatch) -> None:
    real: Callable[..., object] = getattr(owner, name)
    calls: list[None] = []

    def counted(*arguments: object, **options: object) -> object:
        calls.append(None)
        if len(calls) == call:
            raise KeyboardInterrupt
        return real(*arguments, **options)

    monkeypatch.setattr(owner, name, counted)


def test_interrupt_while_training_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    interrupted_at(train, "_step", 2, monkeypatch)
    ended = featmap("demo")
    assert (ended.code, ended.out) == (130, "")
    assert list(tmp_path.iterdir()) == []


def test_interrupt_while_walking_keeps_the_weights_and_whole_files(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "demo"
    target.mkdir()
    for name in (RECORD_NAME, WEIGHTS_NAME):
        (target / name).write_bytes((home / "my demo" / name).read_bytes())
    (target / "report.html").write_text("that of the last time")
    monkeypatch.chdir(tmp_path)
    interrupted_at(Network, "explain", 1, monkeypatch)
    ended = featmap("demo")
    assert (ended.code, ended.out) == (130, "")
    assert (target / "report.html").read_text() == "that of the last time"
    assert {path.suffix for path in target.iterdir()} == {".png", ".json", ".safetensors", ".html"}
    for picture in target.glob("*.png"):
        assert_whole(picture)


def test_folders_that_cannot_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tour, "trained_network", lambda *_: pytest.fail("trained first"))
    (tmp_path / "file").touch()
    ended = featmap("demo -o file")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == "The folder 'file' cannot be made: it is a file.\n\nChoose another folder.\n"
    (tmp_path / "closed").mkdir()
    monkeypatch.setattr(tour.os, "access", lambda *_: False)
    ended = featmap("demo -o closed")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == ("The folder 'closed' cannot be written.\n\nChoose another folder, or allow writing there.\n")
