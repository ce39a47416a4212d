"""`featmap demo`: the guided main job, on real photographs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Option

from featmap.cli.common import Json, print_json, print_message

EXAMPLES = (("Train a small network and look into it:", "featmap demo"),)


def command(
    output: Annotated[str, Option("--output", "-o", metavar="FOLDER", help="Where everything goes.")] = "demo",
    as_json: Json = False,
) -> None:
    """Trains a small network on real photographs (about a minute, once) and walks through featmap with it."""
    from featmap.demo.tour import run_demo

    tour = run_demo(Path(output), print_message)
    if as_json:
        files = [str(path) for path in tour.files]
        print_json({"report": str(tour.report), "files": files, "next": list(tour.next_commands)})
        return
    print(f"Open {tour.report} in a browser; the pictures are beside it.\n\nThen try:")
    for line in tour.next_commands:
        print(f"  {line}")
