"""The check of a preprocessing record's settings when it is made or first used."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from operator import index
from typing import Any

from featmap.errors import SettingError
from featmap.network.placement import FITS


def check_record(
    resize: Any, crop: Any, mean: Any, std: Any, interpolation: Any, known: Collection[str]
) -> dict[str, Any]:
    """The settings of a record with lists as tuples; `known` are all interpolations. Raises: SettingError."""
    if interpolation not in known:
        raise SettingError(
            f"Preprocessing: interpolation {interpolation!r} is not known.",
            f"It is one of {', '.join(known)}.",
        )
    found: dict[str, Any] = {"crop": _pair("crop", crop), "mean": _values("mean", mean), "std": _values("std", std)}
    if found["std"] is not None and not all(value > 0 for value in found["std"]):
        raise SettingError(f"Preprocessing: std is {std!r}; values are divided by it.", "Give numbers above 0.")
    is_one = resize is not None and not isinstance(resize, Sequence)
    found["resize"] = _pixels("resize", resize) if is_one else _pair("resize", resize)
    return found


def _pixels(name: str, value: Any) -> int:
    try:
        found = index(value)
    except TypeError:
        found = 0
    if found < 1 or isinstance(value, bool):
        raise SettingError(f"Preprocessing: {name} is {value!r}.", "Give pixels: whole numbers from 1.")
    return found


def _pair(name: str, value: Any) -> tuple[int, int] | None:
    if value is None:
        return None
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != 2:
        raise SettingError(f"Preprocessing: {name} is {value!r}.", f"Give rows and columns: {name}=(224, 224).")
    return _pixels(name, value[0]), _pixels(name, value[1])


def _values(name: str, values: Any) -> tuple[float, ...] | None:
    if values is None:
        return None
    try:
        found = tuple(float(value) for value in values)
    except (TypeError, ValueError):
        found = ()
    if not found or not all(map(math.isfinite, found)):
        problem = f"Preprocessing: {name} is {values!r}."
        raise SettingError(problem, f"Give one finite number per channel: {name}=(0.5, 0.5, 0.5).")
    return tuple(values)


def check_channels(mean: Sequence[float] | None, std: Sequence[float] | None, channels: int) -> None:
    """Raises SettingError where mean or std are for another number of channels; a single number is for all."""
    for name, values in (("mean", mean), ("std", std)):
        if values is not None and len(values) not in (1, channels):
            raise SettingError(
                f"Preprocessing: {name} has {len(values)} numbers; the input has {channels} channels.",
                f"Give {channels}, or one for all.",
            )


def check_fit(fit: Any, fill: Any, resize: Any) -> dict[str, Any]:
    """The checked `fit` and `fill`. Raises: SettingError."""
    if fit is not None and fit not in FITS:
        raise SettingError(f"Preprocessing: fit is {fit!r}.", f"It is one of {', '.join(FITS)}, or None.")
    if fit is not None and (not isinstance(resize, Sequence) or len(resize) != 2):
        problem = f"Preprocessing: fit is {fit!r}, resize is {resize!r}."
        raise SettingError(problem, "Give the rows and columns that a picture is to fit: resize=(224, 224).")
    colours = list(fill) if isinstance(fill, Sequence) else [fill]
    if not colours or not all(isinstance(colour, int) and 0 <= colour <= 255 for colour in colours):
        problem = f"Preprocessing: fill is {fill!r}."
        raise SettingError(problem, "Give a byte, 0 to 255, or one per channel: fill=(124, 116, 104).")
    if fill != 0 and fit != "pad":
        raise SettingError(f"Preprocessing: fill is {fill!r}, fit is {fit!r}.", "Only fit='pad' fills.")
    return {"fill": tuple(fill) if isinstance(fill, Sequence) else fill}


def check_fill(fill: int | Sequence[int], channels: int) -> None:
    """Raises SettingError where `fill` is a colour for another number of channels."""
    if not isinstance(fill, int) and len(fill) != channels:
        raise SettingError(
            f"Preprocessing: fill has {len(fill)} numbers; the input has {channels} channels.",
            f"Give {channels}, or one for all.",
        )
