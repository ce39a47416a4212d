"""Modules written as one function, for tests that need a forward of their own."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn


class Written(nn.Module):
    """A module with the given parts whose forward is `forward(module, x)`, with further inputs where there are some."""

    def __init__(self, forward: Callable[..., Any], **parts: nn.Module) -> None:
        super().__init__()
        self._forward = forward
        for name, part in parts.items():
            self.add_module(name, part)

    def forward(self, x: torch.Tensor, *others: Any) -> Any:
        return self._forward(self, x, *others)


def written(forward: Callable[..., Any], **parts: nn.Module) -> nn.Module:
    """The module in evaluation mode; its parts' weights come from the present random state."""
    return Written(forward, **parts).eval()


def conv(inputs: int = 3, outputs: int = 4, kernel: int = 3, **settings: Any) -> nn.Conv2d:
    """A convolution that keeps the size."""
    return nn.Conv2d(inputs, outputs, kernel, padding=settings.pop("padding", kernel // 2), **settings)


def first_of_a_process() -> nn.Module:
    """A module whose making draws random numbers of all kinds, as building networks of other packages may."""
    random.random()
    np.random.rand()
    return nn.Sequential(conv())
