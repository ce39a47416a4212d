"""What all commands share: the `--json` option, and where output goes.

Answers go to standard output, everything else to standard error, so that `featmap ... --json > file` holds one JSON
document and nothing else. rich is imported only when something is drawn with it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from featmap.plain_data import json_text

if TYPE_CHECKING:
    from rich.console import Console

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output, and nothing else.")]


Fact = tuple[str, str, str]
"""A name, a number and how it comes about."""


def answers() -> Console:
    """Where an answer is drawn with rich: standard output. Lines are never broken, and `:a:` is not an emoji."""
    from rich.console import Console

    return Console(highlight=False, soft_wrap=True, emoji=False)


def messages() -> Console:
    """Where progress and messages are drawn with rich: standard error."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, emoji=False)


def print_message(text: str) -> None:
    """One line on standard error."""
    typer.echo(text, err=True)


def print_facts(title: str, facts: Sequence[Fact]) -> None:
    """A title and lines of three aligned entries on standard output."""
    from rich.text import Text

    names, numbers = (max(len(fact[entry]) for fact in facts) for entry in (0, 1))
    console = answers()
    console.print(Text(title, "bold"), end="\n\n")
    for name, number, how in facts:
        line = Text.assemble(f"  {name:<{names}}  ", (f"{number:>{numbers}}", "bold cyan"), f"   {how}".rstrip())
        console.print(line)


def count(number: int, one: str, many: str = "") -> str:
    """A number with its noun.

    >>> count(1, "map"), count(4704, "map"), count(2, "bias", "biases")
    ('1 map', '4,704 maps', '2 biases')
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def by(numbers: Sequence[Any], *, brief: bool = False) -> str:
    """Rows by columns; `brief` writes one number where both are the same, and `-` where there is none.

    >>> by((224, 320)), by((2, 2), brief=True), by((None, 1), brief=True)
    ('224 × 320', '2', '- × 1')
    """
    words = ["-" if number is None else str(number) for number in numbers]
    return words[0] if brief and len(set(words)) == 1 else " × ".join(words)


def print_json(document: Any) -> None:
    """One JSON document on standard output, in the signs that it can print."""
    has_all_signs = (sys.stdout.encoding or "").lower().startswith("utf")
    typer.echo(json_text(document, is_ascii=not has_all_signs))
