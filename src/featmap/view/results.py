"""How does each type of result print, look and save? Registered here for the functions that results call."""

from __future__ import annotations

import html
import io
import json
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
from featmap.methods.plan import Plan
from featmap.methods.receptive_field import FieldAnswer, FieldDrawing
from featmap.methods.result import Result, html_of, pictures_of, save_result, text_of
from featmap.view.arithmetic import Arithmetic
from featmap.view.arithmetic import Term as ShownTerm
from featmap.view.contributions import contribution_pages
from featmap.view.explain import value_picture
from featmap.view.maps import map_pages
from featmap.view.output import save, write_files
from featmap.view.overlay import Mark, box_picture
from featmap.view.tables import WIDEST, as_text, explanation_table, field_text, plan_table


@text_of.register
def _(result: Plan) -> str:
    return as_text(plan_table(result), width=WIDEST)


@text_of.register
def _(result: FieldAnswer) -> str:
    return field_text(result)


@text_of.register
def _(result: Explanation) -> str:
    return as_text(explanation_table(result))


@html_of.register(Plan)
@html_of.register(Explanation)
@html_of.register(FieldAnswer)
def _(result: Result) -> str | None:
    return f"<pre style='line-height:1.25;overflow-x:auto'>{html.escape(text_of(result))}</pre>"


@pictures_of.register
def _(
    result: FeatureMaps,
    *,
    image: int = 0,
    sort: Literal["index", "maximum", "mean", "positive"] = "index",
    scale: Literal["map", "shared"] = "map",
    page_size: int | None = None,
) -> list[Image.Image]:
    if not 0 <= image < len(result.images):
        raise OutputError(f"There is no image {image}; there are {len(result.images)}.", "Count images from 0.")
    values = result.values[image].detach().float().cpu().numpy()
    title = result.address if len(result.images) == 1 else f"{result.address}, {result.images[image]}"
    return map_pages(values, title, sort=sort, scale=scale, signed=result.is_signed, page_size=page_size)


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
    if path.suffix.lower() == ".png":
        return save(pictures_of(result, **options), path)
    return save_arrays({result.address: result}, path)


@save_result.register(Explanation)
@save_result.register(Contributions)
@save_result.register(Plan)
@save_result.register(FieldAnswer)
@save_result.register(FieldDrawing)
@save_result.register(LayerMatrix)
def _(result: Result, path: Path, **options: Any) -> list[Path]:
    if path.suffix.lower() == ".json":
        return write_files({path: (json.dumps(result.to_json(), indent=2) + "\n").encode()})
    if path.suffix.lower() == ".txt":
        return write_files({path: (str(result) + "\n").encode()})
    return save(pictures_of(result, **options), path)


@save_result.register
def _(result: MapSet, path: Path, **options: Any) -> list[Path]:
    if path.suffix.lower() != ".png":
        return save_arrays(result, path)
    pages = [page for maps in result.values() for page in pictures_of(maps, **options)]
    return save(pages, path)


_ARRAYS = (".npz", ".safetensors")


def check_map_output(path: str | Path) -> None:
    """Raises OutputError where maps cannot be written to that path: asked before the work, not after it."""
    path = Path(path)
    if path.suffix.lower() not in (".png", *_ARRAYS):
        raise OutputError(
            f"'{path}' ends in '{path.suffix}'; feature maps are written as .png, .npz or .safetensors.",
            f"Use '{path.with_suffix('.npz')}'.",
        )
    if not path.parent.is_dir():
        raise OutputError(
            f"'{path}': there is no folder '{path.parent}'.", "Create the folder, or choose another path."
        )


def save_arrays(maps: Any, path: Path) -> list[Path]:
    """Writes maps keyed by full address as `.npz` or `.safetensors`."""
    check_map_output(path)
    arrays = {key: np.ascontiguousarray(value.values.detach().cpu().numpy()) for key, value in maps.items()}
    suffix = path.suffix.lower()
    if suffix == ".safetensors":
        from safetensors.numpy import save as to_bytes

        return write_files({path: to_bytes(arrays)})
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return write_files({path: buffer.getvalue()})


def register_results() -> None:
    """Importing this module has registered everything; calling this says that it is wanted."""


@pictures_of.register
def _(result: FieldDrawing) -> list[Image.Image]:
    box = result.box
    mark = Mark((box.top, box.left, box.bottom, box.right), result.address)
    return [box_picture(result.picture, [mark], result.address)]


def print_to(console: Console, result: Result) -> None:
    """Prints a result on a console, as a table in its colours where it has one."""
    if not console.is_terminal:
        console.print(str(result), markup=False, highlight=False, soft_wrap=True)
    elif isinstance(result, Plan):
        console.print(plan_table(result, console.width))
    elif isinstance(result, Explanation):
        console.print(explanation_table(result))
    else:
        console.print(str(result), markup=False, highlight=False)
