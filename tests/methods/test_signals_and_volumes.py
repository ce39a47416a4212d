"""Networks on signals and volumes: sizes and costs are known, receptive fields are not."""

import json

import pytest
import torch
from torch import nn

import featmap as fm
from featmap.errors import InputError

NETWORKS = {
    "signal": (nn.Sequential(nn.Conv1d(2, 4, 7), nn.ReLU(), nn.MaxPool1d(2), nn.Conv1d(4, 4, 7)), (2, 64)),
    "volume": (nn.Sequential(nn.Conv3d(1, 4, 3), nn.ReLU(), nn.MaxPool3d(2), nn.Conv3d(4, 4, 3)), (1, 12, 12, 12)),
}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("address", ["0", "3:z", "3:z/0@0,0"])
def test_a_receptive_field_that_is_not_worked_out_is_refused(name: str, address: str) -> None:
    module, shape = NETWORKS[name]
    net = fm.trace(module, shape)
    with pytest.raises(InputError, match="which are not images; receptive fields of signals and volumes"):
        net.receptive_field(address)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_plan_says_that_fields_are_unknown_and_has_sizes_and_costs(name: str) -> None:
    module, shape = NETWORKS[name]
    found = fm.trace(module, shape).plan()
    with torch.no_grad():
        size = module(torch.rand(1, *shape)).shape
    assert found["3"].output_shape == tuple(size[1:])
    assert found["3"].receptive_field is None
    assert all(row["receptive_field"] is None for row in json.loads(json.dumps(found.to_dict()))["layers"])
    assert {row["receptive_field_size"] for row in found.rows()} == {None}
    assert "?" in str(found)
    assert "exact" not in str(found)
