"""Printing, pictures and files of a network's answers, registered with their types."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from torch import Tensor

from featmap.errors import OutputError
from featmap.methods.contributions import Contributions
from featmap.methods.explain import Explanation
from featmap.methods.maps import FeatureMaps, MapSet
from featmap.methods.matrix import LayerMatrix
from featmap.methods.occlusion_cost import OcclusionCost
from featmap.methods.plan import Plan
from featmap.methods.receptive_field import FieldAnswer, FieldDrawing
from featmap.methods.shared.occlusion import OcclusionMap, OcclusionMaps, share_words
from featmap.result import Result, pictures_of, text_of
from featmap.view.arrays import shown_array
from featmap.view.drawing.overlay import Mark, box_picture
from featmap.view.drawing.scale import check_scale
from featmap.view.drawing.text import number as number_words
from featmap.view.formats.format import Content, Format
from featmap.view.formats.table import suffixes
from featmap.view.pictures.arithmetic import Arithmetic, ShownTerm
from featmap.view.pictures.contributions import contribution_pages
from featmap.view.pictures.explain import value_picture
from featmap.view.pictures.occlusion import check_colours, occlusion_picture
from featmap.view.pictures.signal import grey_picture, occluded_signal
from featmap.view.results.notebook import shows_table
from featmap.view.saving import arrays_of, named_pages, saves, told_apart
from featmap.view.sheets.curves import curve_pages
from featmap.view.sheets.grid import fit_grid
from featmap.view.sheets.maps import map_pages
from featmap.view.sheets.order import check_sort
from featmap.view.tables.facts import matrix_facts
from featmap.view.tables.network import cost_table, field_facts, field_text, maps_table, plan_rows, plan_table
from featmap.view.tables.parts import WIDEST, as_text, shape_text
from featmap.view.tables.value import contributions_table, explanation_table, occlusions_table
from featmap.view.volume import plane_of


@text_of.register
def _(result: Plan) -> str:
    return as_text(plan_table(result), width=WIDEST)


@text_of.register
def _(result: FieldAnswer) -> str:
    return field_text(result)


@text_of.register
def _(result: Explanation) -> str:
    return as_text(explanation_table(result), width=WIDEST)


@text_of.register
def _(result: Contributions) -> str:
    return as_text(contributions_table(result), width=WIDEST)


@text_of.register
def _(result: FeatureMaps) -> str:
    return as_text(maps_table([result]), width=WIDEST)


@text_of.register
def _(result: MapSet) -> str:
    return as_text(maps_table(list(result.values())), width=WIDEST)


@text_of.register
def _(result: OcclusionMaps) -> str:
    return as_text(occlusions_table(result), width=WIDEST)


@text_of.register
def _(result: OcclusionCost) -> str:
    return as_text(cost_table(result), width=WIDEST)


@pictures_of.register
def _(
    result: FeatureMaps,
    *,
    image: int | None = None,
    sort: Literal["index", "maximum", "mean", "positive"] = "index",
    scale: Literal["map", "shared"] = "map",
    page_size: int | None = None,
    plane: int | None = None,
) -> list[Image.Image]:
    """The pages of one image, or of all of them, one image after the other.

    Maps of signals are curves; of a volume one plane is shown: `plane`, or the one that holds the largest value.
    """
    _check_plane(result, plane)
    if image is not None and not 0 <= image < len(result.images):
        raise OutputError(f"There is no image {image}; there are {len(result.images)}.", "Count images from 0.")
    pages: list[Image.Image] = []
    for number in range(len(result.images)) if image is None else [image]:
        values = shown_array(result.values[number])
        title = result.title if len(result.images) == 1 else f"{result.title}, {result.images[number]}"
        if values.ndim == 2:
            pages += curve_pages(values, title, sort=sort, scale=scale, page_size=page_size)
            continue
        if values.ndim == 4:
            shown = plane_of(values, plane)
            values, title = values[:, shown.number], f"{title}, {shown.words}"
        pages += map_pages(values, title, sort=sort, scale=scale, signed=result.is_signed, page_size=page_size)
    return pages


def _check_plane(result: FeatureMaps, plane: int | None) -> None:
    if plane is not None and result.values.ndim != 5:
        raise OutputError(f"The maps of {result.address} have no planes.", "Leave plane out; volumes have planes.")


@pictures_of.register
def _(result: MapSet, **options: Any) -> list[Image.Image]:
    return [page for maps in result.values() for page in pictures_of(maps, **options)]


@pictures_of.register
def _(result: Explanation, *, shown: int = 5) -> list[Image.Image]:
    scale, shift = 1.0, 0.0
    known = all(norm.scale is not None for norm in result.normalizations)
    for norm in result.normalizations if known else ():
        assert norm.scale is not None
        assert norm.shift is not None
        scale, shift = scale * norm.scale, shift * norm.scale + norm.shift
    has_scale = bool(result.normalizations) and known
    is_volume = len(result.window.axes) == 3
    return [
        value_picture(
            Arithmetic(
                title=result.address + (", planes of the window below one another" if is_volume else ""),
                terms=[
                    ShownTerm(term.channel, _as_grid(term.window), _as_grid(term.kernel), term.sum, term.source)
                    for term in result.terms
                ],
                bias=result.bias,
                conv=result.total,
                scale=scale if has_scale else None,
                shift=shift if has_scale else None,
                z=result.z,
                nonlinearity=result.nonlinearity,
                a=result.a,
                sum_name="conv" if result.conv is not None else "sum",
            ),
            shown,
        )
    ]


def _as_grid(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """A window as rows and columns: a signal's in one row, a volume's planes below one another."""
    return values.reshape(-1, values.shape[-1])


@pictures_of.register
def _(result: Contributions, *, page_size: int | None = None) -> list[Image.Image]:
    values, conv, title = result.values.numpy(), result.conv.numpy(), result.address
    if values.ndim == 2:
        values, conv, title = values[:, None], conv[None], f"{title}, positions from left to right"
    elif values.ndim == 4:
        shown = plane_of(values)
        values, conv, title = values[:, shown.number], conv[shown.number], f"{title}, {shown.words}"
    return contribution_pages(values, conv, title, page_size=page_size, channels=result.channels)


@named_pages.register
def _(result: MapSet, **options: Any) -> dict[str, list[Image.Image]]:
    return {address: pictures_of(maps, **options) for address, maps in result.items()}


@arrays_of.register
def _(result: FeatureMaps) -> dict[str, Tensor]:
    return {result.address: result.values}


@arrays_of.register
def _(result: MapSet) -> dict[str, Tensor]:
    return {address: maps.values for address, maps in result.items()}


def check_maps(
    path: str | Path,
    form: Format,
    *,
    sort: str = "index",
    scale: str = "map",
    page_size: int | None = None,
    image: int | None = None,  # noqa: ARG001 - which there are is known when there is a result
    plane: int | None = None,
) -> None:
    """Raises OutputError or SettingError where maps cannot be written in that way."""
    check_sort(sort)
    check_scale(scale)
    fit_grid(1, 1, 1, page_size)
    if Content.PICTURE not in form.contents and (sort, scale, page_size, plane) != (*("index", "map", None, None),):
        raise OutputError(
            f"'{path}' takes the maps as they are; order, scale, page size and plane are those of pictures.",
            f"Leave them out, or use '{Path(path).with_suffix(suffixes((Content.PICTURE,))[0])}'.",
        )


saves(FeatureMaps, MapSet, words="feature maps are", check=check_maps, contents=(Content.PICTURE, Content.TENSORS))
saves(FieldDrawing, words="drawings are")

shows_table(Plan, plan_table)
shows_table(FieldAnswer, field_facts)
shows_table(LayerMatrix, matrix_facts)
shows_table(OcclusionCost, cost_table)
shows_table(OcclusionMaps, occlusions_table)
shows_table(Explanation, explanation_table, has_picture=lambda _: True)
# Pictures of all layers of a network would take longer than their maps.
shows_table(MapSet, lambda result: maps_table(list(result.values())), has_picture=lambda result: len(result) == 1)


def register_results() -> None:
    """Called so that this module is imported, which registers everything."""


@pictures_of.register
def _(result: FieldDrawing) -> list[Image.Image]:
    box = result.box
    mark = Mark((box.top, box.left, box.bottom, box.right), result.address)
    return [box_picture(result.picture, [mark], result.address)]


@pictures_of.register
def _(result: OcclusionMap, *, colours: str = "score") -> list[Image.Image]:
    found = result.windows
    share = share_words(result.relative_effect)
    words = (
        f"score: {result.target}, {result.score:.4g} untouched",
        f"{result.weights_source} weights",
        f"window {shape_text(found.window)}, stride {shape_text(found.stride)}, baseline {result.baseline}",
        f"each {'position' if len(result.image_size) == 1 else 'pixel'} the mean drop of the windows over it",
        f"one window changes the score by up to {number_words(result.largest_effect)}: {share}",
    )
    title = f"occlusion of {result.target}: up to {share}"
    if result.relative_effect is None:
        title = f"occlusion of {result.target}"
    heat = result.attribution()
    if result.picture is not None:
        return [occlusion_picture(result.picture, heat, result.score, title, words, colours=colours)]
    assert result.values is not None
    values = shown_array(result.values)
    if heat.ndim == 1:
        return [occluded_signal(values, heat, result.score, title, words, colours=colours)]
    if heat.ndim == 3:
        shown = plane_of(heat[None])
        values, heat = values[:, shown.number], heat[shown.number]
        words = (words[0], f"{words[1]}; {shown.words}", *words[2:])
    return [occlusion_picture(grey_picture(values), heat, result.score, title, words, colours=colours)]


@pictures_of.register
def _(result: OcclusionMaps, **options: Any) -> list[Image.Image]:
    return [page for part in result for page in pictures_of(part, **options)]


@arrays_of.register
def _(result: OcclusionMaps) -> dict[str, Any]:
    names = told_apart([part.image for part in result])
    parts = zip(names, map(arrays_of, result), strict=True)
    return {f"{name} {key}": array for name, arrays in parts for key, array in arrays.items()}


@arrays_of.register
def _(result: OcclusionMap) -> dict[str, NDArray[Any]]:
    numbers = {"score": np.array(result.score), "grid": result.grid, "drop": result.drop}
    return {**numbers, "positions": np.array(result.positions)}


def check_occlusion(_path: str | Path, _form: Format, *, colours: str = "score") -> None:
    """Raises: SettingError: an unknown scale."""
    check_colours(colours)


saves(OcclusionMap, words="an occlusion is", check=check_occlusion)
saves(OcclusionMaps, words="occlusions are", check=check_occlusion)


def print_to(console: Console, result: Result) -> None:
    """Prints a result on a console, as a table in its colours where it has one."""
    if not console.is_terminal:
        console.print(str(result), markup=False, highlight=False, soft_wrap=True)
    elif isinstance(result, Plan):
        console.print(plan_table(result, console.width))
    elif isinstance(result, Explanation):
        console.print(explanation_table(result, width=console.width))
    elif isinstance(result, Contributions):
        console.print(contributions_table(result))
    elif isinstance(result, MapSet):
        console.print(maps_table(list(result.values())))
    else:
        console.print(str(result), markup=False, highlight=False)


def print_rows_to(console: Console, plan: Plan) -> None:
    """Prints the rows of a plan that ends early, without totals, which would belong to no network."""
    if console.is_terminal:
        console.print(plan_rows(plan, console.width))
    else:
        console.print(as_text(plan_rows(plan), width=WIDEST), markup=False, highlight=False, soft_wrap=True)
