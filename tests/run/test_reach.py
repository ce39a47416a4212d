"""What a change reaches and what a target reads, against whole runs: elsewhere nothing changes, and nothing matters."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from torch import Tensor

import featmap as fm
from featmap.geometry import Box, Interval
from featmap.graph.graph import TensorSpec
from featmap.network.network import CapturedNetwork
from featmap.run.program.program import Program
from featmap.run.region.boxes import computed_box, one_span, pays, values_on_boxes
from featmap.run.region.cost import bytes_per_position, node_costs, recomputed_share
from featmap.run.region.patches.patches import Patches
from featmap.run.region.reach import Reach, full_box, needed_boxes, reach
from featmap.testing.oracles import node_values
from featmap.testing.strategies import RandomNetwork, networks
from support.projection_cases import randomised

EXAMPLES = settings(
    max_examples=25,
    # A failing network is small as drawn; shrinking it takes minutes.
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


def traced(drawn: RandomNetwork, seed: int) -> tuple[CapturedNetwork, Tensor]:
    module = randomised(drawn.module, seed)
    image = torch.randn(1, *drawn.input_shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return fm.trace(module, inputs=image)._captured, image


def output_of(net: CapturedNetwork) -> int:
    (output,) = net.graph.outputs
    assert output is not None
    return output


def drawn_box(data: st.DataObject, height: int, width: int) -> Box:
    top, left = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    return Box(top, left, data.draw(st.integers(top + 1, height)), data.draw(st.integers(left + 1, width)))


def part(value: Tensor, box: Box) -> Tensor:
    return value[:, :, box.top : box.bottom, box.left : box.right]


def maps_of(net: CapturedNetwork, values: list[object]) -> dict[int, Tensor]:
    """The values that are maps: (image, channel, row, column)."""
    return {
        node.index: value
        for node, value in zip(net.graph, values, strict=True)
        if isinstance(value, Tensor) and value.ndim == 4 and node.depends_on_input
    }


def drawn_windows(data: st.DataObject, size: int, fewest: int = 1, most: int = 3) -> list[Interval]:
    found: list[Interval] = []
    for _ in range(data.draw(st.integers(fewest, most))):
        start = data.draw(st.integers(0, size - 1))
        found.append(Interval(start, data.draw(st.integers(start + 1, size))))
    return found


@EXAMPLES
@given(networks(), st.data(), st.integers(0, 999))
def test_a_change_shows_only_where_it_reaches(drawn: RandomNetwork, data: st.DataObject, seed: int) -> None:
    net, image = traced(drawn, seed)
    height, width = drawn.input_shape[1:]
    rows, columns = drawn_windows(data, height), drawn_windows(data, width)
    needed = needed_boxes(net.sized, output_of(net))
    found = reach(net.sized, rows, columns, needed)
    before = maps_of(net, node_values(net.graph, net.tensors, image))
    for (i, down), (j, across) in product(enumerate(rows), enumerate(columns)):
        changed = image.clone()
        changed[:, :, down.start : down.stop, across.start : across.stop] += 1.5
        after = maps_of(net, node_values(net.graph, net.tensors, changed))
        for index in needed.keys() & before.keys():
            inside = torch.zeros(before[index].shape[2:], dtype=torch.bool)
            if index in found.rows:
                vertical, horizontal = found.rows[index].changed[i], found.columns[index].changed[j]
                inside[vertical.start : vertical.stop, horizontal.start : horizontal.stop] = True
            inside |= ~within(needed[index], inside)
            # Elsewhere a convolution may be summed in another order.
            unchanged = torch.isclose(before[index], after[index], rtol=1e-9, atol=1e-9, equal_nan=True)
            assert bool(unchanged.all(dim=1)[0][~inside].all()), net.graph[index].operator


def within(box: Box, like: Tensor) -> Tensor:
    mask = torch.zeros_like(like)
    mask[box.top : box.bottom, box.left : box.right] = True
    return mask


@EXAMPLES
@given(networks(), st.data(), st.integers(0, 999))
def test_pixels_outside_of_what_a_box_needs_do_not_matter(drawn: RandomNetwork, data: st.DataObject, seed: int) -> None:
    net, image = traced(drawn, seed)
    target = output_of(net)
    box = drawn_box(data, *net.sized.size(target))
    seen = needed_boxes(net.sized, target, box).get(net.graph.image_input, Box(0, 0, 0, 0))
    noise = torch.randn_like(image) * 100
    part(noise, seen).copy_(part(image, seen))
    with torch.no_grad():
        found, expected = (Program(net.captured, net.tensors, [target]).run(each)[target] for each in (noise, image))
    assert torch.allclose(part(found, box), part(expected, box), rtol=1e-9, atol=1e-9, equal_nan=True)


@EXAMPLES
@given(networks(), st.data(), st.integers(0, 999))
def test_values_on_boxes_are_those_of_a_whole_run(drawn: RandomNetwork, data: st.DataObject, seed: int) -> None:
    net, image = traced(drawn, seed)
    target = output_of(net)
    needed = needed_boxes(net.sized, target, drawn_box(data, *net.sized.size(target)))
    wanted = {index for index in needed if not net.graph[index].is_input}
    program = Program(net.captured, net.tensors, wanted)
    whole = program.run(image)
    values, boxes = values_on_boxes(program, net.sized, image, needed, wanted)
    assert set(values) == wanted
    assert boxes.keys() <= wanted
    assert bool(boxes) <= pays(net.sized, needed)
    for index in wanted:
        known = boxes.get(index, full_box(net.sized, index))
        assert known.contains(needed[index])
        assert torch.allclose(values[index], part(whole[index], known), rtol=1e-9, atol=1e-9, equal_nan=True)


@EXAMPLES
@given(networks(), st.data())
def test_what_a_larger_box_needs_holds_what_a_smaller_one_needs(drawn: RandomNetwork, data: st.DataObject) -> None:
    net, _ = traced(drawn, 0)
    target = output_of(net)
    outer = drawn_box(data, *net.sized.size(target))
    inner = drawn_box(data, outer.height, outer.width).shift(outer.top, outer.left)
    less, more = (needed_boxes(net.sized, target, box) for box in (inner, outer))
    assert less.keys() <= more.keys()
    for index, box in less.items():
        assert more[index].contains(box)
        assert full_box(net.sized, index).contains(more[index])
    assert needed_boxes(net.sized, target) == needed_boxes(net.sized, target, full_box(net.sized, target))


@EXAMPLES
@given(networks(), st.data())
def test_costs_are_counted_places_and_never_more_than_full_runs(drawn: RandomNetwork, data: st.DataObject) -> None:
    net, _ = traced(drawn, 0)
    target = output_of(net)
    # More windows than there are widths, so that some places are recomputed without need.
    rows, columns = (drawn_windows(data, size, 6, 9) for size in drawn.input_shape[1:])
    found = reach(net.sized, rows, columns, needed_boxes(net.sized, target))
    for cost in node_costs(net.sized, found, target):
        assert 0 <= cost.exact <= cost.widened <= 1
        assert cost.macs == (net.sized.macs(cost.index) or 0)
        if cost.is_regional and cost.index in found.rows:
            height, width = net.sized.size(cost.index)
            changed = sum(
                down.size * across.size
                for down, across in product(found.rows[cost.index].changed, found.columns[cost.index].changed)
            )
            assert cost.exact == pytest.approx(changed / (height * width * len(rows) * len(columns)))
    assert 0 <= recomputed_share(net.sized, found, target) <= 1
    program = Program(net.captured, net.tensors, [target])
    largest = max(spec.size_bytes for spec in net.sized.specs if isinstance(spec, TensorSpec))
    per_position = bytes_per_position(net.sized, found, program)
    assert per_position <= 1.5 * (1 + 2 * 4) * max(1, largest)
    # Windows may lie between the places that a stride reads: then nothing is computed, and nothing is held.
    assert (per_position > 0) == any(cost.widened > 0 for cost in node_costs(net.sized, found, target))


@settings(max_examples=40)
@given(st.integers(0, 9), st.integers(1, 9), st.integers(0, 9), st.integers(1, 9))
def test_a_single_position_is_computed_on_its_own_box(top: int, height: int, left: int, width: int) -> None:
    rows, columns = one_span(Interval(top, top + height)), one_span(Interval(left, left + width))
    made = Patches(rows, columns, {(0, 0): torch.zeros(1, 1, height, width)})
    assert computed_box(made) == Box(top, left, top + height, left + width)
    assert rows.members[0].tolist() == [0]


def test_what_no_change_reaches_is_not_among_the_reached() -> None:
    """The second of two inputs' own branch: a change of the image never gets there."""
    net = fm.trace(torch.nn.Sequential(torch.nn.Conv2d(1, 1, 3)), (1, 8, 8))._captured
    needed = needed_boxes(net.sized, output_of(net), Box(0, 0, 1, 1))
    found: Reach = reach(net.sized, [Interval(5, 8)], [Interval(0, 2)], needed)
    assert found.rows[output_of(net)].changed == (Interval(0, 0),)
    assert found.columns[output_of(net)].changed == (Interval(0, 1),)
    assert recomputed_share(net.sized, found, output_of(net)) == 0
