"""The windows of an occlusion, and what is written over the pixels below them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from operator import index
from typing import Any, Literal, SupportsIndex, TypeAlias

import numpy as np
import torch
from jaxtyping import Float64, Shaped
from numpy.typing import NDArray
from torch import Tensor

from featmap.errors import SettingError
from featmap.geometry import Box, Interval
from featmap.geometry.setting import axis_words
from featmap.graph.graph import items_of

Numbers: TypeAlias = NDArray[np.float64]
Sides: TypeAlias = "int | tuple[int, ...]"
Baseline: TypeAlias = "float | Sequence[float] | Tensor | Literal['mean', 'local'] | Callable[[Tensor], Tensor]"


@dataclass(frozen=True)
class Windows:
    """The windows along each axis of the image: half-open intervals inside it, the last aligned with its edge."""

    axes: tuple[tuple[Interval, ...], ...]
    window: tuple[int, ...]
    stride: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """How many windows there are along each axis."""
        return tuple(map(len, self.axes))

    @property
    def count(self) -> int:
        return prod(self.shape)

    @property
    def rows(self) -> tuple[Interval, ...]:
        """The windows along the rows of a picture."""
        return self.axes[-2]

    @property
    def columns(self) -> tuple[Interval, ...]:
        """The windows along its columns."""
        return self.axes[-1]

    def box(self, *position: int) -> Box:
        """The window at one position: row and column of the grid of a picture."""
        return Box.of(*(axis[at] for axis, at in zip(self.axes, position, strict=True)))


def windows(image: Sequence[int], window: Sides, stride: Sides) -> Windows:
    """The windows over an image of this size. Raises: SettingError: a window larger than it, a stride below 1."""
    size, step = _sides(window, "window", len(image)), _sides(stride, "stride", len(image))
    if any(side > most for side, most in zip(size, image, strict=True)):
        words = " x ".join(words.cells for words in axis_words(len(image)))
        given, whole = (" x ".join(map(str, sizes)) for sizes in (size, image))
        raise SettingError(
            f"A window of {given} ({words}) does not fit into an image of {whole}.", f"Use a window of at most {whole}."
        )
    return Windows(tuple(map(_axis, image, size, step)), size, step)


def _sides(value: Any, name: str, count: int) -> tuple[int, ...]:
    """A number for each of so many axes."""
    sides: tuple[Any, ...] = tuple(items_of(value)) if isinstance(value, tuple | list) else (value,) * count
    if len(sides) != count or not all(_is_size(side) for side in sides):
        each = ", ".join(words.cells for words in axis_words(count))
        several = f", or ({each})" if count > 1 else ""
        unit = "pixels" if count > 1 else "samples"
        raise SettingError(
            f"{name} {value} is not a size in {unit}.", f"Give a whole number from 1 on{several}: {name}=16."
        )
    return tuple(index(side) for side in sides)


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
    picture: Shaped[Tensor, " channel *place"] | None


def fill(image: Shaped[Tensor, " channel *place"], baseline: Baseline) -> Fill:
    """The fill for one image (channel, row, column). Raises: SettingError: a baseline of the wrong length or shape."""
    channels = image.shape[0]
    if isinstance(baseline, str):
        if baseline not in ("mean", "local"):
            raise SettingError(
                f"baseline '{baseline}' is unknown.",
                "Use a number, a value per channel, 'mean', 'local' or a function.",
            )
        means = image.flatten(1).mean(dim=1)
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
    return values.view(-1, *[1] * (image.ndim - 1)).expand_as(image)


def _checked(picture: Any, image: Tensor) -> Tensor:
    if not isinstance(picture, Tensor) or picture.shape != image.shape:
        got = tuple(picture.shape) if isinstance(picture, Tensor) else type(picture).__name__
        raise SettingError(
            f"The baseline function gave {got}; the image has shape {tuple(image.shape)}.",
            "Return a tensor of the image's own shape.",
        )
    return picture.to(image)


def captum_average(
    drop: Float64[Numbers, "*position"], found: Windows, size: tuple[int, ...]
) -> Float64[Numbers, "*place"]:
    """For each pixel the mean drop of the windows that cover it, 0 where none does: Captum's convention."""
    total, cover = np.zeros(size), np.zeros(size)
    for position in np.ndindex(*found.shape):
        covered = found.box(*position).slices
        total[covered] += drop[position]
        cover[covered] += 1
    return np.divide(total, cover, out=np.zeros(size), where=cover > 0)
