"""How commands are found, and how each kind of exit looks."""

from __future__ import annotations

import json
import subprocess
import sys
import types
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest

from cli.console import featmap
from featmap import __version__
from featmap.cli import app as cli
from featmap.errors import NoSuchLayer, TooLittleMemory

TRANSPOSED = "conv 7 --channels 1 --filters 1 --kernel 3 --stride 2 --transpose"
HEAVY = ("torch", "numpy", "matplotlib", "PIL", "torchvision", "timm", "scipy", "pandas")


def test_help_lists_every_command() -> None:
    ended = featmap("--help")
    assert ended.code == 0
    assert all(f" {name} " in ended.out for name in cli.COMMANDS)
    assert featmap("-h").out == ended.out


@pytest.mark.parametrize("name", ["conv", "solve"])
def test_help_of_a_command_ends_with_examples_that_work(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shown = featmap(f"{name} --help")
    assert shown.code == 0
    for purpose, line in import_module(cli.COMMANDS[name]).EXAMPLES:
        assert f" {purpose} " in shown.out
        assert f"   {line} " in shown.out
        assert featmap(line.removeprefix("featmap ")).code == 0


def test_version() -> None:
    assert featmap("--version").out == f"featmap {__version__}\n"


@pytest.mark.parametrize("line", ["nonsense", "conv", "conv 32 --channels many", "conv 32 --nonsense", "--nonsense"])
def test_a_line_that_cannot_be_read_ends_with_2(line: str) -> None:
    ended = featmap(line)
    assert (ended.code, ended.out) == (2, "")
    assert "Usage:" in ended.err


@pytest.fixture
def ending(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], None]:
    """Adds a command `broken` that raises what it is given."""

    def add(error: BaseException) -> None:
        def command() -> None:
            raise error

        module = types.ModuleType("featmap.cli.broken")
        module.__dict__.update(command=command, EXAMPLES=())
        monkeypatch.setitem(sys.modules, "featmap.cli.broken", module)
        monkeypatch.setitem(cli.COMMANDS, "broken", module.__name__)

    return add


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (NoSuchLayer("there is no layer 'x'.", "Ask for 'y'."), 2, "there is no layer 'x'.\n\nAsk for 'y'.\n"),
        (TooLittleMemory("9 GB are needed."), 1, "9 GB are needed.\n"),
        (RuntimeError("two\nlines"), 1, "RuntimeError: two lines (--debug shows where)\n"),
        (ValueError(""), 1, "ValueError: (--debug shows where)\n"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_errors_end_without_traceback(
    ending: Callable[[BaseException], None], error: BaseException, code: int, text: str
) -> None:
    ending(error)
    ended = featmap("broken")
    assert (ended.code, ended.out, ended.err) == (code, "", text)


@pytest.mark.parametrize(("error", "code"), [(NoSuchLayer("no 'x'.", "Ask."), 2), (RuntimeError("bang"), 1)])
def test_debug_shows_where(ending: Callable[[BaseException], None], error: Exception, code: int) -> None:
    ending(error)
    ended = featmap("--debug broken")
    assert ended.code == code
    assert ended.err.startswith("Traceback")
    assert str(error) in ended.err


def test_a_group_of_commands_is_one_file_too(monkeypatch: pytest.MonkeyPatch) -> None:
    import typer

    group = typer.Typer()

    @group.command()
    def show() -> None:
        typer.echo("shown")

    @group.command()
    def verify() -> None:
        typer.echo("verified")

    module = types.ModuleType("featmap.cli.shelf")
    module.__dict__["app"] = group
    monkeypatch.setitem(sys.modules, "featmap.cli.shelf", module)
    monkeypatch.setitem(cli.COMMANDS, "shelf", module.__name__)
    assert featmap("shelf verify").out == "verified\n"


def run(*words: str, code: str = "") -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-c", code or "from featmap.cli import main; main()", *words]
    return subprocess.run(line, capture_output=True, text=True, encoding="utf-8", check=False)


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["conv", "32", "--channels", "3", "--filters", "6", "--kernel", "5"],
        ["conv", "32", "--channels", "3", "--filters", "6", "--kernel", "5", "--json"],
        ["solve", "224", "--output", "same", "--kernel", "3"],
    ],
)
def test_nothing_heavy_is_loaded(words: list[str]) -> None:
    code = (
        "import sys\nfrom featmap.cli import main\n"
        "try:\n    main()\nfinally:\n    print([m for m in sys.argv[0:0] or sys.modules if m in "
        f"{HEAVY!r}], file=sys.stderr)"
    )
    ended = run(*words, code=code)
    assert ended.returncode == 0
    assert ended.stderr == "[]\n"


def test_a_command_leaves_without_looking_through_all_objects() -> None:
    """What the last function at exit finds: the first to be registered."""
    at_exit = "atexit.register(lambda: print(gc.get_freeze_count() > 1000, gc.get_threshold()[0], file=sys.stderr))"
    code = f"import atexit, gc, sys; {at_exit}\nfrom featmap.cli import main; main()"
    assert run("solve", "224", "--output", "same", "--kernel", "3", code=code).stderr == "True 100000\n"


def test_geometry_loads_nothing_heavy() -> None:
    ended = run(code=f"import sys, featmap.geometry; print([m for m in sys.modules if m in {HEAVY!r}])")
    assert ended.stdout == "[]\n"


def test_debug_may_stand_anywhere() -> None:
    ended = run("conv", "3", "--channels", "1", "--filters", "1", "--kernel", "5", "--debug")
    assert ended.returncode == 2
    assert "Traceback" in ended.stderr


def test_a_terminal_without_the_signs_gets_others() -> None:
    code = "import sys; sys.stdout.reconfigure(encoding='ascii'); from featmap.cli import main; main()"
    ended = run(*f"{TRANSPOSED} --json".split(), code=code)
    assert (ended.returncode, ended.stdout.isascii()) == (0, True)
    assert json.loads(ended.stdout)["formula"]["rows"] == "(7 - 1) × 2 + 3 - 0 - 0 = 15"
    plain = run(*TRANSPOSED.split(), code=code)
    assert "\\xd7" in plain.stdout
