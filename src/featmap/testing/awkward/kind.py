"""A kind of awkward module: a forward in a few lines, the parts that it uses, and an image for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

Run = Callable[[Any, Tensor], Any]
"""A forward: the module and the image to whatever the model returns."""


class Forward(nn.Module):
    """A module whose forward is a function of itself and the image; `parts` are its attributes."""

    def __init__(self, run: Run, **parts: Any) -> None:
        super().__init__()
        self.run = run
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x: Tensor) -> Any:
        return self.run(self, x)


@dataclass(frozen=True)
class Awkward:
    """One kind: how the module is built, the shape of its image and the image's type.

    `random`: it draws random numbers in evaluation too. `own_gradients`: its gradients are not those of its forward.
    """

    build: Callable[[], nn.Module]
    shape: tuple[int, int, int] = (3, 12, 12)
    dtype: torch.dtype = torch.float32
    is_random: bool = False
    own_gradients: bool = False

    def module(self) -> nn.Module:
        """The module, in training mode, with the same weights every time; the caller's random state is not changed."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return self.build()

    def image(self) -> Tensor:
        """The image (1, channel, row, column)."""
        values = torch.rand(1, *self.shape, generator=torch.Generator().manual_seed(1))
        return values.to(self.dtype) if self.dtype.is_floating_point else (values * 255).to(self.dtype)


def kind(run: Run, **parts: Callable[[], Any]) -> Awkward:
    """A kind with a convolution `c` from 3 to 4 maps (3 x 3), and the given parts, each made by a function."""
    made = {"c": lambda: nn.Conv2d(3, 4, 3), **parts}
    return Awkward(lambda: Forward(run, **{name: make() for name, make in made.items()}))
