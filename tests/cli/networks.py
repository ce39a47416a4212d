"""Networks that command lines of the tests name: `cli.networks:Small` and the like, with written weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def written(module: nn.Module) -> nn.Module:
    """The module with small weights that any machine holds exactly, so that printed values are the same everywhere."""
    with torch.no_grad():
        for number, parameter in enumerate(module.parameters()):
            steps = torch.arange(parameter.numel()).reshape(parameter.shape) * 5 + number
            parameter.copy_((steps % 7 - 3) / 8)
    return module


class Small(nn.Module):
    """Two convolutions: one with batch norm and ReLU, one in two groups whose maps are added to a shortcut."""

    input_shape = (3, 12, 16)

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.grouped = nn.Conv2d(4, 4, 3, padding=1, groups=2)
        self.pool = nn.MaxPool2d(2)
        written(self)

    def forward(self, x: Tensor) -> Tensor:
        stem = torch.relu(self.norm(self.stem(x)))
        return self.pool(torch.relu(self.grouped(stem) + stem))


class AnySize(Small):
    """The same, but it does not say what input it takes."""

    input_shape = None  # type: ignore[assignment]


class Headed(nn.Sequential):
    """A head of fixed size behind two convolutions."""

    input_shape = (3, 12, 16)

    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(3, 2, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(2, 2, 3), nn.Flatten(), nn.Linear(16, 5)
        )
        written(self)


class Grey(nn.Sequential):
    """One input channel and many maps."""

    input_shape = (1, 12, 16)

    def __init__(self) -> None:
        super().__init__(nn.Conv2d(1, 20, (3, 1), stride=(1, 2)), nn.ReLU())
        written(self)


class Branching(nn.Module):
    """No single graph."""

    input_shape = (3, 12, 16)

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.stem(x)
        if y.sum() > 0:
            y = -y
        return y


def number() -> int:
    """No module."""
    return 3


def broken() -> nn.Module:
    """Fails while it is built."""
    raise RuntimeError("two\nlines")


broken.input_shape = (3, 12, 16)  # type: ignore[attr-defined]
number.input_shape = (3, 12, 16)  # type: ignore[attr-defined]
