"""Printing, pictures and files of a network's answers, registered with their types."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image
from rich.console import Console

from featmap.errors import OutputError
from featmap.methods.contributions import Contributions
from featmap.methods.explain import Explanation
from featmap.methods.maps import FeatureMaps, MapSet
from featmap.methods.matrix import LayerMatrix
from featmap.methods.occlusion_cost import OcclusionCost
from featmap.methods.plan import Plan
from featmap.methods.receptive_field import FieldAnswer, FieldDrawing
from featmap.methods.shared.occlusion import OcclusionMap, share_words
from featmap.result import Result, html_of, json_text, pictures_of, save_result, text_of
from featmap.result_table import TableResult, csv_text
from featmap.view.arrays import npz_bytes, safetensors_bytes, shown_array
from featmap.view.drawing.overlay import Mark, box_picture
from featmap.view.drawing.scale import check_scale
from featmap.view.drawing.text import number as number_words
from featmap.view.output import save, save_named, write_files
from featmap.view.pictures.arithmetic import Arithmetic, ShownTerm
from featmap.view.pictures.contributions import contribution_pages
from featmap.view.pictures.explain import value_picture
from featmap.view.pictures.occlusion import check_colours, occlusion_picture
from featmap.view.sheets.grid import fit_grid
from featmap.view.sheets.maps import map_pages
from featmap.view.sheets.order import check_sort
from featmap.view.tables.network import cost_table, field_text, maps_table, plan_rows, plan_table
from featmap.view.tables.parts import WIDEST, as_text
from featmap.view.tables.value import contributions_table, explanation_table


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
def _(result: OcclusionCost) -> str:
    return as_text(cost_table(result), width=WIDEST)


@html_of.register(MapSet)
@html_of.register(LayerMatrix)
@html_of.register(OcclusionCost)
@html_of.register(Plan)
@html_of.register(Explanation)
@html_of.register(FieldAnswer)
def _(result: Result) -> str | None:
    return f"<pre style='line-height:1.25;overflow-x:auto'>{html.escape(text_of(result))}</pre>"


@pictures_of.register
def _(
    result: FeatureMaps,
    *,
    image: int | None = None,
    sort: Literal["index", "maximum", "mean", "positive"] = "index",
    scale: Literal["map", "shared"] = "map",
    page_size: int | None = None,
) -> list[Image.Image]:
    """The pages of one image, or of all of them, one image after the other."""
    if image is not None and not 0 <= image < len(result.images):
        raise OutputError(f"There is no image {image}; there are {len(result.images)}.", "Count images from 0.")
    pages: list[Image.Image] = []
    for number in range(len(result.images)) if image is None else [image]:
        values = shown_array(result.values[number])
        title = result.title if len(result.images) == 1 else f"{result.title}, {result.images[number]}"
        pages += map_pages(values, title, sort=sort, scale=scale, signed=result.is_signed, page_size=page_size)
    return pages


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
    return [
        value_picture(
            Arithmetic(
                title=result.address,
                terms=[ShownTerm(term.channel, term.window, term.kernel, term.sum) for term in result.terms],
                bias=result.bias,
                conv=result.conv,
                scale=scale if has_scale else None,
                shift=shift if has_scale else None,
                z=result.z,
                nonlinearity=result.nonlinearity,
                a=result.a,
            ),
            shown,
        )
    ]


@pictures_of.register
def _(result: Contributions, *, page_size: int | None = None) -> list[Image.Image]:
    return contribution_pages(
        result.values.numpy(), result.conv.numpy(), result.address, page_size=page_size, channels=result.channels
    )


@save_result.register
def _(result: FeatureMaps, path: Path, **options: Any) -> list[Path]:
    return _save_maps({result.address: result}, path, options)


@save_result.register
def _(result: MapSet, path: Path, **options: Any) -> list[Path]:
    return _save_maps(result, path, options)


@save_result.register(Result)
def _(result: Result, path: Path, **options: Any) -> list[Path]:
    return save_plain(result, path, options)


def save_plain(result: Result, path: Path, options: Mapping[str, Any]) -> list[Path]:
    """Writes a result as JSON, as text, as a picture, or as CSV where it is a table."""
    if path.suffix.lower() == ".csv" and isinstance(result, TableResult):
        return write_files({path: csv_text(result.rows()).encode()})
    if path.suffix.lower() == ".json":
        return write_files({path: (json_text(result) + "\n").encode()})
    if path.suffix.lower() == ".txt":
        return write_files({path: (str(result) + "\n").encode()})
    return save(pictures_of(result, **options), path)


ARRAYS = (".npz", ".safetensors")
MAP_FILES = (".png", *ARRAYS)
RESULT_FILES = (".png", ".json", ".txt")


def check_output(path: str | Path, suffixes: Sequence[str], what: str) -> None:
    """Raises OutputError where nothing can be written to that path; checked before the work."""
    path = Path(path)
    if path.suffix.lower() not in suffixes:
        ending = f"ends in '{path.suffix}'" if path.suffix else "has no suffix"
        listed = " or ".join(filter(None, (", ".join(suffixes[:-1]), suffixes[-1])))
        raise OutputError(f"'{path}' {ending}; {what} written as {listed}.", f"Use '{path.with_suffix(suffixes[0])}'.")
    if not path.parent.is_dir():
        raise OutputError(
            f"'{path}': there is no folder '{path.parent}'.", "Create the folder, or choose another path."
        )


def check_map_output(
    path: str | Path, *, sort: str = "index", scale: str = "map", page_size: int | None = None
) -> None:
    """Raises OutputError or SettingError where maps cannot be written to that path in that way."""
    check_output(path, MAP_FILES, "feature maps are")
    check_sort(sort)
    check_scale(scale)
    fit_grid(1, 1, 1, page_size)
    if Path(path).suffix.lower() in ARRAYS and (sort, scale, page_size) != ("index", "map", None):
        raise OutputError(
            f"'{path}' takes the maps as they are; order, scale and page size are those of pictures.",
            f"Leave them out, or use '{Path(path).with_suffix('.png')}'.",
        )


def _save_maps(maps: Mapping[str, FeatureMaps], path: Path, options: Mapping[str, Any]) -> list[Path]:
    """Writes maps as pages of a picture, or as arrays keyed by full address."""
    check_map_output(path, **{name: value for name, value in options.items() if name != "image"})
    if path.suffix.lower() not in ARRAYS:
        return save_named({address: pictures_of(every, **options) for address, every in maps.items()}, path)
    arrays = {key: value.values for key, value in maps.items()}
    written = (safetensors_bytes if path.suffix.lower() == ".safetensors" else npz_bytes)(arrays)
    return write_files({path: written})


def register_results() -> None:
    """Called so that this module is imported, which registers everything."""


@pictures_of.register
def _(result: FieldDrawing) -> list[Image.Image]:
    box = result.box
    mark = Mark((box.top, box.left, box.bottom, box.right), result.address)
    return [box_picture(result.picture, [mark], result.address)]


@pictures_of.register
def _(result: OcclusionMap, *, colours: str = "score") -> list[Image.Image]:
    assert result.picture is not None
    found = result.windows
    share = share_words(result.relative_effect)
    words = (
        f"score: {result.target}, {result.score:.4g} untouched",
        f"{result.weights_source} weights",
        f"window {found.window[0]} x {found.window[1]}, stride {found.stride[0]} x {found.stride[1]}, "
        f"baseline {result.baseline}",
        "each pixel the mean drop of the windows over it",
        f"one window changes the score by up to {number_words(result.largest_effect)}: {share}",
    )
    title = f"occlusion of {result.target}: up to {share}"
    if result.relative_effect is None:
        title = f"occlusion of {result.target}"
    return [occlusion_picture(result.picture, result.attribution(), result.score, title, words, colours=colours)]


_OCCLUSION_FILES = (".png", ".npz", ".json", ".txt")


def check_occlusion_output(path: str | Path, *, colours: str = "score") -> None:
    """Raises OutputError where an occlusion cannot be written to that path; SettingError for an unknown scale."""
    check_colours(colours)
    check_output(Path(path), _OCCLUSION_FILES, "an occlusion is")


@save_result.register
def _(result: OcclusionMap, path: Path, **options: Any) -> list[Path]:
    check_occlusion_output(path, **options)
    if path.suffix.lower() == ".npz":
        numbers = {"score": np.array(result.score), "grid": result.grid, "drop": result.drop}
        return write_files({path: npz_bytes({**numbers, "positions": np.array(result.positions)})})
    return save_plain(result, path, options)


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
