"""`featmap sheet`: what the maps of a layer respond to."""

from __future__ import annotations

from typing import Annotated

from typer import Option

from featmap.cli.options.answer import check_file, give
from featmap.cli.options.common import Json
from featmap.cli.options.model import Device, Model, ModelOptions, found_device, notes
from featmap.cli.options.picture import SEVERAL, given_pictures
from featmap.cli.project import Norm, ProjectionOutput, Rule, Start
from featmap.errors import SettingError

EXAMPLES = (
    (
        "The nine best images of every map, as pages:",
        "featmap sheet torchvision:vgg16 photos --layer features.21 -o sheet.png",
    ),
    (
        "Three maps, four images each:",
        "featmap sheet torchvision:vgg16 photos --layer features.21 --channels 7,117,300 -k 4 -o three.png",
    ),
)


def command(
    model: Model,
    images: Annotated[list[str] | None, SEVERAL] = None,
    layer: Annotated[str, Option(metavar="ADDRESS", help="LAYER, LAYER:STAGE or one map.")] = ...,  # type: ignore[assignment]
    output: ProjectionOutput = None,
    channels: Annotated[
        str | None, Option(metavar="LIST", help="Which maps: 7,117 or 0-15.", show_default="all")
    ] = None,
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
    chosen = None if channels is None else numbers(channels)
    place = found_device(device)
    pictures = given_pictures(images or [])
    network = options.load(model)
    with notes():
        result = network.sheet(pictures or None, layer, chosen, k, rule, start, norm, device=place)  # type: ignore[arg-type]
    give(result, output, as_json=as_json, lines=[f"input: {network.preprocessing.describe()}"])


def numbers(text: str) -> list[int]:
    """A list of numbers and ranges.

    >>> numbers("7,117"), numbers("0-3,9")
    ([7, 117], [0, 1, 2, 3, 9])
    """
    found: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdigit() or (dash and not last.isdigit()):
            raise SettingError(
                f"--channels '{text}' is not a list of maps.", "Write numbers and ranges: 7,117 or 0-15."
            )
        if int(last or first) < int(first):
            raise SettingError(
                f"--channels '{text}': {part.strip()} runs backwards.", "Write the smaller number first."
            )
        found += range(int(first), int(last or first) + 1)
    return found
