"""The arithmetic of one value as one picture.

Row by row the largest contributions, window times kernel, then the other channels and the bias as bars on one scale,
then the path from the weighted sum to z and a. Only products and the sum of what is not shown are computed here.
"""

from __future__ import annotations

from PIL import Image, ImageDraw

from featmap.errors import SettingError
from featmap.view.drawing.cells import draw_cells
from featmap.view.drawing.flow import draw_flow
from featmap.view.drawing.palette import palette
from featmap.view.drawing.text import FAINT, INK, extent, plural, shortened, write
from featmap.view.pictures.arithmetic import Arithmetic, description, largest, shown_words, stages
from featmap.view.pictures.explain_layout import BAR_ROW_PX, MARGIN_PX, NAME_PX, RULE_PX, SIGN_PX, ExplainLayout, limit
from featmap.view.sheets.header import FRAME, TEXT_PX, TITLE_PX

POSITIVE, NEGATIVE = 215, 39


def value_picture(arithmetic: Arithmetic, shown: int = 5) -> Image.Image:
    """The arithmetic of one value with its `shown` largest contributions; all others are one row.

    Windows, kernels and products each have one colour scale, centred on 0, stated above them. Numbers stand in the
    cells up to 5 x 5. All bars have one scale, and all sums the same number of decimals.

    Raises: SettingError: no terms, or fewer than one of them to show.

    >>> import numpy as np
    >>> from featmap.view.pictures.arithmetic import ShownTerm
    >>> term = ShownTerm(0, np.ones((3, 3)), np.full((3, 3), 0.5), 4.5)
    >>> value_picture(Arithmetic("conv1:z/0@1,1", [term], 0.5, 5.0, None, None, 5.0, None, None)).info["Description"]
    'conv1:z/0@1,1; 1 input channel; 4.5 from the channels + 0.5 bias; conv = z 5'
    """
    if shown < 1 or not arithmetic.terms:
        raise SettingError(
            f"{plural(len(arithmetic.terms), 'term')}, {shown} to show: there is nothing to draw.",
            "Pass at least one term, and show at least one.",
        )
    layout = ExplainLayout(arithmetic, largest(arithmetic, shown))
    page = Image.new("RGB", layout.size_px, "white")
    _draw_head(page, layout)
    _draw_terms(page, layout)
    _draw_rest(page, layout)
    draw_flow(page, stages(arithmetic), MARGIN_PX, layout.flow_top)
    page.info.update(Title=arithmetic.title, Description=description(arithmetic, layout.shown))
    return page


def _draw_head(page: Image.Image, layout: ExplainLayout) -> None:
    draw = ImageDraw.Draw(page)
    room = page.width - 2 * MARGIN_PX
    title = shortened(layout.arithmetic.title, room, TITLE_PX, bold=True)
    write(draw, (MARGIN_PX, MARGIN_PX + TITLE_PX - 3), title, TITLE_PX, INK, bold=True)
    words = f"{shown_words(layout.arithmetic, layout.shown)}; colours run from blue over white = 0 to red"
    write(draw, (MARGIN_PX, MARGIN_PX + TITLE_PX + 19), shortened(words, room, TEXT_PX), TEXT_PX, FAINT)
    for (name, grids), left in zip(layout.columns, layout.lefts, strict=True):
        end = limit(grids)
        write(draw, (left, layout.top - 22), name, TEXT_PX, INK, bold=True)
        write(draw, (left, layout.top - 8), extent(-end, end), 10, FAINT)
    write(draw, (layout.sum_right, layout.top - 22), "sum", TEXT_PX, INK, bold=True, anchor="rs")


def _draw_terms(page: Image.Image, layout: ExplainLayout) -> None:
    columns = [(grids, limit(grids), left) for (_, grids), left in zip(layout.columns, layout.lefts, strict=True)]
    for index, term in enumerate(layout.shown):
        top = layout.row_top(index)
        for grids, end, left in columns:
            draw_cells(page, grids[index], (left, top), layout.cell, end)
        middle = top + layout.grid_px[1] // 2
        _draw_signs(page, layout, middle)
        _draw_sum(page, layout, shortened(term.name, NAME_PX - 8, TEXT_PX), term.sum, middle)


def _draw_signs(page: Image.Image, layout: ExplainLayout, middle: int) -> None:
    draw = ImageDraw.Draw(page)
    for start, sign in zip(layout.lefts, "×=→", strict=True):
        write(draw, (start + layout.grid_px[0] + SIGN_PX // 2, middle), sign, 15, FAINT, anchor="mm")


def _draw_rest(page: Image.Image, layout: ExplainLayout) -> None:
    top = layout.row_top(len(layout.shown))
    *parts, (total, value) = layout.rest
    for name, part in parts:
        _draw_sum(page, layout, name, part, top + BAR_ROW_PX // 2)
        top += BAR_ROW_PX
    ImageDraw.Draw(page).line((MARGIN_PX, top + 4, layout.right, top + 4), fill=FRAME)
    _draw_sum(page, layout, total, value, top + RULE_PX + BAR_ROW_PX // 2, bold=True)


def _draw_sum(
    page: Image.Image, layout: ExplainLayout, name: str, value: float, middle: int, *, bold: bool = False
) -> None:
    draw = ImageDraw.Draw(page)
    write(draw, (MARGIN_PX, middle), name, TEXT_PX, INK, bold=bold, anchor="lm")
    write(draw, (layout.sum_right, middle), layout.aligned(value), TEXT_PX, INK, bold=bold, anchor="rm")
    zero, end = layout.bar_place(0.0), layout.bar_place(value)
    colour = tuple(palette(signed=True).colours[POSITIVE if value > 0 else NEGATIVE].tolist())
    if zero != end:
        draw.rectangle((min(zero, end), middle - 6, max(zero, end), middle + 6), fill=colour)
    draw.line((zero, middle - 9, zero, middle + 9), fill=FAINT)
