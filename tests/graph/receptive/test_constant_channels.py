"""Constant channels and positions, which see nothing, and stored statistics, which read their own position only."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import featmap as fm
from featmap.geometry import Box, Status
from featmap.graph.receptive.fields import receptive_fields
from featmap.graph.receptive.unit_box import unit_box
from featmap.graph.receptive.unit_boxes import UnitBoxes
from featmap.testing.oracles import gradient_support

FORWARDS: dict[str, Callable[[Tensor], Tensor]] = {
    "before": lambda x: functional.pad(x, (0, 0, 0, 0, 2, 0)),
    "both": lambda x: functional.pad(x, (0, 0, 0, 0, 1, 2)),
    "cropped": lambda x: functional.pad(x, (0, 0, 0, 0, -1, 1)),
    "everywhere": lambda x: functional.pad(x, (6, 0, 5, 1, 1, 1)),
    "shortcut A": lambda x: functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 2, 2)),
    "zeros": lambda x: torch.cat([x, torch.zeros(1, 2, 8, 8, dtype=x.dtype)], 1),
    "sum": lambda x: functional.pad(x, (0, 0, 0, 0, 0, 4)) + functional.avg_pool2d(torch.cat([x, x], 1), 3, 1, 1),
    "rectified": lambda x: (functional.pad(x, (0, 0, 0, 0, 1, 1)) * 2).sigmoid(),
}


class Stem(nn.Module):
    """A convolution, then a function."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.conv, self.function = nn.Conv2d(3, 4, 3, padding=1), function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self.conv(x))


@pytest.mark.parametrize("name", FORWARDS)
def test_every_unit_sees_what_has_a_gradient(name: str) -> None:
    module = Stem(FORWARDS[name]).double().eval()
    sized = fm.trace(module, (3, 8, 8))._captured.sized
    (output,) = sized.graph.outputs
    image, (_, channels, rows, columns) = torch.rand(1, 3, 8, 8, dtype=torch.float64), sized.shape(output)
    sizes, boxes = set(), UnitBoxes(sized)
    for channel in range(channels):
        by_rows, by_columns = boxes.of(output, channel)
        for row, column in ((0, 0), (rows // 2, columns // 2)):
            truth = gradient_support(module, image, channel, row, column)
            found = unit_box(sized, output, (row, column), channel)
            assert (found.box.is_empty, found.status) == (truth.box.is_empty, Status.EXACT)
            assert found.box == truth.box or truth.box.is_empty
            assert truth.box.is_empty == (
                by_rows[row][0] == by_rows[row][1] or by_columns[column][0] == by_columns[column][1]
            )
        sizes.add(truth.box.is_empty)
    status = receptive_fields(sized)[output].status
    assert status == (Status.EXACT if sizes == {False} else Status.HULL)


def test_instance_norm_with_stored_statistics_is_pointwise() -> None:
    norm = nn.InstanceNorm2d(4, affine=True, track_running_stats=True)
    net = fm.trace(nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), norm).eval(), (3, 8, 8))
    answer = net.receptive_field("0:z/0@4,4")
    assert (answer.box, answer.status) == (Box(3, 3, 6, 6), Status.EXACT)
    own = fm.trace(nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.InstanceNorm2d(4)).eval(), (3, 8, 8))
    assert own.receptive_field("0:z/0@4,4").status == Status.WHOLE


@pytest.mark.parametrize("name", ["before", "zeros", "norm"])
def test_occlusions_behind_such_channels_are_those_of_full_runs(name: str) -> None:
    norm = nn.InstanceNorm2d(4, affine=True, track_running_stats=True)
    module = nn.Sequential(
        Stem(norm if name == "norm" else FORWARDS[name]), nn.Conv2d(4 if name == "norm" else 6, 2, 3)
    )
    image = torch.rand(1, 3, 8, 8, dtype=torch.float64)
    net = fm.trace(module.double().eval(), (3, 8, 8))
    drop = net.occlude(image, "1:z/1@2,3", window=3, stride=5, baseline=0.0, dtype=torch.float64).drop
    changed = image.clone()
    changed[..., :3, :3] = 0
    with torch.no_grad():
        expected = module(image)[0, 1, 2, 3] - module(changed)[0, 1, 2, 3]
    assert abs(float(drop[0, 0]) - float(expected)) < 1e-9
