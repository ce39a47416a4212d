"""The windows of an occlusion, and what is written over the pixels below them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import index
from typing import Any, Literal, SupportsIndex, TypeAlias

import numpy as np
import torch
from jaxtyping import Float64, Shaped
from numpy.typing import NDArray
from torch import Tensor

from featmap.errors import SettingError
from featmap.geometry import Box, Interval
from featmap.graph.graph import items_of

Numbers: TypeAlias = NDArray[np.float64]
Pair: TypeAlias = "int | tuple[int, int]"
Baseline: TypeAlias = "float | Sequence[float] | Tensor | Literal['mean', 'local'] | Callable[[Tensor], Tensor]"


@dataclass(frozen=True)
class Windows:
    """The windows along rows and columns: half-open intervals inside the image, the last aligned with its edge."""

    rows: tuple[Interval, ...]
    columns: tuple[Interval, ...]
    window: tuple[int, int]
    stride: tuple[int, int]

    @property
    def count(self) -> int:
        return len(self.rows) * len(self.columns)

    def box(self, row: int, column: int) -> Box:
        """The window at one position."""
        return Box.of(self.rows[row], self.columns[column])


def windows(height: int, width: int, window: Pair, stride: Pair) -> Windows:
    """The windows over an image. Raises: SettingError: a window larger than the image, a stride below 1."""
    size, step = _pair(window, "window"), _pair(stride, "stride")
    if size[0] > height or size[1] > width:
        raise SettingError(
            f"A window of {size[0]} x {size[1]} (rows x columns) does not fit into an image of {height} x {width}.",
            f"Use a window of at most {height} x {width}.",
        )
    return Windows(_axis(height, size[0], step[0]), _axis(width, size[1], step[1]), size, step)


def _pair(value: Any, name: str) -> tuple[int, int]:
    pair: tuple[Any, ...] = tuple(items_of(value)) if isinstance(value, tuple | list) else (value, value)
    if len(pair) != 2 or not all(_is_size(side) for side in pair):
        raise SettingError(
            f"{name} {value} is not a size in pixels.", f"Give a whole number from 1 on, or (rows, columns): {name}=16."
        )
    return index(pair[0]), index(pair[1])


def _is_size(side: Any) -> bool:
    return isinstance(side, SupportsIndex) and not isinstance(side, bool) and index(side) >= 1


def _axis(extent: int, size: int, step: int) -> tuple[Interval, ...]:
    """Starts at 0, step, 2 * step ...; the last window ends at the edge.

    >>> [interval.start for interval in _axis(20, 8, 5)]
    [0, 5, 10, 12]
    """
    starts = list(range(0, extent - size + 1, step))
    if starts[-1] != extent - size:
        starts.append(extent - size)
    return tuple(Interval(start, start + size) for start in starts)


@dataclass(frozen=True, eq=False)
class Fill:
    """The values written over occluded pixels: those of a picture (channel, row, column), or each window's mean."""

    name: str
    picture: Shaped[Tensor, "channel row column"] | None


def fill(image: Shaped[Tensor, "channel row column"], baseline: Baseline) -> Fill:
    """The fill for one image (channel, row, column). Raises: SettingError: a baseline of the wrong length or shape."""
    channels = image.shape[0]
    if isinstance(baseline, str):
        if baseline not in ("mean", "local"):
            raise SettingError(
                f"baseline '{baseline}' is unknown.",
                "Use a number, a value per channel, 'mean', 'local' or a function.",
            )
        means = image.mean(dim=(1, 2))
        return Fill("the image's mean", _plain(means, image)) if baseline == "mean" else Fill("the window's mean", None)
    if callable(baseline):
        # A copy: the function may write to its image, not to the user's.
        return Fill(_function_name(baseline), _checked(baseline(image.clone()), image))
    values = _values(baseline).to(image)
    if len(values) not in (1, channels):
        raise SettingError(
            f"The baseline has {len(values)} values; the image has {channels} channels.",
            f"Give one number, or {channels}.",
        )
    texts = ", ".join(f"{value:g}" for value in values)
    return Fill(texts if len(values) == 1 else f"({texts})", _plain(values.expand(channels), image))


def _values(baseline: Any) -> Tensor:
    """The numbers of a baseline. Raises: SettingError: it is not valid."""
    try:
        values = torch.as_tensor(baseline, dtype=torch.float64).detach().flatten()
    except (TypeError, ValueError, RuntimeError):
        values = torch.tensor([torch.nan])
    if not values.isfinite().all():
        raise SettingError(
            f"baseline {baseline} is not a finite number.",
            "Use a number, a value per channel, 'mean', 'local' or a function.",
        )
    return values


def _function_name(function: Any) -> str:
    name = getattr(function, "__name__", "<lambda>")
    return "a function of the image" if name == "<lambda>" else name


def _plain(values: Tensor, image: Tensor) -> Tensor:
    return values[:, None, None].expand_as(image)


def _checked(picture: Any, image: Tensor) -> Tensor:
    if not isinstance(picture, Tensor) or picture.shape != image.shape:
        got = tuple(picture.shape) if isinstance(picture, Tensor) else type(picture).__name__
        raise SettingError(
            f"The baseline function gave {got}; the image has shape {tuple(image.shape)}.",
            "Return a tensor of the image's own shape.",
        )
    return picture.to(image)


def occluded(
    image: Shaped[Tensor, "channel row column"], box: Box, filling: Fill
) -> Shaped[Tensor, "channel row column"]:
    """The image with one window written over: (channel, row, column)."""
    changed = image.clone()
    region = changed[:, box.top : box.bottom, box.left : box.right]
    if filling.picture is None:
        region.copy_(region.mean(dim=(1, 2), keepdim=True).expand_as(region))
    else:
        region.copy_(filling.picture[:, box.top : box.bottom, box.left : box.right])
    return changed


def captum_average(
    drop: Float64[Numbers, "row_position column_position"], found: Windows, size: tuple[int, int]
) -> Float64[Numbers, "row column"]:
    """For each pixel the mean drop of the windows that cover it, 0 where none does: Captum's convention."""
    total, cover = np.zeros(size), np.zeros(size)
    for row, rows in enumerate(found.rows):
        for column, columns in enumerate(found.columns):
            total[rows.start : rows.stop, columns.start : columns.stop] += drop[row, column]
            cover[rows.start : rows.stop, columns.start : columns.stop] += 1
    return np.divide(total, cover, out=np.zeros(size), where=cover > 0)
