"""The layout of the picture of one value's arithmetic: columns and rows, computed before drawing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featmap.view.drawing.cells import CellSize, cell_size
from featmap.view.drawing.flow import FLOW_PX, flow_width_px
from featmap.view.drawing.text import MINUS, number
from featmap.view.pictures.arithmetic import Arithmetic, ShownTerm, rest, stages
from featmap.view.sheets.header import TITLE_PX

MARGIN_PX = 24
NAME_PX = 112
SIGN_PX = 34
SUM_PX = 76
BAR_GAP_PX = 24
BAR_PX = 160
ROW_GAP_PX = 16
BAR_ROW_PX = 26
HEAD_PX = 66
FLOW_GAP_PX = 22
RULE_PX = 10
GRID_PX = 92


@dataclass(frozen=True, eq=False)
class ExplainLayout:
    """Columns for name, window, kernel, product, sum and bar; a row per shown term, then rows without grids."""

    arithmetic: Arithmetic
    shown: list[ShownTerm]

    @property
    def cell(self) -> CellSize:
        """Size of one cell."""
        return cell_size(*self.shown[0].window.shape)

    @property
    def grid_px(self) -> tuple[int, int]:
        """Width and height of one grid as drawn."""
        rows, columns = self.shown[0].window.shape
        return columns * self.cell.width, rows * self.cell.height

    @property
    def lefts(self) -> tuple[int, int, int]:
        """Left edges of window, kernel and product; a narrow grid leaves room for the words above it."""
        first, step = MARGIN_PX + NAME_PX, max(self.grid_px[0], GRID_PX) + SIGN_PX
        return first, first + step, first + 2 * step

    @property
    def sum_right(self) -> int:
        """Right edge of the sums."""
        return self.lefts[2] + max(self.grid_px[0], GRID_PX) + SIGN_PX + SUM_PX

    @property
    def right(self) -> int:
        """Right edge of the bars."""
        return self.sum_right + BAR_GAP_PX + BAR_PX

    @property
    def top(self) -> int:
        """Top of the first row."""
        return MARGIN_PX + TITLE_PX + HEAD_PX

    def row_top(self, index: int) -> int:
        """Top of a row with grids."""
        return self.top + index * (self.grid_px[1] + ROW_GAP_PX)

    @property
    def rest(self) -> list[tuple[str, float]]:
        """The rows without grids."""
        return rest(self.arithmetic, self.shown)

    @property
    def flow_top(self) -> int:
        """Top of the path from stage to stage."""
        return self.row_top(len(self.shown)) + BAR_ROW_PX * len(self.rest) + RULE_PX + FLOW_GAP_PX

    @property
    def size_px(self) -> tuple[int, int]:
        """Width and height of the picture."""
        flow = MARGIN_PX + flow_width_px(stages(self.arithmetic))
        return max(self.right, flow) + MARGIN_PX, self.flow_top + FLOW_PX + MARGIN_PX

    @property
    def span(self) -> tuple[float, float]:
        """The values at both ends of the bars, with 0 in it."""
        values = [term.sum for term in self.shown] + [value for _, value in self.rest]
        finite = [value for value in values if math.isfinite(value)]
        return min([0.0, *finite]), max([0.0, *finite])

    def bar_place(self, value: float) -> int:
        """The position of a value on the scale of the bars."""
        low, high = self.span
        share = (value - low) / ((high - low) or 1.0) if math.isfinite(value) else -low / ((high - low) or 1.0)
        return self.sum_right + BAR_GAP_PX + round(share * BAR_PX)

    def aligned(self, value: float) -> str:
        """A sum with as many decimals as all the others, so that they are aligned."""
        greatest = max(abs(end) for end in self.span)
        if not 1e-3 <= greatest < 1e6 or not math.isfinite(value):
            return number(value, 5)
        places = max(0, 4 - math.floor(math.log10(greatest)))
        return f"{value:.{places}f}".replace("-", MINUS)

    @property
    def columns(self) -> list[tuple[str, list[NDArray[Any]]]]:
        """The grids by column."""
        return [
            ("window", [term.window for term in self.shown]),
            ("kernel", [term.kernel for term in self.shown]),
            ("product", [term.window * term.kernel for term in self.shown]),
        ]


def limit(grids: Sequence[NDArray[Any]]) -> float:
    """The largest finite magnitude, for both ends of the colours."""
    return max(float(np.max(np.abs(grid), where=np.isfinite(grid), initial=0.0)) for grid in grids) or 1.0
