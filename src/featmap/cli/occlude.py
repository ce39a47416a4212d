"""`featmap occlude`: the parts of a picture that a score depends on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from typer import Option

from featmap.cli.options import parse
from featmap.cli.options.answer import check_file, file_option, give
from featmap.cli.options.common import Json
from featmap.cli.options.model import Device, Model, ModelOptions, found_device, notes
from featmap.cli.options.picture import Image, given_picture
from featmap.errors import SettingError
from featmap.view.formats.format import Content

if TYPE_CHECKING:
    from featmap.methods.shared.occlusion import OcclusionMap

EXAMPLES = (
    ("What the predicted class rests on:", "featmap occlude torchvision:vgg16 cat.jpg --weights DEFAULT -o heat.png"),
    ("One class, finer:", "featmap occlude torchvision:vgg16 cat.jpg --target tabby --stride 4 -o heat.png"),
    (
        "Where one feature map comes from:",
        "featmap occlude torchvision:vgg16 cat.jpg --target features.28:a/12 --activity mean -o map.png",
    ),
)


def command(
    model: Model,
    image: Image,
    target: Annotated[
        str | None,
        Option(
            metavar="TARGET",
            help="A class by number or name, a position in the output ('[3,10]'), a map or a unit. A number is a "
            "class, also where a layer has it for a name; 1:a/0 is a map of layer 1.",
            show_default="the predicted class",
        ),
    ] = None,
    output: Annotated[str | None, file_option(Content.PICTURE, Content.ARRAYS, Content.DATA, Content.TEXT)] = None,
    window: Annotated[
        str, Option(metavar="PIXELS", help="Rows and columns of the window: 16 or 16x24; 4x8x8 in a volume.")
    ] = "16",
    stride: Annotated[str, Option(metavar="PIXELS", help="From one window to the next: 8 or 8x12.")] = "8",
    baseline: Annotated[
        str, Option(metavar="VALUE", help="Written over the pixels (preprocessed): 0; 0.1,0,0; mean; local.")
    ] = "0",
    scale: Annotated[str, Option(help="Score of a class: logit or probability.")] = "logit",
    activity: Annotated[str, Option(help="Score of a map: maximum, mean or sum.")] = "maximum",
    colours: Annotated[str, Option(help="What full colour stands for: score (all of it) or effect.")] = "score",
    verify: Annotated[int, Option(metavar="N", help="Compute N random positions again in full, in float64.")] = 0,
    *,
    options: ModelOptions,
    device: Device = None,
    as_json: Json = False,
) -> None:
    """Writes a window over the picture, position by position, and records the score.

    Exact, though only what a window changes is computed again.
    """
    from featmap.methods.shared.occlusion import OcclusionMap

    check_file(output, OcclusionMap, [image], colours=colours)
    asked: dict[str, Any] = {
        "window": parse.sides(window, "--window"),
        "stride": parse.sides(stride, "--stride"),
        "baseline": baseline_of(baseline),
        "device": found_device(device),
    }
    picture = given_picture(image)
    network = options.load(model)
    with notes():
        result = network.occlude(picture, target, scale=scale, activity=activity, verify=verify, **asked)  # type: ignore[arg-type]
    lines = [*described(result), f"input: {network.preprocessing.describe()}"]
    give(result, output, as_json=as_json, lines=lines, colours=colours)


def described(result: OcclusionMap) -> list[str]:
    """What was done and how it was checked, one line each."""
    words, stride = result.semantics, " x ".join(map(str, result.windows.stride))
    lines = [
        f"stride {stride}; {words['edge_rule']}",
        f"baseline: {words['baseline']}",
        f"computed again: {result.recomputed_share:.1%} of the multiply-adds of full runs",
    ]
    if result.region_ends:
        lines.append(f"computed whole, with all that follows: {', '.join(result.region_ends)}")
    checked = result.verification
    if checked is not None:
        lines.append(
            f"verified: {checked.positions} positions in full, in float64: largest difference "
            f"{checked.largest_difference:.2g}, {checked.relative:.2g} of the largest of their scores"
        )
    return lines


def baseline_of(text: str) -> float | list[float] | Literal["mean", "local"]:
    """A number, one per channel, or the name of a mean.

    >>> baseline_of("0"), baseline_of("0.1,0,-1"), baseline_of("mean")
    (0.0, [0.1, 0.0, -1.0], 'mean')
    """
    if text == "mean" or text == "local":
        return text
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        raise SettingError(
            f"--baseline '{text}' is not a baseline.", "Write a number, one per channel (0.1,0,0), mean or local."
        ) from None
    return values[0] if len(values) == 1 else values
