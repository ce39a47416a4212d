"""Whatever featmap warns of is a note of one line on the command line, at every command and only once."""

from __future__ import annotations

import pkgutil
import subprocess
import sys
import warnings
from importlib import import_module
from pathlib import Path

import pytest
import torch

import featmap as library
from cli.conftest import picture
from cli.console import featmap
from cli.networks import Small
from featmap.cli.app import notes_said
from featmap.errors import FeatmapWarning

MODEL = "cli.networks:Small --weights wrapped.pt"
WRAPPED = "note: 'wrapped.pt' was saved from a wrapped module: 'module.' left out of its names."
ALPHA = "note: of some pictures transparency is left out, and what is below it is seen"
COMMANDS = {
    "plan": (f"plan {MODEL}", [WRAPPED]),
    "field": (f"field {MODEL} stem", [WRAPPED]),
    "field on a picture": (f"field {MODEL} stem:z/0@1,1 --image clear.png -o x.png", [WRAPPED, ALPHA]),
    "maps": (f"maps {MODEL} clear.png --layer stem -o x.png", [WRAPPED, ALPHA]),
    "explain": (f"explain {MODEL} clear.png stem:z/0@1,1", [WRAPPED, ALPHA]),
    "occlude": (f"occlude {MODEL} clear.png --target stem:z/0@1,1 --window 4 -o x.png", [WRAPPED, ALPHA]),
    "project": (f"project {MODEL} clear.png stem:z/0@1,1 -o x.png", [WRAPPED, ALPHA]),
    "sheet": (f"sheet {MODEL} clear.png --layer stem -o x.png", [WRAPPED, ALPHA]),
    "index build": (f"index build {MODEL} clears -o x.fmi --layers stem", [WRAPPED, ALPHA]),
    "top": ("top made.fmi stem:a/0 -o x.png", [ALPHA]),
}


@pytest.fixture
def wrapped(place: Path) -> None:
    state = {f"module.{name}": tensor for name, tensor in Small().state_dict().items()}
    torch.save(state, "wrapped.pt")
    Path("clears").mkdir()
    clear = picture().convert("RGBA")
    clear.putalpha(100)
    for path in ("clear.png", "clears/clear.png"):
        clear.save(path)


@pytest.mark.usefixtures("wrapped")
@pytest.mark.parametrize("name", COMMANDS)
def test_every_command(name: str) -> None:
    line, said = COMMANDS[name]
    if "made.fmi" in line:
        assert featmap(f"index build {MODEL} clears -o made.fmi --layers stem").code == 0
    ended = featmap(line)
    assert ended.code == 0, ended.err
    lines = ended.err.splitlines()
    assert [text for text in lines if "Warning" in text or ".py" in text] == []
    assert [text for text in lines if text.startswith("note: ")] == said


@pytest.mark.usefixtures("wrapped")
def test_a_process_of_its_own_says_the_same() -> None:
    words = ["-c", "from featmap.cli import main; main()", "plan", *MODEL.split()]
    path = {"PYTHONPATH": ":".join(sys.path), "PATH": "", "COLUMNS": "80"}
    ended = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=True, env=path)
    assert ended.stderr.splitlines() == [WRAPPED]


def test_only_featmaps_are_notes(capsys: pytest.CaptureFixture[str]) -> None:
    def warn() -> None:
        with notes_said():
            for text, kind in (("of ours", FeatmapWarning), ("of ours", FeatmapWarning), ("of another", UserWarning)):
                warnings.warn(text, kind, stacklevel=1)

    with pytest.warns(UserWarning, match="of another") as caught:
        warn()
    assert [str(one.message) for one in caught] == ["of another"]
    assert capsys.readouterr().err == "note: of ours\n"


def test_every_warning_of_the_package_is_one() -> None:
    skipped = ("featmap.index.build.worker",)
    for found in pkgutil.walk_packages(library.__path__, "featmap."):
        if found.name not in skipped:
            import_module(found.name)
    waiting, classes = [Warning], list[type[Warning]]()
    while waiting:
        classes.append(waiting.pop())
        waiting += classes[-1].__subclasses__()
    ours = [kind for kind in classes if kind.__module__.startswith("featmap.")]
    assert len(ours) > 5
    assert all(issubclass(kind, FeatmapWarning) for kind in ours)
