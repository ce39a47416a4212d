"""`featmap index`: commands that build, inspect and verify the index of a dataset."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer import Argument, Option

from featmap.cli.app import epilog
from featmap.cli.options.common import Json, print_json, print_message
from featmap.cli.options.model import Device, Fit, Input, Model, Trust, Weights, found_device, load_model, notes
from featmap.cli.options.of_index import IndexPath, K, Label, Output, Subset, TableOutput, check_file, give
from featmap.cli.options.picture import STANDARD_INPUT, read_standard_input
from featmap.errors import InputError, NoSuchImage

EXAMPLES_OF = {
    "build": (
        ("Index a folder of photographs:", "featmap index build torchvision:resnet50 photos -o photos.fmi"),
        ("Two layers:", "featmap index build torchvision:resnet50 photos -o photos.fmi --layers conv1,layer1.0.conv1"),
        (
            "Go on after an interrupt, or add what is new:",
            "featmap index build torchvision:resnet50 photos -o photos.fmi",
        ),
        ("On a Ray cluster:", "featmap index build torchvision:resnet50 photos -o photos.fmi --engine ray --workers 8"),
    ),
    "show": (
        ("What it holds:", "featmap index show photos.fmi"),
        ("As one JSON document:", "featmap index show photos.fmi --json"),
        ("The names of all its images:", "featmap index show photos.fmi --names"),
    ),
    "verify": (
        ("Whether it is sound:", "featmap index verify photos.fmi"),
        (
            "The images' files and the network too:",
            "featmap index verify photos.fmi --files --model torchvision:resnet50",
        ),
    ),
    "similar": (
        ("Images like one in the index:", "featmap index similar photos.fmi cats/1.jpg --layer features.21"),
        (
            "Like another picture, as a sheet:",
            "featmap index similar photos.fmi cat.jpg --layer features.21 --model torchvision:vgg16 -o like.png",
        ),
    ),
    "distribution": (
        ("One map over all images:", "featmap index distribution photos.fmi features.21:a/117"),
        ("Its histogram:", "featmap index distribution photos.fmi features.21:a/117 -o maxima.png"),
    ),
    "selectivity": (
        ("Which label each map of a layer prefers:", "featmap index selectivity photos.fmi features.21"),
        ("One map, by its maxima:", "featmap index selectivity photos.fmi features.21:a/117 --by maximum"),
    ),
    "compare": (
        ("Which maps died in later training:", "featmap index compare epoch1.fmi epoch9.fmi"),
        ("All maps, as a table:", "featmap index compare epoch1.fmi epoch9.fmi -o changes.csv"),
    ),
}
EXAMPLES = tuple(EXAMPLES_OF[name][0] for name in ("build", "show", "verify"))

KEPT = "What is kept (of an index that is there already: leave these out)"
IMAGES = "Images"
WHERE = "Where it is computed"

app = typer.Typer(
    help="The maps of a whole dataset, in an index on disk. `featmap top` and `featmap audit` ask it, too.",
    epilog=epilog(EXAMPLES),
    no_args_is_help=True,
    rich_markup_mode="rich",
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command(epilog=epilog(EXAMPLES_OF["build"]))
def build(
    model: Model,
    images: Annotated[
        list[str],
        Argument(
            metavar="IMAGES",
            help="A folder with all below it, where the folder of an image is its label; a list (.csv, .tsv, .txt) of "
            "paths, or of paths and labels; a tar file; a glob in quotes; or pictures.",
        ),
    ],
    output: Annotated[str, Option("--output", "-o", metavar="INDEX", help="The index: a folder or a URL.")],
    layers: Annotated[
        list[str] | None,
        Option(metavar="ADDRESS", help="Layers, with commas between.", show_default="all", rich_help_panel=KEPT),
    ] = None,
    stage: Annotated[
        str | None, Option(help="conv, z or a, of layers that have it.", show_default="a", rich_help_panel=KEPT)
    ] = None,
    top_k: Annotated[
        int | None,
        Option(metavar="N", help="Strongest images of each map.", show_default="100", rich_help_panel=KEPT),
    ] = None,
    table: Annotated[
        bool | None,
        Option(
            "--table/--no-table",
            help="Four numbers per image and map. Filters, similar, selectivity and compare need them.",
            show_default="table",
            rich_help_panel=KEPT,
        ),
    ] = None,
    full: Annotated[
        list[str] | None,
        Option(metavar="ADDRESS", help="Whole maps of these layers, as float16. Large.", rich_help_panel=KEPT),
    ] = None,
    correlation: Annotated[
        str | None,
        Option(
            help="How the maps of a layer vary together: over all positions, a sample (auto), or not at all (none).",
            show_default="auto",
            rich_help_panel=KEPT,
        ),
    ] = None,
    quantile_bytes: Annotated[
        int | None,
        Option(
            metavar="N",
            help="What the largest values, for exact quantiles, may take.",
            show_default="32 MiB",
            rich_help_panel=KEPT,
        ),
    ] = None,
    block: Annotated[
        int | None,
        Option(
            metavar="N",
            help="Images per commit; an interrupt loses less than one block.",
            show_default="up to 1024",
            rich_help_panel=KEPT,
        ),
    ] = None,
    strict: Annotated[
        bool, Option("--strict", help="Stop at an image that cannot be read.", rich_help_panel=IMAGES)
    ] = False,
    retry: Annotated[
        bool, Option("--retry", help="Try again images that could not be read before.", rich_help_panel=IMAGES)
    ] = False,
    device: Device = None,
    engine: Annotated[str, Option(help="local, or ray: on a Ray cluster.", rich_help_panel=WHERE)] = "local",
    workers: Annotated[
        int | None, Option(metavar="N", help="With ray: how many workers.", rich_help_panel=WHERE)
    ] = None,
    address: Annotated[
        str | None,
        Option(
            metavar="ADDRESS", help="With ray: the cluster's; one is started here if not given.", rich_help_panel=WHERE
        ),
    ] = None,
    weights: Weights = None,
    input: Input = None,
    fit: Fit = None,
    trust: Trust = False,
    as_json: Json = False,
) -> None:
    """Measure every image once, and keep what its maps hold.

    Every block of images is one commit. Whatever ends a build, an interrupt, a
    crash or a full disk, the index holds the blocks before it; the same command
    goes on from there, and adds images that are new. Images that cannot be read
    are listed with the reason; where none could be read, the exit code is 1.
    """
    import featmap

    settings: dict[str, Any] = {
        "layers": _listed(layers),
        "full": _listed(full),
        "stage": stage,
        "top_k": top_k,
        "table": table,
        "correlation": correlation,
        "quantile_bytes": quantile_bytes,
        "block": block,
        "engine": engine,
        "workers": workers,
        "address": address,
        "strict": strict,
        "retry": retry,
        "device": found_device(device),
    }
    network = load_model(model, weights, input, fit, trust=trust)
    try:
        with notes():
            report = featmap.Index.build(network, images[0] if len(images) == 1 else images, output, **settings).report
    except KeyboardInterrupt:
        _say_what_is_kept(output)
        raise
    give(report, None, as_json=as_json)
    if report is not None and not report.images:
        raise typer.Exit(1)


def _listed(addresses: list[str] | None) -> list[str] | None:
    """Addresses given one by one or separated by commas."""
    if not addresses:
        return None
    return [part.strip() for text in addresses for part in text.split(",") if part.strip()]


def _say_what_is_kept(path: str) -> None:
    from featmap.errors import FeatmapError
    from featmap.index.store.snapshot import Snapshot

    try:
        print_message(f"interrupted: '{path}' holds {Snapshot.of(path).images:,} images; the same command goes on.")
    except FeatmapError:
        print_message(f"interrupted: '{path}' was not started.")


@app.command(epilog=epilog(EXAMPLES_OF["show"]))
def show(
    index: IndexPath,
    names: Annotated[bool, Option("--names", help="Instead: the name of every image, one a line.")] = False,
    as_json: Json = False,
) -> None:
    """The content of an index: network, layers, images, labels, and the images that could not be read."""
    import featmap

    if names:
        listed = featmap.Index.open(index).names()
        if as_json:
            print_json({"names": listed})
        else:
            typer.echo("\n".join(listed))
        return
    give(featmap.Index.open(index).summary(), None, as_json=as_json)


@app.command(epilog=epilog(EXAMPLES_OF["verify"]))
def verify(
    index: IndexPath,
    files: Annotated[
        bool, Option("--files", help="Read every image again: it has the bytes that were measured.")
    ] = False,
    model: Annotated[
        str | None, Option(metavar="MODEL", help="Its network: it measures some images again, and finds the same.")
    ] = None,
    weights: Weights = None,
    input: Input = None,
    fit: Fit = None,
    trust: Trust = False,
    as_json: Json = False,
) -> None:
    """Check that everything in an index is as it was written; the exit code is 1 where something is not."""
    import featmap

    network = None if model is None else load_model(model, weights, input, fit, trust=trust)
    with notes():
        found = featmap.Index(index).verify(files=files, net=network)
    give(found, None, as_json=as_json)
    if not found.is_sound:
        raise typer.Exit(1)


@app.command(epilog=epilog(EXAMPLES_OF["similar"]))
def similar(
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
    weights: Weights = None,
    input: Input = None,
    fit: Fit = None,
    trust: Trust = False,
    output: Output = None,
    as_json: Json = False,
) -> None:
    """The images whose maps of a layer are nearest to those of one image."""
    import featmap

    check_file(output)
    opened = featmap.Index.open(index)
    number = int(image[1:]) if image.startswith("#") and image[1:].isdigit() else None
    if image == STANDARD_INPUT and model is None:
        raise InputError(
            "'-' is a picture from standard input, which the index has no network to run.",
            "Name the network of the index: --model MODEL.",
        )
    asked: Any = read_standard_input() if image == STANDARD_INPUT else image if number is None else number
    network = None if model is None else load_model(model, weights, input, fit, trust=trust)
    chosen: dict[str, Any] = {"by": by, "measure": measure, "label": label or None, "subset": subset}
    try:
        with notes():
            result = opened.similar(asked, layer, k, net=network, **chosen)
    except NoSuchImage as error:
        listing = f"`featmap index show {index} --names` lists all names"
        remedy = f"{error.nearest} {listing}; for another picture, name the network of the index: --model MODEL."
        raise NoSuchImage(error.problem, remedy.strip()) from None
    give(result, output, as_json=as_json)


@app.command(epilog=epilog(EXAMPLES_OF["distribution"]))
def distribution(
    index: IndexPath,
    address: Annotated[str, Argument(metavar="MAP", help="One map of an indexed layer: features.21:a/117.")],
    output: Output = None,
    as_json: Json = False,
) -> None:
    """One map over all images: moments, exact high quantiles, a histogram of its maxima."""
    import featmap

    check_file(output)
    give(featmap.Index.open(index).distribution(address), output, as_json=as_json)


@app.command(epilog=epilog(EXAMPLES_OF["selectivity"]))
def selectivity(
    index: IndexPath,
    address: Annotated[str, Argument(metavar="ADDRESS", help="A layer, or one map.")],
    by: Annotated[str, Option(help="By each image's mean, or its maximum.")] = "mean",
    output: TableOutput = None,
    as_json: Json = False,
) -> None:
    """Which label each map of a layer responds to, and how much more than to the others.

    The selectivity is (best - rest) / (best + rest): best is the mean over the
    images of the label with the highest mean, rest that over all others. It is 1
    for a map that responds to one label alone, 0 for one that responds to all equally.
    """
    import featmap

    check_file(output, has_picture=False)
    give(featmap.Index.open(index).selectivity(address, by), output, as_json=as_json)  # type: ignore[arg-type]


@app.command(epilog=epilog(EXAMPLES_OF["compare"]))
def compare(
    index: IndexPath,
    other: Annotated[str, Argument(metavar="OTHER", help="Another index of the same images.")],
    changed_below: Annotated[
        float, Option(metavar="R", help="Changed: its maxima in both correlate less than this.")
    ] = 0.9,
    output: TableOutput = None,
    as_json: Json = False,
) -> None:
    """How the maps changed in another index of the same images, of a later checkpoint for instance."""
    import featmap

    check_file(output, has_picture=False)
    give(featmap.Index.open(index).compare(other, changed_below), output, as_json=as_json)
