"""How is a module built that nobody asks for values: without memory, whatever its constructor computes?"""

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
    """A real module with random weights that are the same every time; the caller's random state does not move."""
    with seeded_random_state(0):
        return build()


def without_values(build: Build) -> nn.Module:
    """The module on the meta device, where neither memory nor time is spent on weights; a real one if it must be.

    Some constructors compute with tensors (RegNet its widths, others their drop-path rates), which the meta device
    cannot. Then only the weights, which modules allocate empty, are left without memory while it runs.
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
    """While active, `torch.empty` gives tensors without memory; all else is real."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func is torch.empty and kwargs.get("device") is None:
            kwargs["device"] = "meta"
        return func(*args, **kwargs)


def _has_loose_tensors(module: nn.Module) -> bool:
    """Whether a tensor is a plain attribute somewhere: it would stay behind when the module moves to another device."""
    values = (value for part in module.modules() for value in vars(part).values())
    return any(isinstance(value, Tensor) and not value.is_meta for value in values)
