"""`featmap sheet`: what the maps of a layer respond to."""

from __future__ import annotations

from typing import Annotated

from typer import Option

from featmap.cli.options.answer import check_file, give
from featmap.cli.options.common import Json
from featmap.cli.options.model import Device, Model, ModelOptions, found_device, notes
from featmap.cli.options.picture import ImagesIfAny, given_pictures
from featmap.cli.options.several import channels_option, numbers
from featmap.cli.project import Norm, ProjectionOutput, Rule, Start

EXAMPLES = (
    (
        "The nine best images of every map, as pages:",
        "featmap sheet torchvision:vgg16 photos --layer features.21 -o sheet.png",
    ),
    (
        "Three maps, four images each:",
        "featmap sheet torchvision:vgg16 photos --layer features.21 --channel 7,117,300 -k 4 -o three.png",
    ),
)


def command(
    model: Model,
    images: ImagesIfAny = None,
    layer: Annotated[str, Option(metavar="ADDRESS", help="LAYER, LAYER:STAGE or one map.")] = ...,  # type: ignore[assignment]
    output: ProjectionOutput = None,
    channels: Annotated[list[str] | None, channels_option()] = None,
    k: Annotated[int, Option("-k", metavar="N", help="Images per map.")] = 9,
    rule: Rule = "deconvnet",
    start: Start = "value",
    norm: Norm = "scale",
    *,
    options: ModelOptions,
    device: Device = None,
    as_json: Json = False,
) -> None:
    """For every map of a layer the images that excite it most: what the strongest unit sees, and its projection."""
    from featmap.methods.sheet import Sheet

    check_file(output, Sheet, images or [])
    chosen = numbers(channels)
    place = found_device(device)
    pictures = given_pictures(images or [])
    network = options.load(model)
    with notes():
        result = network.sheet(pictures or None, layer, chosen, k, rule, start, norm, device=place)  # type: ignore[arg-type]
    give(result, output, as_json=as_json, lines=[f"input: {network.preprocessing.describe()}"])
