"""The list of the commands below `featmap index`, each a file like those of `featmap.cli.app.COMMANDS`."""

from __future__ import annotations

import typer

from featmap.cli.app import CONTEXT, epilog
from featmap.cli.index import audit, build, compare, distribution, selectivity, show, similar, top, verify
from featmap.cli.options.spread import spread

COMMANDS = {
    "build": build,
    "show": show,
    "verify": verify,
    "similar": similar,
    "top": top,
    "audit": audit,
    "distribution": distribution,
    "selectivity": selectivity,
    "compare": compare,
}
EXAMPLES = tuple(module.EXAMPLES[0] for module in (build, show, verify))

app = typer.Typer(
    help="The maps of a whole dataset, in an index on disk. `featmap top` and `featmap audit` are short forms.",
    epilog=epilog(EXAMPLES),
    no_args_is_help=True,
    rich_markup_mode="rich",
    add_completion=False,
    context_settings=CONTEXT,
)
for _name, _module in COMMANDS.items():
    app.command(_name, epilog=epilog(_module.EXAMPLES))(spread(_module.command))
