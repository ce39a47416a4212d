"""A projection that is 0 everywhere says that nothing reaches the target, and nothing about a sign."""

from __future__ import annotations

import torch
from torch import nn

import featmap as fm
from featmap.methods.shared.projection import NEGATIVE, NOTHING


def _network(weight: float) -> fm.Network:
    module = nn.Sequential(nn.Conv2d(1, 1, 1), nn.ReLU(), nn.Flatten(), nn.Linear(16, 1))
    with torch.no_grad():
        module[0].weight.fill_(weight)
        module[0].bias.zero_()
        module[3].weight.fill_(-1.0)
        module[3].bias.fill_(-1.0)
    return fm.trace(module, (1, 4, 4))


def test_zeros_from_a_negative_start_speak_of_nothing() -> None:
    shown = _network(-1.0).project(torch.ones(1, 4, 4), 0, rule="gradient")
    assert shown.started_from < 0
    assert not shown.values.any()
    assert shown.to_dict()["semantics"]["sign"] == NOTHING
    assert NOTHING in str(shown)
    assert NEGATIVE not in str(shown)


def test_values_from_a_negative_start_speak_against_the_target() -> None:
    shown = _network(1.0).project(torch.ones(1, 4, 4), 0, rule="gradient")
    assert shown.started_from < 0
    assert shown.to_dict()["semantics"]["sign"] == NEGATIVE
