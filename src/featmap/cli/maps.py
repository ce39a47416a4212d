"""`featmap maps`: the feature maps of a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from typer import Option

from featmap.cli.options.answer import check_file, file_option
from featmap.cli.options.common import Json, answers, print_json, print_message
from featmap.cli.options.model import Device, Model, ModelOptions, found_device, notes
from featmap.cli.options.picture import Images, given_pictures
from featmap.cli.options.several import layers_option, split
from featmap.view.formats.format import Content

EXAMPLES = (
    ("All maps of a layer as a picture:", "featmap maps torchvision:vgg16 cat.jpg --layer features.21 -o maps.png"),
    (
        "Before the nonlinearity, strongest first:",
        "featmap maps torchvision:vgg16 cat.jpg --layer features.21:z --sort maximum -o z.png",
    ),
    (
        "Several layers as arrays:",
        "featmap maps torchvision:vgg16 cat.jpg --layer features.0:z --layer features.21 -o maps.npz",
    ),
)


def command(
    model: Model,
    images: Images,
    output: Annotated[str, file_option(Content.PICTURE, Content.TENSORS)],
    layer: Annotated[list[str] | None, layers_option()] = None,
    sort: Annotated[
        str, Option(metavar="ORDER", help="Order of the maps: index, maximum, mean or positive.")
    ] = "index",
    scale: Annotated[
        str, Option(metavar="SCALE", help="Colours: one scale per [bold]map[/bold], or one [bold]shared[/bold].")
    ] = "map",
    page_size: Annotated[
        int | None, Option(metavar="N", help="Maps per page.", show_default="as many as legible")
    ] = None,
    plane: Annotated[
        int | None, Option(metavar="N", help="Plane of a volume.", show_default="that with the largest value")
    ] = None,
    *,
    options: ModelOptions,
    device: Device = None,
    as_json: Json = False,
) -> None:
    """The feature maps of pictures: as sheets to look at, or as arrays keyed by full address."""
    from featmap.methods.maps import MapSet
    from featmap.view.results.network import print_to

    drawn: dict[str, Any] = {"sort": sort, "scale": scale, "page_size": page_size, "plane": plane}
    check_file(output, MapSet, images, **drawn)
    layers = split(layer)
    check_layers(layers or ())
    place = found_device(device)
    pictures = given_pictures(images)
    network = options.load(model)
    with notes():
        maps = network.maps(pictures, layers, device=place)
    written = maps.save(output, **drawn)
    for path in written:
        print_message(f"wrote {path}")
    if as_json:
        print_json({**maps.to_dict(), "files": [str(path) for path in written]})
    else:
        print_to(answers(), maps)
        print(f"input: {network.preprocessing.describe()}")


def check_layers(addresses: Sequence[str]) -> None:
    """Raises AddressSyntaxError for the address of one map or unit: maps of whole layers are written."""
    from featmap.errors import AddressSyntaxError
    from featmap.network.address import Address

    for address in map(Address.parse, addresses):
        if address.channel is not None:
            raise AddressSyntaxError(
                f"--layer '{address}' names one map; all maps of a layer are written.",
                f"Write --layer {address.of_layer}. One map or value is taken apart by `featmap explain`.",
            )
