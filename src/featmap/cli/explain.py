"""`featmap explain`: the arithmetic of one value, or the contributions to one whole map."""

from __future__ import annotations

from typing import Annotated

from typer import Argument

from featmap.cli.options.answer import check_file, file_option, give
from featmap.cli.options.common import Json
from featmap.cli.options.model import Model, ModelOptions, notes
from featmap.cli.options.picture import Image, given_picture
from featmap.view.formats.format import Content

EXAMPLES = (
    ("The arithmetic of one value:", "featmap explain torchvision:vgg16 cat.jpg features.21:z/117@10,12"),
    ("The same as a picture:", "featmap explain torchvision:vgg16 cat.jpg features.21:z/117@10,12 -o value.png"),
    ("What every input map contributes:", "featmap explain torchvision:vgg16 cat.jpg features.21/117 -o parts.png"),
)


def command(
    model: Model,
    image: Image,
    unit: Annotated[str, Argument(metavar="UNIT", help="LAYER:STAGE/CHANNEL@ROW,COLUMN, or LAYER/CHANNEL for a map.")],
    output: Annotated[str | None, file_option(Content.PICTURE, Content.DATA, Content.TEXT)] = None,
    *,
    options: ModelOptions,
    as_json: Json = False,
) -> None:
    """Window, kernel and sum of every input channel, bias, normalisation, nonlinearity: one value taken apart.

    Of a sum, a concatenation or a pool: what each operand gives.
    """
    from featmap.methods.contributions import Contributions
    from featmap.methods.explain import Explanation
    from featmap.network.address import Address

    whole_map = Address.parse(unit).unit is None
    check_file(output, Contributions if whole_map else Explanation, [image])
    picture = given_picture(image)
    network = options.load(model)
    with notes():
        result = network.contributions(picture, unit) if whole_map else network.explain(picture, unit)
    give(result, output, as_json=as_json)
