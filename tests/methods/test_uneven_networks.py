"""Networks whose units do not move evenly: the answers about them, and the boxes of their units."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import featmap as fm
from featmap.graph.receptive.fields import receptive_fields
from featmap.graph.receptive.unit_box import unit_box
from featmap.view.tables.network import field_text

UP = {
    "transposed": lambda: nn.ConvTranspose2d(4, 4, 2, 2),
    "nearest": lambda: nn.Upsample(scale_factor=2),
    "bilinear": lambda: nn.Upsample(scale_factor=2, mode="bilinear"),
    "even": lambda: nn.Conv2d(4, 4, 3, padding=1),
    "adaptive": lambda: nn.AdaptiveAvgPool2d(9),
}


class Turned(nn.Module):
    """Flipped and sliced in one."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flip(3)[:, :, 2::2]


@pytest.mark.parametrize("name", UP)
@pytest.mark.parametrize("last", [nn.Identity, lambda: nn.Conv2d(4, 4, 3, padding=1), Turned])
def test_formula_and_boxes_agree_for_all_units_or_there_is_no_formula(name: str, last: type) -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), UP[name](), last())
    sized = fm.trace(module.eval(), (3, 32, 32))._captured.sized
    for node, field in enumerate(receptive_fields(sized)):
        if sized.graph[node].is_input or None in field.stride:
            continue
        rows, columns = sized.size(node)
        for unit in range(6, min(rows, columns) - 6):
            box = unit_box(sized, node, (unit, unit)).box
            firsts = [offset + unit * stride for offset, stride in zip(field.offset, field.stride, strict=True)]
            assert ([box.top, box.left], (box.height, box.width)) == (firsts, field.size)


def test_how_units_move_is_said() -> None:
    net = fm.trace(nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.ConvTranspose2d(4, 4, 2, 2)).eval(), (3, 32, 32))
    assert net.receptive_field("1:z/0@8,8").box == net.receptive_field("1:z/0@9,9").box
    answer = net.receptive_field("1:z")
    assert (answer.field.stride, answer.field.offset) == ((None, None), (None, None))
    assert answer.to_dict()["steps"] == [[0, 2], [0, 2]]
    assert "3 pixels, no even stride: units move by 0, then 2, exact" in field_text(answer)
    assert "0, then 2" in str(net.plan())
    assert net.project(torch.rand(1, 3, 32, 32), "1:z/0@8,8").values.shape[-2:] == (3, 3)
