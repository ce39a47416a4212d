"""The path of a value from stage to stage: boxes in a row, with the operations between them on the arrows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw

from featmap.view.drawing.text import FAINT, INK, number, width_px, write
from featmap.view.sheets.header import FRAME

FLOW_PX = 46
PADDING_PX = 14
ARROW_PX = 40
GROUND = (246, 247, 249)


@dataclass(frozen=True)
class Stage:
    """A stage of a value, and the operation that made it from the previous one."""

    name: str
    value: float
    made_by: str

    @property
    def text(self) -> str:
        """The value as it is written."""
        return number(self.value, 6)

    @property
    def box_px(self) -> int:
        """Width of its box."""
        return max(width_px(self.name, 11), width_px(self.text, 15, bold=True)) + 2 * PADDING_PX

    @property
    def arrow_px(self) -> int:
        """Length of the arrow to it."""
        return max(ARROW_PX, width_px(self.made_by, 12) + 28)


def flow_width_px(stages: Sequence[Stage]) -> int:
    """Width of the whole row."""
    return sum(stage.box_px for stage in stages) + sum(stage.arrow_px for stage in stages[1:])


def draw_flow(page: Image.Image, stages: Sequence[Stage], left: int, top: int) -> None:
    """Draws the row with its top left corner there."""
    draw = ImageDraw.Draw(page)
    for index, stage in enumerate(stages):
        if index:
            _arrow(draw, stage, left, top + FLOW_PX // 2)
            left += stage.arrow_px
        draw.rounded_rectangle((left, top, left + stage.box_px, top + FLOW_PX), 6, fill=GROUND, outline=FRAME)
        write(draw, (left + PADDING_PX, top + 16), stage.name, 11, FAINT)
        write(draw, (left + PADDING_PX, top + 36), stage.text, 15, INK, bold=True)
        left += stage.box_px


def _arrow(draw: ImageDraw.ImageDraw, stage: Stage, left: int, middle: int) -> None:
    start, end = left + 7, left + stage.arrow_px - 7
    draw.line((start, middle, end, middle), fill=FAINT)
    draw.polygon([(end + 1, middle), (end - 6, middle - 4), (end - 6, middle + 4)], fill=FAINT)
    write(draw, ((start + end) / 2, middle - 6), stage.made_by, 12, INK, anchor="ms")
