"""Every code block of README, CONTRIBUTING and docs/ runs and shows what really happens; and a wrong block is found."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from featmap.graph.operators.table import TABLE
from featmap.images.containers.table import CONTAINERS
from featmap.index.build.engines import ENGINES
from featmap.view.formats.table import FORMATS
from support.documents import DocumentError, blocks, run_document

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]

TICKS = "```"


@pytest.fixture(autouse=True)
def same_tables() -> Iterator[None]:
    """What a document registers is its own; the next one finds the tables as they were."""
    tables: list[dict[str, Any]] = [TABLE, ENGINES, FORMATS]
    before, containers = [dict(table) for table in tables], list(CONTAINERS)
    yield
    for table, entries in zip(tables, before, strict=True):
        table.clear()
        table.update(entries)
    CONTAINERS[:] = containers


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_document_shows_what_happens(path: Path, tmp_path: Path) -> None:
    if " --help\n" in path.read_text(encoding="utf-8") and int(version("rich").split(".")[0]) < 15:
        pytest.skip("older versions of rich lay the columns of a help out otherwise")
    run_document(path, tmp_path)


def fenced(label: str, code: str) -> str:
    return f"{TICKS}{label}\n{dedent(code).strip()}\n{TICKS}\n"


def run(text: str, folder: Path) -> None:
    path = folder / "document.md"
    path.write_text(text, encoding="utf-8")
    run_document(path, folder)


RIGHT = {
    "python": fenced("python", "assert 1 + 1 == 2"),
    "shared namespace": fenced("python", "x = 2")
    + fenced("python", ">>> x + 1\n3")
    + fenced("python", "assert x == 2"),
    "names from a doctest": fenced("pycon", ">>> y = 5") + fenced("python", "assert y == 5"),
    "doctest ellipsis": fenced("python", ">>> list(range(100))\n[0, 1, ..., 99]"),
    "console": fenced("console", "$ echo one; echo two\none\ntwo\n$ echo three\nthree"),
    "console ellipsis": fenced("console", "$ seq 9\n1\n...\n9"),
    "standard error is shown": fenced("console", "$ echo wrong >&2\nwrong"),
    "no output shown": fenced("console", "$ echo whatever"),
    "continued command": fenced("console", "$ echo a \\\n    b\na b"),
    "blank line in the output": fenced("console", "$ printf 'a\\n\\nb'\na\n\nb"),
    "one bash for a block": fenced("console", "$ mkdir deep && cd deep\n$ basename $PWD\ndeep"),
    "failure that is shown": fenced("console", "$ (echo no; exit 2)\nno\n$ echo $?\n2"),
    "script": fenced("sh", "true\ntrue"),
    "one folder": fenced("sh", "$ echo 7 > number")
    + fenced("python", "from pathlib import Path\nassert Path('number').read_text() == '7\\n'"),
    "this interpreter": fenced("console", "$ python -c 'import featmap; print(featmap.__name__)'\nfeatmap"),
    "excused": "<!-- not run: needs a cluster -->\n\n" + fenced("sh", "false"),
    "text": fenced("text", "anything"),
    "in a list": "- look:\n\n  ```python\n  if True:\n      z = 1\n  ```\n",
    "fence in a fence": "~~~~text\n```nonsense\n```\n~~~~\n",
}


@pytest.mark.parametrize("text", RIGHT.values(), ids=RIGHT.keys())
def test_right_document_passes(text: str, tmp_path: Path) -> None:
    run(text, tmp_path)


WRONG = {
    "doctest output": (fenced("python", ">>> 1 + 1\n3"), "Expected:\n    3\nGot:\n    2"),
    "doctest exception": (fenced("python", ">>> 1 / 0"), "ZeroDivisionError"),
    "unreadable as doctest": (
        fenced("python", "x = 1\n>>> x\n1"),
        "neither after >>> nor the output of",
    ),
    "console output": (
        fenced("console", "$ echo one\ntwo"),
        "md:2: \\$ echo one\nExpected:\n    two\nGot:\n    one",
    ),
    "second command": (fenced("console", "$ echo a\na\n$ echo b\nc"), "document.md:4: "),
    "output left out": (fenced("console", "$ seq 3\n1\n3"), "Got:\n    1\n    2\n    3"),
    "output invented": (fenced("console", "$ true\nsomething"), "Expected:\n    something"),
    "exit status": (fenced("console", "$ (exit 3)"), "exit status 3: \\$ \\(exit 3\\)"),
    "exit status with the right output": (fenced("console", "$ (echo a; exit 3)\na"), "exit status 3"),
    "script": (fenced("sh", "echo a\nfalse"), "exit status 1"),
    "no such command": (fenced("sh", "$ no-such-command"), "exit status 127"),
    "not bash": (fenced("sh", "$ if"), "bash stopped before \\$ if"),
    "bash left": (fenced("console", "$ exit 0\n$ echo a"), "bash stopped before \\$ exit 0"),
    "no prompt": (fenced("console", "echo a"), "must begin with '\\$ '"),
    "output before the prompt": (fenced("console", "a\n$ echo a"), "must begin with '\\$ '"),
    "unknown label": (fenced("pyhton", "1"), "line 1: the label 'pyhton' is none of bash, "),
    "no label": (fenced("", "1"), "the label '' is none of"),
    "never closed": (TICKS + "python\n1\n", "line 1: a fence is opened and never closed"),
    "excuse without reason": ("<!-- not run -->\n" + fenced("sh", "false"), "a comment without its reason"),
    "excuse with empty reason": ("<!-- not run: -->\n" + fenced("sh", "false"), "a comment without its reason"),
    "excuse for nothing": (
        "<!-- not run: slow -->\nProse.\n" + fenced("sh", "true"),
        "line 2: .*before no block",
    ),
    "excuse for text": ("<!-- not run: slow -->\n" + fenced("text", "a"), "a 'text' block is never run"),
    "excuse at the end": ("<!-- not run: slow -->\n", "stands before no block"),
    "quoted fence": ("> ```python\n> 1/0\n> ```\n", "line 1: code outside a fence"),
    "indented doctest": ("Prose:\n\n    >>> 1\n    2\n", "line 3: code outside a fence"),
}


@pytest.mark.parametrize(("text", "message"), WRONG.values(), ids=WRONG.keys())
def test_wrong_document_is_found(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match=message):
        run(text, tmp_path)


def test_exception_names_the_line_of_the_document(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        run("Prose.\n\n" + fenced("python", "x = 0\n1 / x"), tmp_path)
    assert caught.traceback[-1].lineno + 1 == 5
    assert str(caught.traceback[-1].path).endswith("document.md")


def test_working_folder_is_restored(tmp_path: Path) -> None:
    before = Path.cwd()
    with pytest.raises(DocumentError):
        run(fenced("sh", "false"), tmp_path)
    assert Path.cwd() == before


def test_blocks_keep_their_order_and_lines() -> None:
    found = blocks("a\n" + fenced("python", "1") + "b\n" + fenced("sh", "true"))
    assert [(block.label, block.line) for block in found] == [("python", 3), ("sh", 7)]
