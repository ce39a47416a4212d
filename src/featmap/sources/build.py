"""Modules built without memory, for questions that need no values, whatever their constructors compute."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from featmap.capture.state.torch_state import seeded_random_state
from featmap.errors import QuestionError

Build = Callable[[], nn.Module]


def seeded(build: Build) -> nn.Module:
    """A real module with random weights that are the same every time; the caller's random state stays as it was."""
    with seeded_random_state(0):
        return build()


def without_values(build: Build) -> nn.Module:
    """The module on the meta device, where weights cost neither memory nor time; a real one if that is impossible.

    Some constructors compute with tensors (RegNet its widths, others their drop-path rates), which the meta device
    cannot do. Then only the weights, which modules allocate with `torch.empty`, are made without memory.
    """
    for place in (torch.device("meta"), _WeightsOnMeta()):
        try:
            with place:
                module = build()
        except QuestionError:
            raise
        except Exception:
            continue
        if not _has_loose_tensors(module):
            return module.to("meta")
    return seeded(build)


class _WeightsOnMeta(TorchFunctionMode):
    """While active, `torch.empty` gives tensors without memory; everything else is real."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func is torch.empty and kwargs.get("device") is None:
            kwargs["device"] = "meta"
        return func(*args, **kwargs)


def _has_loose_tensors(module: nn.Module) -> bool:
    """Whether a tensor is a plain attribute of some part: it would not move to another device with the module."""
    values = (value for part in module.modules() for value in vars(part).values())
    return any(isinstance(value, Tensor) and not value.is_meta for value in values)
