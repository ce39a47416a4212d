"""Lazy imports: help, wrong command lines and `import featmap` load nothing heavy."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {"torch", "numpy", "matplotlib", "PIL", "torchvision", "timm", "safetensors", "skimage", "zarr", "icechunk"}
LOADED = f"print(sorted({HEAVY!r} & set(sys.modules)), file=sys.stderr)"


def loaded(code: str, *words: str) -> list[str]:
    """The lines on standard error; the last one is the heavy modules that were loaded when the code ended."""
    script = f"import sys\ntry:\n    {code}\nfinally:\n    {LOADED}"
    line = [sys.executable, "-c", script, *words]
    ended = subprocess.run(line, capture_output=True, text=True, encoding="utf-8", check=False)
    return ended.stderr.strip().split("\n")


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--help"],
        ["--version"],
        ["plan", "--help"],
        ["field", "--help"],
        ["maps", "--help"],
        ["explain", "--help"],
        ["index", "--help"],
        ["index", "build", "--help"],
        ["index", "verify", "--help"],
        ["top", "--help"],
        ["audit", "--help"],
        ["demo", "--help"],
        ["maps", "no:image"],
        ["conv", "32", "--channels", "3", "--filters", "6", "--kernel", "5"],
        ["solve", "224", "--output", "112", "--kernel", "7"],
    ],
    ids=" ".join,
)
def test_commands_that_need_nothing_heavy(words: list[str]) -> None:
    assert loaded("from featmap.cli import main; main()", *words)[-1] == "[]"


@pytest.mark.parametrize("code", ["import featmap", "import featmap as fm; fm.geometry; fm.errors; dir(fm)"])
def test_the_library_waits_too(code: str) -> None:
    assert loaded(code) == ["[]"]


def test_what_is_loaded_is_found() -> None:
    assert loaded("import numpy") == ["['numpy']"]


@pytest.mark.parametrize(
    ("words", "listed"),
    [
        (["top", "none.fmi", "stem/0", "-o", "x.gif"], "this answer is written as .png, .json, .csv or .txt."),
        (["audit", "none.fmi", "-o", "x.gif"], "this answer is written as .json, .csv or .txt."),
        (["explain", "no:model", "no.png", "0/1", "-o", "x.gif"], "this is written as .png, .json or .txt."),
        (["sheet", "no:model", "--layer", "0", "-o", "x.gif"], "a sheet is written as .png, .npz, .json or .txt."),
    ],
    ids=lambda words: words[0],
)
def test_a_fresh_process_knows_how_answers_are_written(words: list[str], listed: str) -> None:
    """What types of answers can be written as is registered when they are imported, which a command does late."""
    assert f"'x.gif' ends in '.gif'; {listed}" in loaded("from featmap.cli import main; main()", *words)
