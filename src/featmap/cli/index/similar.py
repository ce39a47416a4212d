"""`featmap index similar`: the images most like one."""

from __future__ import annotations

from typing import Annotated, Any

from typer import Argument, Option

from featmap.cli.options.answer import check_file, give
from featmap.cli.options.common import Json
from featmap.cli.options.model import ModelOptions, notes
from featmap.cli.options.of_index import IndexPath, K, Label, PictureOutput, Subset
from featmap.cli.options.picture import STANDARD_INPUT, read_standard_input
from featmap.errors import InputError, NoSuchImage

EXAMPLES = (
    ("Images like one in the index:", "featmap index similar photos.fmi cats/1.jpg --layer features.21"),
    (
        "Like another picture, as a sheet:",
        "featmap index similar photos.fmi cat.jpg --layer features.21 --model torchvision:vgg16 -o like.png",
    ),
)


def command(
    index: IndexPath,
    image: Annotated[
        str,
        Argument(
            metavar="IMAGE",
            help="Its name in the index (cats/tom.jpg) or #NUMBER; with --model any picture, - from standard input.",
        ),
    ],
    layer: Annotated[str, Option(metavar="ADDRESS", help="By which layer's maps.")],
    k: K = 9,
    by: Annotated[str, Option(help="By each map's maximum, or its mean.")] = "maximum",
    measure: Annotated[str, Option(help="cosine or euclidean.")] = "cosine",
    label: Label = None,
    subset: Subset = None,
    model: Annotated[
        str | None, Option(metavar="MODEL", help="The network of the index, for a picture that is not in it.")
    ] = None,
    *,
    options: ModelOptions,
    output: PictureOutput = None,
    as_json: Json = False,
) -> None:
    """The images whose maps of a layer are nearest to those of one image."""
    import featmap
    from featmap.index.questions.similar import SimilarImages

    check_file(output, SimilarImages)
    opened = featmap.Index.open(index)
    number = int(image[1:]) if image.startswith("#") and image[1:].isdigit() else None
    if image == STANDARD_INPUT and model is None:
        raise InputError(
            "'-' is a picture from standard input, which the index has no network to run.",
            "Name the network of the index: --model MODEL.",
        )
    asked: Any = read_standard_input() if image == STANDARD_INPUT else image if number is None else number
    network = None if model is None else options.load(model)
    chosen: dict[str, Any] = {"by": by, "measure": measure, "label": label or None, "subset": subset}
    try:
        with notes():
            result = opened.similar(asked, layer, k, net=network, **chosen)
    except NoSuchImage as error:
        listing = f"`featmap index show {index} --names` lists all names"
        remedy = f"{error.nearest} {listing}; for another picture, name the network of the index: --model MODEL."
        raise NoSuchImage(error.problem, remedy.strip()) from None
    give(result, output, as_json=as_json)
