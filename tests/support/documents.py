"""Documents run as a reader would run them: the code blocks, and where the document differs from the output.

`python` blocks of a document share one namespace; a block with `>>>` is compared as a doctest. Of `console` and `sh`
blocks the lines after `$ ` are given to bash, and the lines below them are compared with what really comes out on
either stream, where `...` stands for anything; a command may fail only if the next one is `echo $?`. All blocks run in
their order in one folder. Nothing is skipped silently: what cannot be run has `<!-- not run: REASON -->` before it, and
a label unknown here or code outside a fence is a mistake.
"""

from __future__ import annotations

import contextlib
import doctest
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PYTHON = frozenset({"python", "pycon"})
SHELL = frozenset({"console", "sh", "bash"})
TEXT = frozenset({"text", "json", "toml", "yaml", "make", "html", "css", "javascript", "diff", "mermaid", "bibtex"})
TIME_LIMIT_S = 600
STATUS_MARK = "--- exit status of a document command:"

_FENCE = re.compile(r"(?P<indent> *)(?P<fence>`{3,}|~{3,}) *(?P<label>[^\s`]*)[^`]*")
_EXCUSE = re.compile(r"<!-- not run: *(?P<reason>\S.*?) *-->")
_STRAY = re.compile(r"\s*(>>> |\$ |[>*-]?\s*(```|~~~)|<!--\s*not run)")


class DocumentError(AssertionError):
    """A document shows what does not happen, or what nobody can check."""


@dataclass(frozen=True)
class Block:
    """A fenced block: its text without the fence's indent, and the line of the document where that text begins."""

    label: str
    text: str
    line: int
    excuse: str = ""


@dataclass(frozen=True)
class Command:
    """What is given to bash, and the output that the document shows below it; nothing shown, nothing compared."""

    script: str
    shown: str
    line: int


