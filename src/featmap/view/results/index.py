"""Printing, pictures and files of the answers of an index, registered with their types."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from featmap.errors import OutputError
from featmap.geometry import Box
from featmap.geometry.place import unit_words
from featmap.index.build.build import BuildReport
from featmap.index.questions.audit import Audit
from featmap.index.questions.compare import Comparison
from featmap.index.questions.distribution import Distribution
from featmap.index.questions.selectivity import Selectivity
from featmap.index.questions.shown import framed_image, kept_signal
from featmap.index.questions.similar import SimilarImages
from featmap.index.questions.summary import IndexSummary
from featmap.index.questions.top import TopExample, TopImages, TopSheet
from featmap.index.schema.description import Description
from featmap.index.verify.verify import Verification
from featmap.result import Result, pictures_of, text_of
from featmap.view.drawing.hatch import hatch
from featmap.view.drawing.text import number, plural
from featmap.view.pictures.histogram import histogram_picture
from featmap.view.pictures.signal import HEIGHT_PX, WIDTH_PX, around, signal_pixels, stacked
from featmap.view.results.notebook import shows_table
from featmap.view.saving import saves
from featmap.view.sheets.example_sheet import Shown, example_sheet
from featmap.view.tables import index as tables
from featmap.view.tables.facts import distribution_facts, report_facts
from featmap.view.tables.parts import WIDEST, as_text


def register_index_results() -> None:
    """Called so that this module is imported, which registers everything."""


_TABLES: dict[type[Result], Callable[[Any], Any]] = {
    IndexSummary: tables.summary_table,
    TopImages: tables.top_table,
    Audit: tables.audit_table,
    SimilarImages: tables.similar_table,
    Selectivity: tables.selectivity_table,
    Comparison: tables.comparison_table,
    Verification: tables.verification_table,
}


@text_of.register(IndexSummary)
@text_of.register(TopImages)
@text_of.register(Audit)
@text_of.register(SimilarImages)
@text_of.register(Selectivity)
@text_of.register(Comparison)
@text_of.register(Verification)
def _(result: Result) -> str:
    return as_text(_TABLES[type(result)](result), width=WIDEST)


for _kind, _table in {**_TABLES, BuildReport: report_facts}.items():
    if _kind not in (TopImages, SimilarImages):
        shows_table(_kind, _table)
shows_table(Distribution, distribution_facts, has_picture=lambda result: result.counts is not None)


@text_of.register
def _(result: TopSheet) -> str:
    return tables.top_sheet_text(result)


@text_of.register
def _(result: BuildReport) -> str:
    return tables.report_text(result)


@text_of.register
def _(result: Distribution) -> str:
    return tables.distribution_text(result)


def _check_pictures(description: Description) -> None:
    """Raises: OutputError: the images of an index are no pictures, so that nothing can be cropped out of them."""
    if not description.preprocess.takes_pictures:
        raise OutputError(
            "These images are signals or volumes, of which no pictures are put on a sheet.",
            "Write .json; of one map of signals `index.top(...)` draws the curves.",
        )


def _curves(result: TopImages) -> Image.Image:
    """The signals that excite a map most, each around the positions that its strongest unit sees."""
    rows: list[tuple[NDArray[np.uint8], list[str]]] = []
    for rank, example in enumerate(_exciting(result), 1):
        said = f"{rank}  {Path(example.image).name}  {number(example.value)} {unit_words(example.unit)}"
        signal = kept_signal(result.description, example.path, example.digest)
        if signal is None:
            rows.append((hatch(HEIGHT_PX, WIDTH_PX), [f"{said}: gone, changed, or never in a file"]))
            continue
        shown = around(example.box, signal.shape[1])
        pixels = signal_pixels(signal[:, shown.slices[0]], example.box.shift(-shown.starts[0]))
        rows.append((pixels, [f"{said}, sees {example.box.words}; shown: {shown.words}"]))
    blank = [(hatch(HEIGHT_PX, WIDTH_PX), [_note(result)])]
    line = (
        f"of {plural(result.images, 'signal')} those that excite the map most; marked is what the strongest unit sees"
    )
    return stacked(f"what {result.title} responds to", [line], rows or blank)


@pictures_of.register
def _(result: TopImages) -> list[Image.Image]:
    if not result.description.preprocess.takes_pictures and len(result.description.layers[0].input_size) == 1:
        return [_curves(result)]
    _check_pictures(result.description)
    shown = [_alone(result, rank, example) for rank, example in enumerate(_exciting(result), 1)]
    return _sheet(
        f"what {result.title} responds to", [result], shown or [(f"/{_channel(result)}", _note(result), [])], 30
    )


def _alone(result: TopImages, rank: int, example: TopExample) -> _Map:
    """An example with its value, as large as a whole map on a sheet of many."""
    where = f"{number(example.value)} {unit_words(example.unit)}"
    return f"{rank}  {Path(example.image).name}", where, [_example(result, example)]


@pictures_of.register
def _(result: TopSheet, *, page_size: int | None = None) -> list[Image.Image]:
    for each in result.maps[:1]:
        _check_pictures(each.description)
    shown = [(f"/{_channel(e)}", _note(e), [_example(e, example) for example in _exciting(e)]) for e in result.maps]
    return _sheet(f"what {result.title} responds to", result.maps, shown, page_size)


_Map = tuple[str, str, list[Shown]]


def _channel(result: TopImages) -> str:
    return result.address.rpartition("/")[2]


def _sheet(title: str, maps: Sequence[TopImages], shown: Sequence[_Map], per_page: int | None) -> list[Image.Image]:
    first = maps[0]
    # With bounds on the value, every map has other images.
    fewest, most = (found(each.images for each in maps) for found in (min, max))
    considered = plural(most, "image") if fewest == most else f"{fewest:,} to {plural(most, 'image')}"
    chosen = f" ({first.chosen})" if first.chosen else ""
    is_beyond = any(example.box != example.field for _, _, examples in shown for example in examples)
    hatched = ", hatched where it is padding" if is_beyond else ""
    lines = [
        f"of {considered}{chosen} those that excite a map most, strongest first: exactly what the "
        f"strongest unit can see{hatched}; weights: {first.description.weights_source}"
    ]
    return example_sheet(title, [*lines, *_missing(shown)], shown, per_page=per_page)


def _missing(shown: Sequence[_Map]) -> list[str]:
    """The note on images that are no longer available."""
    missing = sum(example.picture is None for _, _, examples in shown for example in examples)
    words = f"{plural(missing, 'image')} cannot be shown: gone, changed, or never in a file; all hatched"
    return [words] if missing else []


def _exciting(result: TopImages) -> list[TopExample]:
    """An image on which a map is 0 everywhere does not excite it."""
    return [example for example in result.examples if example.value != 0]


def _note(result: TopImages) -> str:
    found = _exciting(result)
    if not found:
        return "none of these images excites it" if result.chosen else "no image excites it"
    if found[0].value == found[-1].value:
        return number(found[0].value)
    return f"{number(found[0].value)} to {number(found[-1].value)}"


def _example(result: TopImages, example: TopExample) -> Shown:
    picture = framed_image(result.description, example.path, example.digest)
    return Shown(picture, None, _edges(example.box), _edges(example.field) if example.box.bottom else _NOTHING)


_NOTHING = (-1, -1, 0, 0)
"""A pixel beside the image: what a unit sees that no pixel can influence."""


def _whole(result: TopImages | SimilarImages) -> Box:
    return Box(0, 0, *result.description.input_shape[1:])


def _edges(box: Box) -> tuple[int, int, int, int]:
    return box.top, box.left, box.bottom, box.right


@pictures_of.register
def _(result: SimilarImages) -> list[Image.Image]:
    _check_pictures(result.description)
    whole = _edges(_whole(result))

    def shown(path: str, digest: str | None) -> list[Shown]:
        return [Shown(framed_image(result.description, path, digest), None, whole, whole)]

    maps = [(Path(result.image).name, "asked", shown(result.path, result.digest))]
    maps += [(Path(each.image).name, f"{each.distance:.3f}", shown(each.path, each.digest)) for each in result.nearest]
    of = {"maximum": "maxima", "mean": "means"}[result.by]
    how = f"by the {of} of {result.description.layer(result.layer).title} ({result.measure})"
    line = f"of {plural(result.images, 'image')} the nearest {how}, nearest first"
    return example_sheet(f"images like {Path(result.image).name}", [line, *_missing(maps)], maps, per_page=30)


@pictures_of.register
def _(result: Distribution) -> list[Image.Image]:
    if result.counts is None:
        raise OutputError(f"{result.address} has no histogram: its index keeps no table.", "Use .to_dict().")
    return [histogram_picture(result)]


saves(
    *(TopImages, TopSheet, SimilarImages, Distribution, Audit, Selectivity, Comparison),
    words="this answer is",
)
