"""Printing, pictures and files of projections and sheets, registered with their types."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from featmap.errors import OutputError
from featmap.geometry import Box
from featmap.geometry.place import place_words, unit_words
from featmap.methods.shared.projection import (
    NEGATIVE,
    Projection,
    ProjectionQuestion,
    Projections,
    ProjectionsByImage,
    own_gradient_words,
)
from featmap.methods.sheet import Example, Sheet
from featmap.result import pictures_of, text_of
from featmap.view.arrays import shown_array
from featmap.view.drawing.text import number, plural
from featmap.view.pictures.projection import colour_words, projection_picture
from featmap.view.pictures.signal import grey_picture, projected_signal
from featmap.view.saving import arrays_of, saves, told_apart
from featmap.view.sheets.example_sheet import Shown, example_sheet
from featmap.view.tables.parts import skipped_lines
from featmap.view.volume import plane_of


def register_projections() -> None:
    """Called so that this module is imported, which registers everything."""


@pictures_of.register
def _(result: Projection) -> list[Image.Image]:
    unit = "" if result.unit is None else f", unit at {place_words(result.unit)}"
    seen = (f"what {result.target} can see of {Path(result.image).name}", f"its value: {number(result.value)}{unit}")
    said = (_rule_words(result.question, result.through_gradient), f"started from {number(result.started_from)}")
    if result.started_from < 0 and not result.is_zero:
        said = (*said, NEGATIVE)
    if own := own_gradient_words(result.own_gradients):
        said = (*said, own)
    values = shown_array(result.values)
    title = f"{result.question.rule} of {result.target}"
    if result.picture is None:
        return [_without_picture(result, values, title, (seen, said))]
    box, field = _edges(result.box), _edges(result.field)
    if field == (0, 0, 0, 0):
        # A unit that reads only padding, whose position on the image is unknown.
        box = field = (0, 0, result.image_size[0], result.image_size[1])
        values = np.zeros((values.shape[0], *result.image_size))
    return [projection_picture(result.picture, values, box, field, title, (seen, said))]


def _without_picture(result: Projection, values: Any, title: str, words: tuple[Sequence[str], Sequence[str]]) -> Any:
    """A projection on a signal as curves, on a volume as one plane."""
    assert result.image_values is not None
    image = shown_array(result.image_values)
    whole = np.zeros_like(image, dtype=np.float64)
    whole[(slice(None), *result.box.slices)] = values
    if len(result.image_size) == 1:
        return projected_signal(image, whole, result.box, title, words)
    edges = _edges(result.box if not result.box.is_empty else Box.full(result.image_size))
    if len(result.image_size) == 3:
        shown = plane_of(whole)
        image, whole, title = image[:, shown.number], whole[:, shown.number], f"{title}, {shown.words}"
    part = whole[:, edges[0] : edges[2], edges[1] : edges[3]]
    return projection_picture(grey_picture(image), part, edges, edges, title, (tuple(words[0]), tuple(words[1])))


@pictures_of.register
def _(result: Projections) -> list[Image.Image]:
    if len(result) == 1:
        return pictures_of(result[0])
    first: Projection = result[0]
    if first.picture is None:
        return [page for each in result for page in pictures_of(each)]
    names = list(dict.fromkeys(each.image for each in result))
    maps = [
        (each.target if len(names) == 1 else f"{Path(each.image).name}: {each.target}", number(each.value), [shown])
        for each, shown in ((each, _shown_projection(each)) for each in result)
    ]
    lines = [_rule_words(first.question, first.through_gradient), colour_words(len(first.values))]
    lines.append(f"weights: {first.weights_source}")
    lines += _own_lines(own for each in result for own in each.own_gradients)
    on = Path(names[0]).name if len(names) == 1 else f"{len(names)} images"
    return example_sheet(f"{first.question.rule} projections on {on}", lines, maps)


@pictures_of.register
def _(result: ProjectionsByImage) -> list[Image.Image]:
    return pictures_of(_every(result))


def _every(result: ProjectionsByImage) -> Projections:
    return Projections([projection for projections in result for projection in projections])


@pictures_of.register
def _(result: Sheet, *, page_size: int | None = None) -> list[Image.Image]:
    if any(example.picture is None for examples in result.examples.values() for example in examples):
        raise OutputError(
            "Sheets show crops of pictures; these images are signals or volumes.",
            "Write the examples as .json, or draw the projection of one unit: net.project(...).save(...).",
        )
    maps = [
        (f"/{channel}", _note(examples), [_shown(example) for example in examples])
        for channel, examples in result.examples.items()
    ]
    channels = next((len(e.values) for examples in result.examples.values() for e in examples), 3)
    lines = [
        f"of {plural(result.images, 'image')} for each map those that excite it most, at most {result.k}, strongest "
        "first; left what the unit can see, hatched where it is padding, right its projection",
        f"{_rule_words(result.question, result.through_gradient)}; {colour_words(channels)}; weights: "
        f"{result.weights_source}",
        *_own_lines(result.own_gradients),
    ]
    return example_sheet(f"what {result.title} responds to", lines, maps, per_page=page_size)


def _rule_words(question: ProjectionQuestion, takers: Sequence[str]) -> str:
    words = {
        "deconvnet": "deconvnet: at rectifiers what is positive of the signal passes",
        "guided": "guided: at rectifiers what is positive of the signal passes where the unit was active",
        "gradient": "gradient: at rectifiers the signal passes where the unit was active",
    }[question.rule]
    took = f"; {', '.join(takers)} take the gradient" if takers else ""
    skipped = "; normalisations are skipped" if question.norm == "skip" else ""
    return f"{words}{took}{skipped}"


def _own_lines(named: Iterable[str]) -> list[str]:
    """A line for each gradient of the model's own, each once."""
    words = own_gradient_words(tuple(dict.fromkeys(named)))
    return [words] if words else []


