"""`featmap index top`, in short `featmap top`: the images of a dataset that excite a map most, and by which pixels."""

from __future__ import annotations

from typing import Annotated, Any

from typer import Argument, Option

from featmap.cli.options.answer import check_file, give
from featmap.cli.options.common import Json
from featmap.cli.options.of_index import IndexPath, Label, PictureOutput, Subset
from featmap.cli.options.several import channels_option, numbers
from featmap.errors import SettingError

EXAMPLES = (
    ("The nine strongest images of one map, as crops:", "featmap top photos.fmi features.21:a/117 -o sheet.png"),
    ("Of sixteen maps of a layer:", "featmap top photos.fmi features.21 --channel 0-15 -o sheet.png"),
    ("Only among cats, twenty of them:", "featmap top photos.fmi features.21:a/117 --label cat -k 20"),
)


def command(
    index: IndexPath,
    address: Annotated[
        str, Argument(metavar="ADDRESS", help="A map (features.21:a/117), or a layer (features.21) for all its maps.")
    ],
    k: Annotated[
        int | None, Option("-k", metavar="N", help="How many images.", show_default="9, or as many as were kept")
    ] = None,
    channels: Annotated[list[str] | None, channels_option("Of a layer, which maps: 7,117 or 0-15.")] = None,
    label: Label = None,
    subset: Subset = None,
    least: Annotated[float | None, Option(metavar="VALUE", help="Only values from here on.")] = None,
    most: Annotated[float | None, Option(metavar="VALUE", help="Only values up to here.")] = None,
    output: PictureOutput = None,
    as_json: Json = False,
) -> None:
    """The images that excite a map most: value, strongest unit, and exactly the pixels that it can see.

    Every image counts once, by its strongest unit. `featmap index show` lists the layers of an index.
    """
    import featmap
    from featmap.index.questions.top import TopImages, TopSheet
    from featmap.network.address import Address

    is_map = Address.parse(address).channel is not None
    check_file(output, TopImages if is_map else TopSheet)
    chosen = numbers(channels)
    if is_map and chosen is not None:
        raise SettingError(
            f"'{address}' is one map; --channel chooses among those of a layer.", "Leave one of them out."
        )
    opened = featmap.Index.open(index)
    filters: dict[str, Any] = {"label": label or None, "subset": subset, "least": least, "most": most}
    if is_map:
        give(opened.top(address, k, **filters), output, as_json=as_json)
    else:
        give(opened.top_sheet(address, chosen, k, **filters), output, as_json=as_json)
