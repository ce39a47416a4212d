"""Checks of the arguments that all questions share: shapes and devices."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager
from typing import Any

import torch

from featmap.errors import InputError
from featmap.run.execution import Execution, ExecutionOptions


def checked_shape(shape: Any) -> tuple[int, ...]:
    """A shape of whole numbers from 1 on. Raises: InputError."""
    numbers = shape if isinstance(shape, tuple | list) else ()
    if not numbers or not all(isinstance(size, int) and not isinstance(size, bool) and size >= 1 for size in numbers):
        raise InputError(
            f"{shape!r} is not the shape of an image.",
            "Give (channels, rows, columns) as whole numbers, such as (3, 224, 224).",
        )
    return tuple(numbers)


def plain_tensors() -> AbstractContextManager[None]:
    """Outside of torch.inference_mode, in which a user may ask: there torch gives no gradients, and does not say so."""
    return torch.inference_mode(False)


def found_device(device: str | torch.device | None) -> torch.device | None:
    """The device of that name; None stays None."""
    return None if device is None else torch.device(device)


def check_options(method: str, options: Mapping[str, Any], known: Collection[str]) -> None:
    """Whether a method has these keywords. Raises: TypeError, as Python itself does."""
    for name in options:
        if name not in known:
            raise TypeError(f"{method}() got an unexpected keyword argument '{name}'")


def execution_of(method: str, options: ExecutionOptions) -> Execution:
    """How a question is computed, from its keywords. Raises: TypeError: it has no such keyword."""
    check_options(method, options, ExecutionOptions.__annotations__)
    return Execution(options.get("dtype"), found_device(options.get("device")), options.get("memory_bytes"))