def _note(examples: Sequence[Example]) -> str:
    if not examples:
        return "no image excites it"
    if examples[0].value == examples[-1].value:
        return number(examples[0].value)
    return f"{number(examples[0].value)} to {number(examples[-1].value)}"


def _shown(example: Example) -> Shown:
    return Shown(example.picture, example.values, _edges(example.box), _edges(example.field))


def _shown_projection(projection: Projection) -> Shown:
    assert projection.picture is not None
    values = shown_array(projection.values)
    return Shown(projection.picture, values, _edges(projection.box), _edges(projection.field))


def _edges(box: Box) -> tuple[int, int, int, int]:
    return box.top, box.left, box.bottom, box.right


@text_of.register
def _(result: Sheet) -> str:
    lines = [repr(result)]
    for channel, examples in result.examples.items():
        shown = [f"{number(e.value)} {_name(e.image)} {unit_words(e.unit)}" for e in examples[:_LISTED]]
        more = f" and {len(examples) - _LISTED} more" if len(examples) > _LISTED else ""
        lines.append(f"/{channel}  {'; '.join(shown) or _note(examples)}{more}")
    return "\n".join([*lines, *_own_lines(result.own_gradients), *skipped_lines(result.skipped)])


def _name(image: str) -> str:
    """A picture's name within the given folder; for one given by its whole path the last part."""
    return Path(image).name if Path(image).is_absolute() else image


_LISTED = 3


@arrays_of.register
def _(result: Projection) -> dict[str, Any]:
    return _with_boxes({result.target: (result.values, result.box)})


@arrays_of.register
def _(result: Projections) -> dict[str, Any]:
    several = len({each.image for each in result}) > 1
    names = told_apart([f"{each.image} {each.target}" if several else each.target for each in result])
    return _with_boxes({name: (each.values, each.box) for name, each in zip(names, result, strict=True)})


@arrays_of.register
def _(result: ProjectionsByImage) -> Mapping[str, Any]:
    return arrays_of(_every(result))


@arrays_of.register
def _(result: Sheet) -> dict[str, Any]:
    return _with_boxes(
        {
            f"{result.address}/{channel} {rank}": (example.values, example.box)
            for channel, examples in result.examples.items()
            for rank, example in enumerate(examples)
        }
    )


def _with_boxes(arrays: dict[str, tuple[Any, Box]]) -> dict[str, Any]:
    """Arrays by name, and behind them the box of each."""
    boxes = {f"{name} box": np.array(box.as_list()) for name, (_, box) in arrays.items()}
    return {**{name: values for name, (values, _) in arrays.items()}, **boxes}


saves(Projection, Projections, ProjectionsByImage, words="projections are")
saves(Sheet, words="a sheet is")
