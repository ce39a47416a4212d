"""`featmap explain`: the arithmetic of one value, or the contributions to one whole map."""

from __future__ import annotations

from typing import Annotated

from typer import Argument, Option

from featmap.cli.options.common import Json, answers, print_json, print_message
from featmap.cli.options.model import Fit, Input, Model, Trust, Weights, check_overwrites_none, load_model, notes
from featmap.cli.options.picture import Image, given_picture

EXAMPLES = (
    ("The arithmetic of one value:", "featmap explain torchvision:vgg16 cat.jpg features.21:z/117@10,12"),
    ("The same as a picture:", "featmap explain torchvision:vgg16 cat.jpg features.21:z/117@10,12 -o value.png"),
    ("What every input map contributes:", "featmap explain torchvision:vgg16 cat.jpg features.21/117 -o parts.png"),
)


def command(
    model: Model,
    image: Image,
    unit: Annotated[str, Argument(metavar="UNIT", help="LAYER:STAGE/CHANNEL@ROW,COLUMN, or LAYER/CHANNEL for a map.")],
    output: Annotated[str | None, Option("--output", "-o", metavar="FILE", help="x.png, x.json or x.txt.")] = None,
    weights: Weights = None,
    input: Input = None,
    fit: Fit = None,
    trust: Trust = False,
    as_json: Json = False,
) -> None:
    """Window, kernel and sum of every input channel, bias, normalisation, nonlinearity: one value taken apart."""
    from featmap.network.address import Address
    from featmap.view.results.network import RESULT_FILES, check_output, print_to

    whole_map = Address.parse(unit).unit is None
    if output is not None:
        check_output(output, RESULT_FILES, "this is")
        check_overwrites_none(output, [image])
    picture = given_picture(image)
    network = load_model(model, weights, input, fit, trust=trust)
    with notes():
        result = network.contributions(picture, unit) if whole_map else network.explain(picture, unit)
    if output is not None:
        for path in result.save(output):
            print_message(f"wrote {path}")
    if as_json:
        print_json(result.to_json())
    else:
        print_to(answers(), result)
