"""`featmap project`: what in the picture a unit, a map or a class responds to."""

from __future__ import annotations

from typing import Annotated, Any

from typer import Argument, Option

from featmap.cli.options.answer import check_file, file_option, give
from featmap.cli.options.common import Json
from featmap.cli.options.model import Device, Model, ModelOptions, found_device, notes
from featmap.cli.options.picture import Image, given_picture
from featmap.view.formats.format import Content

EXAMPLES = (
    (
        "What the strongest unit of a map responds to:",
        "featmap project torchvision:vgg16 cat.jpg features.21:a/117 -o projection.png",
    ),
    (
        "One unit, by guided backpropagation:",
        "featmap project torchvision:vgg16 cat.jpg features.21:a/117@10,12 --rule guided -o unit.png",
    ),
    (
        "The gradient of the predicted class:",
        "featmap project torchvision:resnet50 cat.jpg --rule gradient --start one -o class.png",
    ),
)

ProjectionOutput = Annotated[str | None, file_option(Content.PICTURE, Content.ARRAYS, Content.DATA, Content.TEXT)]
Rule = Annotated[str, Option(metavar="RULE", help="At rectifiers: deconvnet, guided or gradient.")]
Start = Annotated[
    str, Option(metavar="START", help="The signal begins with the unit's [bold]value[/bold] or [bold]one[/bold].")
]
Norm = Annotated[
    str, Option(metavar="NORM", help="Normalisations [bold]scale[/bold] the signal, or it [bold]skip[/bold]s them.")
]


def command(
    model: Model,
    image: Image,
    target: Annotated[
        str | None,
        Argument(
            metavar="ADDRESS",
            help="A unit, a map (its strongest unit) or a layer (all maps); a class by number or name. A number is a "
            "class; layer 1 is 1:a, or 1:z.",
            show_default="the predicted class",
        ),
    ] = None,
    output: ProjectionOutput = None,
    rule: Rule = "deconvnet",
    start: Start = "value",
    norm: Norm = "scale",
    whole: Annotated[bool, Option("--whole", help="All positions of a map, each with its value.")] = False,
    *,
    options: ModelOptions,
    device: Device = None,
    as_json: Json = False,
) -> None:
    """Propagates the signal of a unit, a map or a class back to the pixels: what it responds to in this picture."""
    from featmap.methods.shared.projection import Projection, Projections

    check_file(output, Projection, [image])
    asked: dict[str, Any] = {"rule": rule, "start": start, "norm": norm, "device": found_device(device)}
    picture = given_picture(image)
    network = options.load(model)
    with notes():
        result = network.project(picture, target, whole=whole, **asked)
    first = result[0] if isinstance(result, Projections) else result
    lines = [*described(first), f"input: {network.preprocessing.describe()}"]
    give(result, output, as_json=as_json, lines=lines)


def described(result: Any) -> list[str]:
    """What was done, one line each."""
    from featmap.methods.shared.projection import own_gradient_words

    words = result.semantics
    lines = [f"rule {words['rule']}, started from {words['start']}, normalisations: {words['norm']}"]
    if own := own_gradient_words(words["own_gradients"]):
        lines.append(own)
    if words["through_gradient"]:
        lines.append(f"not rectifiers, so they use their gradient: {', '.join(words['through_gradient'])}")
    if result.started_from < 0:
        lines.append(words["sign"])
    return lines
