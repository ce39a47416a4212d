"""`featmap demo`: the guided main job, on real photographs."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path
from typing import Annotated

from typer import Option

from featmap.cli.options.common import Json, print_json, print_message

EXAMPLES = (("Train a small network and look into it:", "featmap demo"),)


def command(
    output: Annotated[str, Option("--output", "-o", metavar="FOLDER", help="Where everything goes.")] = "demo",
    as_json: Json = False,
) -> None:
    """Trains a small network on real photographs (about a minute, once) and walks through featmap with it."""
    # On a busy machine, spinning threads made the training four times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from featmap.demo.tour import run_demo

    tour = run_demo(Path(output), print_message)
    commands = [line.replace("featmap", program(), 1) for line in tour.next_commands]
    if as_json:
        print_json({"report": str(tour.report), "files": [str(path) for path in tour.files], "next": commands})
        return
    print(f"Open {tour.report} in a browser; the pictures are beside it.\n\nThen try:")
    for line in commands:
        print(f"  {line}")


def program() -> str:
    """The command that runs featmap, with its path where its folder is not on PATH."""
    beside = Path(sys.executable).with_name("featmap")
    if shutil.which("featmap") or not beside.exists():
        return "featmap"
    return shlex.quote(os.path.relpath(beside))