def run_document(path: Path, folder: Path) -> None:
    """Run every block that is not excused, in `folder`. Raises: DocumentError: with the line in the document."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    with contextlib.chdir(folder):
        for block in blocks(path.read_text(encoding="utf-8")):
            if block.excuse or block.label in TEXT:
                continue
            _run_python(block, path, namespace) if block.label in PYTHON else _run_shell(block, path)


def blocks(text: str) -> list[Block]:
    """The fenced blocks of a document.

    >>> blocks("<!-- not run: takes an hour -->\\n```sh\\nmake bench\\n```")
    [Block(label='sh', text='make bench\\n', line=3, excuse='takes an hour')]
    """
    found: list[Block] = []
    excuse = ""
    lines = iter(enumerate(text.splitlines(), start=1))
    for number, line in lines:
        if match := _EXCUSE.fullmatch(line.strip()):
            excuse = match["reason"]
        elif match := _FENCE.fullmatch(line):
            found.append(Block(match["label"], _body(match, number, lines), number + 1, excuse))
            _check_block(found[-1])
            excuse = ""
        elif line.strip():
            _check_prose(line, number, excuse)
    if excuse:
        raise DocumentError(f"at the end: the comment 'not run: {excuse}' stands before no block.")
    return found


def _body(opening: re.Match[str], number: int, lines: Iterator[tuple[int, str]]) -> str:
    indent = len(opening["indent"])
    body: list[str] = []
    for _, line in lines:
        closing = line.strip()
        if closing.startswith(opening["fence"]) and not closing.strip(closing[0]):
            return "".join(f"{text}\n" for text in body)
        body.append(line[indent:] if not line[:indent].strip() else line)
    raise DocumentError(f"line {number}: a fence is opened and never closed.")


def _check_block(block: Block) -> None:
    if block.label not in PYTHON | SHELL | TEXT:
        known = ", ".join(sorted(PYTHON | SHELL | TEXT))
        raise DocumentError(f"line {block.line - 1}: the label '{block.label}' is none of {known}.")
    if block.excuse and block.label in TEXT:
        raise DocumentError(f"line {block.line - 1}: excused from running, but a '{block.label}' block is never run.")


def _check_prose(line: str, number: int, excuse: str) -> None:
    if _STRAY.match(line):
        raise DocumentError(f"line {number}: code outside a fence, or a comment without its reason: {line.strip()}")
    if excuse:
        raise DocumentError(f"line {number}: the comment 'not run: {excuse}' stands before no block.")


def _run_python(block: Block, path: Path, namespace: dict[str, Any]) -> None:
    if block.label == "pycon" or ">>>" in block.text:
        _run_doctest(block, path, namespace)
        return
    # Blank lines first, so that a traceback names the line of the document.
    source = "\n" * (block.line - 1) + block.text
    exec(compile(source, str(path), "exec", dont_inherit=True), namespace)


def _run_doctest(block: Block, path: Path, namespace: dict[str, Any]) -> None:
    parser = doctest.DocTestParser()
    if prose := [part for part in parser.parse(block.text) if isinstance(part, str) and part.strip()]:
        raise DocumentError(f"{path}:{block.line}: neither after >>> nor the output of anything: {prose[0].strip()}")
    test = parser.get_doctest(block.text, namespace, path.name, str(path), block.line - 1)
    report: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE, verbose=False)
    runner.run(test, out=report.append, clear_globs=False)
    namespace.update(test.globs)
    if runner.failures:
        raise DocumentError("".join(report))


def _run_shell(block: Block, path: Path) -> None:
    commands = list(_commands(block))
    if not commands:
        raise DocumentError(f"{path}:{block.line}: a console block must begin with '$ '.")
    outputs = _outputs(commands)
    followers = [*commands[1:], None]
    for command, (output, status), follower in zip(commands, outputs, followers, strict=False):
        _compare(command, output, path)
        if status and (follower is None or follower.script != "echo $?"):
            raise DocumentError(f"{path}:{command.line}: exit status {status}: $ {command.script}\n{output}")
    if len(outputs) < len(commands):
        raise DocumentError(f"{path}:{block.line}: bash stopped before $ {commands[len(outputs)].script}")


def _commands(block: Block) -> Iterator[Command]:
    lines = block.text.splitlines()
    if block.label != "console" and not any(line.startswith("$ ") for line in lines):
        yield Command(block.text.rstrip(), "", block.line)
    elif lines and lines[0].startswith("$ "):
        starts = _prompts(lines)
        for start, stop in zip(starts, [*starts[1:], len(lines)], strict=True):
            below = next(index for index in range(start, stop) if not lines[index].endswith("\\")) + 1
            script = "\n".join(lines[start:below]).removeprefix("$ ")
            yield Command(script, _tidy("\n".join(lines[below:stop])), block.line + start)


def _prompts(lines: list[str]) -> list[int]:
    return [index for index, line in enumerate(lines) if line.startswith("$ ")]


def _outputs(commands: Iterable[Command]) -> list[tuple[str, int]]:
    """Output and exit status of each command; all run in one bash, so that `cd` and `$?` mean what they say."""
    report = f"status=$?; printf '\\n{STATUS_MARK} %s\\n' $status; (exit $status)"
    script = "\n".join(f"{{ {command.script}\n}}\n{report}" for command in commands)
    done = subprocess.run(
        ["bash", "-c", script],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=_environment(),
        text=True,
        timeout=TIME_LIMIT_S,
        check=False,
    )
    parts = re.split(rf"\n{STATUS_MARK} (\d+)\n", done.stdout)
    return [(_tidy(output), int(status)) for output, status in zip(parts[::2], parts[1::2], strict=False)]


def _environment() -> dict[str, str]:
    folder = str(Path(sys.executable).parent)
    shell = {"PATH": os.pathsep.join([folder, os.environ["PATH"]]), "COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb"}
    return os.environ | shell


def _compare(command: Command, output: str, path: Path) -> None:
    example = doctest.Example(command.script, f"{command.shown}\n")
    checker = doctest.OutputChecker()
    if command.shown and not checker.check_output(example.want, f"{output}\n", doctest.ELLIPSIS):
        difference = checker.output_difference(example, f"{output}\n", doctest.ELLIPSIS)
        raise DocumentError(f"{path}:{command.line}: $ {command.script}\n{difference}")


def _tidy(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.splitlines()).strip("\n")
