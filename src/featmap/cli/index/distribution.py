"""`featmap index distribution`: one map over all images."""

from __future__ import annotations

from featmap.cli.options.answer import check_file, give
from featmap.cli.options.common import Json
from featmap.cli.options.of_index import IndexPath, MapAddress, PictureOutput

EXAMPLES = (
    ("One map over all images:", "featmap index distribution photos.fmi features.21:a/117"),
    ("Its histogram:", "featmap index distribution photos.fmi features.21:a/117 -o maxima.png"),
)


def command(
    index: IndexPath,
    address: MapAddress,
    output: PictureOutput = None,
    as_json: Json = False,
) -> None:
    """One map over all images: moments, exact high quantiles, a histogram of its maxima."""
    import featmap
    from featmap.index.questions.distribution import Distribution

    check_file(output, Distribution)
    give(featmap.Index.open(index).distribution(address), output, as_json=as_json)
