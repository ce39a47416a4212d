"""Random networks that rearrange maps: a unit's box is the gradient's support, or holds it."""

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import featmap as fm
from featmap.geometry import Interval, Status
from featmap.graph.receptive.unit_boxes import UnitBoxes
from featmap.run.as_maps import as_maps
from featmap.testing.oracles import SupportMask
from featmap.testing.rearranged import rearranged_networks
from featmap.testing.strategies import RandomNetwork

EXAMPLES = settings(max_examples=75, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
TWO_RUNS = pytest.mark.parametrize("run", ["first 150 networks", "150 more"])


@TWO_RUNS
@EXAMPLES
@given(drawn=rearranged_networks(), data=st.data())
def test_the_box_of_a_unit_is_what_has_a_gradient(run: str, drawn: RandomNetwork, data: st.DataObject) -> None:
    network = fm.trace(drawn.module, drawn.input_shape)
    sized = network._captured.sized
    (node,) = sized.graph.outputs
    assert node is not None
    image = (torch.rand(1, *drawn.input_shape, dtype=torch.float64) + 0.1).requires_grad_()
    maps = as_maps(sized, node, drawn.module(image))
    channel, row, column = (data.draw(st.integers(0, size - 1)) for size in maps.shape[1:])
    answer = network.receptive_field(f"{network._captured.resolver.describe(node)}/{channel}@{row},{column}")
    (gradient,) = torch.autograd.grad(maps[0, channel, row, column], image, materialize_grads=True)
    support = SupportMask((gradient[0] != 0).any(dim=0))
    assert answer.box is not None
    assert answer.box.contains(support.box), (answer, support.box)
    if answer.status == Status.EXACT:
        assert (answer.box, support.fills_box) == (support.box, True), (answer, support.box)
    (rows, columns), box = UnitBoxes(sized).of(node, channel), support.box
    assert box.is_empty or Interval(*map(int, rows[row])).contains(box.rows)
    assert box.is_empty or Interval(*map(int, columns[column])).contains(box.columns)
