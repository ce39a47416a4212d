"""Projections through every kind of operator equal autograd with the rule at every rectifier."""

from __future__ import annotations

import pytest
import torch

from support.occlusion_cases import REGIONAL, WHOLE, case, units
from support.projection_cases import assert_close, expected


@pytest.mark.filterwarnings("ignore::featmap.network.differing.BatchStatistics")
@pytest.mark.parametrize("rule", ["gradient", "guided"])
@pytest.mark.parametrize("name", [*REGIONAL, *WHOLE])
def test_operator(name: str, rule: str) -> None:
    asked = case(name)
    if name == "power pool":
        pytest.skip("the gradient of a root is infinite at 0, where torch knows no number either")
    if not asked.has_maps:
        pytest.skip("the output has no rows and columns: its places are scores")
    for channel, row, column in units(asked.shape):
        address = f"{asked.output}/{channel}@{row},{column}"
        found = asked.net.project(asked.image, address, rule, dtype=torch.float64, progress=False)
        value, whole = expected(asked.net, asked.image, asked.output, (channel, row, column), rule)
        assert_close(found, whole, value)
