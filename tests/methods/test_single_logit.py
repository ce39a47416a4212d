"""The probability of a network that returns one number."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import featmap as fm
from featmap.errors import SettingError


def body(*last: nn.Module) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(72, 1), *last).eval()


@pytest.mark.parametrize("target", [0, None])
def test_one_logit_becomes_its_sigmoid(target: int | None) -> None:
    module, image = body(), torch.rand(1, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    found = fm.trace(module, (1, 8, 8)).occlude(image, target, 4, 4, scale="probability")
    hidden = image.clone()
    hidden[..., :4, :4] = 0
    with torch.no_grad():
        assert found.score == pytest.approx(float(module(image).sigmoid()), abs=1e-6)
        assert float(found.grid[0, 0]) == pytest.approx(float(module(hidden).sigmoid()), abs=1e-6)
    assert abs(found.drop).max() > 1e-4


def test_what_is_a_probability_already_is_not_made_one_again() -> None:
    net = fm.trace(body(nn.Sigmoid()), (1, 8, 8))
    with pytest.raises(SettingError, match="one number that is a probability already"):
        net.occlude(torch.rand(1, 1, 8, 8), 0, 4, 4, scale="probability")
