"""`featmap field`: the input pixels that can influence a layer's units, or one of them."""

from __future__ import annotations

from typing import Annotated

from typer import Argument, Option

from featmap.cli.options.answer import check_file, file_option
from featmap.cli.options.common import Json, by, print_json, print_message
from featmap.cli.options.model import Model, ModelOptions
from featmap.cli.options.picture import given_picture
from featmap.view.formats.format import Content

EXAMPLES = (
    ("Receptive field of a layer:", "featmap field torchvision:vgg16 features.28"),
    ("The exact box of one unit:", "featmap field torchvision:vgg16 features.28:a/0@7,7"),
    ("The same, drawn on a picture:", "featmap field torchvision:vgg16 features.28:a/0@7,7 --image cat.jpg -o box.png"),
)


def command(
    model: Model,
    address: Annotated[str, Argument(metavar="ADDRESS", help="LAYER, or a unit: LAYER:STAGE/CHANNEL@ROW,COLUMN.")],
    image: Annotated[
        str | None, Option(metavar="IMAGE", help="Draw the unit's box on this picture; - is standard input.")
    ] = None,
    output: Annotated[str | None, file_option(Content.PICTURE, words="Where to draw: ")] = None,
    *,
    options: ModelOptions,
    as_json: Json = False,
) -> None:
    """Size, stride and offset of a layer's receptive field, or the exact input box of one unit."""
    check_drawing(address, image, output)
    picture = None if image is None else given_picture(image)
    network = options.load(model)
    answer = network.receptive_field(address)
    drawing = None if picture is None else network.draw_field(picture, address)
    if drawing is not None and output is not None:
        for path in drawing.save(output):
            print_message(f"wrote {path}")
    if as_json:
        print_json(answer.to_dict() | (drawing.to_dict() if drawing is not None else {}))
        return
    print(answer)
    if drawing is not None:
        print(f"  in the picture of {by(drawing.picture_size)}: {drawing.picture_words}")
        print(f"input: {network.preprocessing.describe()}")


def check_drawing(address: str, image: str | None, output: str | None) -> None:
    """Raises QuestionError where nothing can be drawn; checked before the network is loaded."""
    from featmap.errors import AddressSyntaxError, OutputError
    from featmap.methods.receptive_field import FieldDrawing
    from featmap.network.address import Address

    has_unit = Address.parse(address).unit is not None
    if (image is None) != (output is None):
        raise OutputError("A drawing needs a picture and a file.", "Give both --image IMAGE and -o FILE.png.")
    if output is not None and image is not None:
        check_file(output, FieldDrawing, [image], only=(Content.PICTURE,))
        if not has_unit:
            raise AddressSyntaxError(
                f"'{address}' names no unit whose box could be drawn.",
                "Name one, LAYER:STAGE/CHANNEL@ROW,COLUMN, or leave --image and -o out.",
            )
