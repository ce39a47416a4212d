"""Write into README and docs what their code prints now: python docs/renew.py [DOCUMENT ...]

Documents are run as the tests run them (tests/support/documents.py). Where a shown output still holds it stays as it
is, with its ellipses; where it does not, what really came out takes its place. Read the difference before you keep it:
this makes documents agree with the code, right or wrong.
"""

from __future__ import annotations

import contextlib
import doctest
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "src")]

from support import documents  # noqa: E402  (of the tests, no package)

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
Change = tuple[int, int, list[str]]
"""Lines from, lines to (counted from 0, the last not included), and what stands there instead."""


class Recorder(doctest.DocTestRunner):
    """Keeps what came out where it was not what the document shows."""

    def __init__(self) -> None:
        super().__init__(optionflags=FLAGS, verbose=False)
        self.got: list[tuple[doctest.Example, str]] = []

    def report_failure(self, out: Any, test: Any, example: doctest.Example, got: str) -> None:  # noqa: ARG002
        self.got.append((example, got))

    def report_unexpected_exception(self, *args: Any) -> None:
        raise args[-1][1]


def renewed(path: Path) -> str:
    """The document's text with the outputs of this moment."""
    text = path.read_text(encoding="utf-8")
    namespace: dict[str, Any] = {"__name__": "__main__"}
    changes: list[Change] = []
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        for block in documents.blocks(text):
            if not block.excuse and block.label in documents.PYTHON:
                changes += python_changes(block, path, namespace)
            elif not block.excuse and block.label in documents.SHELL:
                changes += shell_changes(block)
    lines = text.split("\n")
    for start, stop, instead in reversed(changes):
        lines[start:stop] = instead
    return "\n".join(lines)


def python_changes(block: documents.Block, path: Path, namespace: dict[str, Any]) -> list[Change]:
    """Outputs below `>>>` that changed."""
    if ">>>" not in block.text:
        documents._run_python(block, path, namespace)
        return []
    test = doctest.DocTestParser().get_doctest(block.text, namespace, path.name, str(path), block.line - 1)
    recorder = Recorder()
    recorder.run(test, out=lambda _: None, clear_globs=False)
    namespace.update(test.globs)
    changes: list[Change] = []
    for example, got in recorder.got:
        start = block.line - 1 + example.lineno + example.source.count("\n")
        instead = ["<BLANKLINE>" if not line.strip() else line.rstrip() for line in got.rstrip("\n").split("\n")]
        changes.append((start, start + example.want.count("\n"), instead if got else []))
    return changes


def shell_changes(block: documents.Block) -> list[Change]:
    """Outputs below `$ ` that changed; a command that shows none keeps none."""
    commands = list(documents._commands(block))
    lines = block.text.splitlines()
    changes: list[Change] = []
    checker = doctest.OutputChecker()
    for index, (command, (output, _)) in enumerate(zip(commands, documents._outputs(commands), strict=True)):
        if not command.shown or checker.check_output(f"{command.shown}\n", f"{output}\n", doctest.ELLIPSIS):
            continue
        start = command.line - block.line + command.script.count("\n") + 1
        stop = commands[index + 1].line - block.line if index + 1 < len(commands) else len(lines)
        changes.append((block.line - 1 + start, block.line - 1 + stop, output.split("\n")))
    return changes


def main(names: list[str]) -> None:
    """Renew the named documents, or all."""
    paths = [Path(name).resolve() for name in names] or [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    for path in paths:
        text = renewed(path)
        if text != path.read_text(encoding="utf-8"):
            path.write_text(text, encoding="utf-8")
            print(f"renewed {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main(sys.argv[1:])
