"""`featmap index build`: every image measured once, and what its maps hold kept."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer import Argument, Option

from featmap.cli.options.answer import give
from featmap.cli.options.common import Json, print_message
from featmap.cli.options.engine import EngineChoice
from featmap.cli.options.model import Device, Model, ModelOptions, found_device, notes
from featmap.cli.options.several import layers_option, split
from featmap.cli.options.spread import OptionPanel
from featmap.index.build.options import ImageOptions
from featmap.index.schema.wish import WishOptions

EXAMPLES = (
    ("Index a folder of photographs:", "featmap index build torchvision:resnet50 photos -o photos.fmi"),
    ("Two layers:", "featmap index build torchvision:resnet50 photos -o photos.fmi --layer conv1,layer1.0.conv1"),
    (
        "Go on after an interrupt, or add what is new:",
        "featmap index build torchvision:resnet50 photos -o photos.fmi",
    ),
    ("On a Ray cluster:", "featmap index build torchvision:resnet50 photos -o photos.fmi --engine ray --workers 8"),
)

KEPT = "What is kept (of an index that is there already: leave these out)"


def command(
    model: Model,
    images: Annotated[
        list[str],
        Argument(
            metavar="IMAGES",
            help="A folder with all below it, where the folder of an image is its label; a list (.csv, .tsv, .txt) of "
            "paths, or of paths and labels; a tar file; a glob in quotes; or pictures.",
        ),
    ],
    output: Annotated[str, Option("--output", "-o", metavar="INDEX", help="The index: a folder or a URL.")],
    layers: Annotated[
        list[str] | None,
        layers_option(rich_help_panel=KEPT),
    ] = None,
    *,
    kept: Annotated[WishOptions, OptionPanel(KEPT)],
    unread: Annotated[ImageOptions, OptionPanel("Images")],
    device: Device = None,
    engine: EngineChoice,
    options: ModelOptions,
    as_json: Json = False,
) -> None:
    """Measure every image once, and keep what its maps hold.

    Every block of images is one commit. Whatever ends a build, an interrupt, a
    crash or a full disk, the index holds the blocks before it; the same command
    goes on from there, and adds images that are new. Images that cannot be read
    are listed with the reason; where none could be read, the exit code is 1.
    """
    import featmap

    settings: dict[str, Any] = {**kept, **unread, "engine": engine.engine, **engine.settings}
    given: Any = images[0] if len(images) == 1 else images
    place = found_device(device)
    network = options.load(model)
    try:
        with notes():
            report = featmap.Index.build(network, given, output, split(layers), device=place, **settings).report
    except KeyboardInterrupt:
        _say_what_is_kept(output)
        raise
    give(report, None, as_json=as_json)
    if report is not None and not report.images:
        raise typer.Exit(1)


def _say_what_is_kept(path: str) -> None:
    from featmap.errors import FeatmapError
    from featmap.index.store.snapshot import Snapshot

    try:
        print_message(f"interrupted: '{path}' holds {Snapshot.of(path).images:,} images; the same command goes on.")
    except FeatmapError:
        print_message(f"interrupted: '{path}' was not started.")
