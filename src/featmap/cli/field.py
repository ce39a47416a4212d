"""`featmap field`: which input pixels can influence a layer's units, or one of them?"""

from __future__ import annotations

from typing import Annotated

from typer import Argument, Option

from featmap.cli.common import Json, print_json, print_message
from featmap.cli.model import Input, Model, Trust, load_model

EXAMPLES = (
    ("Receptive field of a layer:", "featmap field torchvision:vgg16 features.28"),
    ("The exact box of one unit:", "featmap field torchvision:vgg16 features.28:a/0@7,7"),
    ("The same, drawn on a picture:", "featmap field torchvision:vgg16 features.28:a/0@7,7 --image cat.jpg -o box.png"),
)


def command(
    model: Model,
    address: Annotated[str, Argument(metavar="ADDRESS", help="LAYER, or a unit: LAYER:STAGE/CHANNEL@ROW,COLUMN.")],
    image: Annotated[str | None, Option(metavar="IMAGE", help="Draw the unit's box on this picture.")] = None,
    output: Annotated[str | None, Option("--output", "-o", metavar="FILE.png", help="Where to draw.")] = None,
    input: Input = None,
    trust: Trust = False,
    as_json: Json = False,
) -> None:
    """Size, stride and offset of a layer's receptive field, or the exact input box of one unit."""
    from featmap.errors import OutputError

    network = load_model(model, None, input, trust=trust)
    answer = network.receptive_field(address)
    if (image is None) != (output is None):
        raise OutputError("A drawing needs a picture and a file.", "Give both --image IMAGE and -o FILE.png.")
    if image is not None and output is not None:
        for path in network.draw_field(image, address).save(output):
            print_message(f"wrote {path}")
    if as_json:
        print_json(answer.to_json())
    else:
        print(answer)
