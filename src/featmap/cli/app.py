"""The list of commands, and how each of them ends.

A command is one file, usually in this folder, and one line in `COMMANDS`. The file defines `command`, a function with
typer annotations or classes of options (`spread`), or `app`, a `typer.Typer` of commands below it; and `EXAMPLES`,
pairs of a purpose and a command line that end its help. It is imported only when it is needed, and imports heavy
packages inside the function. It calls the library and prints. It does not catch errors: here a wrong question becomes
exit code 2, failed work 1, an interrupt 130, all without a traceback unless `--debug` is given.
"""

from __future__ import annotations

import atexit
import gc
import sys
import traceback
import warnings
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from importlib import import_module
from io import TextIOWrapper
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from featmap import __version__
from featmap.cli.options.spread import spread
from featmap.errors import FeatmapError, FeatmapWarning

COMMANDS = {
    "conv": "featmap.cli.conv",
    "solve": "featmap.cli.solve",
    "plan": "featmap.cli.plan",
    "field": "featmap.cli.field",
    "maps": "featmap.cli.maps",
    "explain": "featmap.cli.explain",
    "occlude": "featmap.cli.occlude",
    "project": "featmap.cli.project",
    "sheet": "featmap.cli.sheet",
    "index": "featmap.cli.index.group",
    "top": "featmap.cli.index.top",
    "audit": "featmap.cli.index.audit",
    "demo": "featmap.demo.command",
}

CONTEXT = {"help_option_names": ["-h", "--help"]}
CLICK_ERROR: type[Exception] = next(base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException")


class Commands(TyperGroup):
    """The commands, each imported when it is first used."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name in COMMANDS and cmd_name not in self.commands:
            self.commands[cmd_name] = loaded(cmd_name)
        return TyperGroup.get_command(self, ctx, cmd_name)

    def invoke(self, ctx: Any) -> Any:
        try:
            with notes_said():
                return TyperGroup.invoke(self, ctx)
        except KeyboardInterrupt:
            raise typer.Exit(130) from None
        except (typer.Exit, typer.Abort, CLICK_ERROR, BrokenPipeError):  # pyright: ignore[reportGeneralTypeIssues]
            raise
        except Exception as error:
            raise typer.Exit(ended(error, debug=ctx.params["debug"])) from None


def loaded(name: str) -> Any:
    """The command of a file in this folder."""
    module = import_module(COMMANDS[name])
    if hasattr(module, "app"):
        group = get_command(module.app)
        group.name = name
        return group
    single = typer.Typer(rich_markup_mode="rich", add_completion=False)
    single.command(name, epilog=epilog(module.EXAMPLES), context_settings=CONTEXT)(spread(module.command))
    return get_command(single)


def epilog(examples: Iterable[tuple[str, str]]) -> str:
    """The end of a help text: for each example its purpose and the line to type."""
    return "\n\n".join(f"[dim]{purpose}[/dim]\n  [bold cyan]{line}[/bold cyan]" for purpose, line in examples)


@contextmanager
def notes_said() -> Generator[None]:
    """featmap's warnings are one line each on standard error, wherever they come from; others are given as ever."""
    said: set[str] = set()
    with warnings.catch_warnings():
        others = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
            if not issubclass(category, FeatmapWarning):
                others(message, category, *where, **more)
            elif str(message) not in said:
                said.add(str(message))
                typer.echo(f"note: {message}", err=True)

        warnings.simplefilter("always", FeatmapWarning)
        warnings.showwarning = show
        yield


def ended(error: Exception, *, debug: bool) -> int:
    """Print what went wrong on standard error, and return the exit code."""
    is_ours = isinstance(error, FeatmapError)
    if debug:
        traceback.print_exception(error)
    elif is_ours:
        typer.secho(error.problem, fg="red", err=True)
        if error.remedy:
            typer.echo(f"\n{error.remedy}", err=True)
    else:
        what = " ".join(f"{type(error).__name__}: {error}".split())
        typer.secho(f"{what} (--debug shows where)", fg="red", err=True)
    return error.exit_code if is_ours else 1


def show_version(wanted: bool) -> None:
    """Print the version and leave."""
    if wanted:
        typer.echo(f"featmap {__version__}")
        raise typer.Exit


EXAMPLES = (
    ("Size, weights and cost of one layer:", "featmap conv 32 --channels 3 --filters 6 --kernel 5"),
    ("Which padding and stride halve 224:", "featmap solve 224 --output 112 --kernel 7"),
)

app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    context_settings=CONTEXT,
    rich_markup_mode="rich",
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback(epilog=epilog(EXAMPLES))
def featmap(
    debug: Annotated[
        bool, typer.Option("--debug", envvar="FEATMAP_DEBUG", show_envvar=False, help="Show tracebacks of errors.")
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=show_version, help="Print the version.")
    ] = False,
) -> None:
    """A measuring instrument for the feature maps of convolutional networks."""


def collect_rarely() -> None:
    """Lets Python look for unused circles of objects rarely: torch makes a million objects that stay.

    Looking through them again and again, and once more at the end, was a quarter of the time of a plan.
    """
    gc.set_threshold(100_000)
    atexit.register(gc.freeze)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command line and leave the process with its exit code."""
    collect_rarely()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # not every terminal has a ×
    words = list(sys.argv[1:] if arguments is None else arguments)
    if "--debug" in words:  # it may be anywhere, typer accepts it only in front
        words = ["--debug", *(word for word in words if word != "--debug")]
    app(words, prog_name="featmap")
