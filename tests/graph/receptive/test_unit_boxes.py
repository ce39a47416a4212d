"""The boxes of all units of a map at once, compared with the backward pass from each unit."""

from __future__ import annotations

import random
import time

import pytest
import torch
from hypothesis import assume, given, settings
from torch import nn

import featmap as fm
from featmap.geometry import Box
from featmap.graph.receptive.unit_box import unit_box
from featmap.graph.receptive.unit_boxes import UnitBoxes
from featmap.graph.sized_graph import SizedGraph
from featmap.testing.modules import Branches, PadLayer
from featmap.testing.strategies import RandomNetwork, networks
from support.tiny_modules import conv, written


def box(boxes: UnitBoxes, node: int, channel: int, row: int, column: int) -> Box:
    rows, columns = boxes.of(node, channel)
    (top, bottom), (left, right) = rows[row].tolist(), columns[column].tolist()
    return Box(0, 0, 0, 0) if top == bottom or left == right else Box(top, left, bottom, right)


def assert_same(sized: SizedGraph, node: int, channels: int, units: list[tuple[int, int, int]]) -> None:
    """The boxes of units (channel, row, column), and those of every channel that is said to see alike."""
    boxes = UnitBoxes(sized)
    group, examples = boxes.alike(node, channels)
    assert len(group) == channels
    assert [group[example] for example in examples] == list(range(len(examples)))
    for channel, row, column in units:
        expected = unit_box(sized, node, (row, column), channel).box
        assert box(boxes, node, channel, row, column) == expected, (channel, row, column)
        assert box(boxes, node, examples[group[channel]], row, column) == expected, (channel, row, column)


@settings(max_examples=200)
@given(networks())
def test_every_unit_of_random_networks(drawn: RandomNetwork) -> None:
    captured = fm.trace(drawn.module, drawn.input_shape)._captured
    sized, (node,) = captured.sized, captured.graph.outputs
    assert node is not None
    channels, (rows, columns) = captured.resolver.channels(node), sized.size(node)
    assume(channels * rows * columns <= 4000)
    # Rows and columns are told apart: all units of a row and of a column, for every channel.
    middle = rows // 2, columns // 2
    units = [(c, r, middle[1]) for c in range(channels) for r in range(rows)]
    units += [(c, middle[0], w) for c in range(channels) for w in range(columns)]
    units += [(c, r, w) for c in {0, channels - 1} for r in range(0, rows, 3) for w in range(0, columns, 2)]
    assert_same(sized, node, channels, units)


@pytest.mark.parametrize("name", ["squeezenet1_1", "googlenet", "shufflenet_v2_x0_5", "densenet121", "resnet18"])
def test_sampled_units_of_real_networks(name: str) -> None:
    captured = fm.load(f"torchvision:{name}", input_shape=(3, 96, 80))._captured
    drawn = random.Random(0)
    places = captured.layer_places()
    for place in drawn.sample(places, 12):
        channels, (rows, columns) = captured.resolver.channels(place.node), captured.sized.size(place.node)
        units = [(drawn.randrange(channels), drawn.randrange(rows), drawn.randrange(columns)) for _ in range(6)]
        assert_same(captured.sized, place.node, channels, units)


def test_branches_are_told_apart_by_channel() -> None:
    branches = Branches([nn.Conv2d(4, 2, 1), nn.Conv2d(4, 2, 3, padding=1), nn.Conv2d(4, 2, 5, padding=2)])
    sized = fm.trace(nn.Sequential(nn.Conv2d(3, 4, 1), branches), (3, 9, 8))._captured.sized
    node = sized.graph.outputs[0]
    assert node is not None
    boxes = UnitBoxes(sized)
    assert boxes.alike(node, 6) == ((0, 0, 1, 1, 2, 2), [0, 2, 4])
    assert [box(boxes, node, channel, 4, 4).height for channel in range(6)] == [1, 1, 3, 3, 5, 5]


def test_what_no_pixel_influences_has_no_span() -> None:
    sized = fm.trace(nn.ConvTranspose2d(3, 2, 1, stride=3), (3, 4, 4))._captured.sized
    node = sized.graph.outputs[0]
    assert node is not None
    rows, _ = UnitBoxes(sized).of(node, 0)
    assert rows.tolist() == [[n // 3, n // 3 + 1] if n % 3 == 0 else [0, 0] for n in range(10)]


def test_where_rows_and_columns_belong_together_the_box_holds_the_true_one() -> None:
    """A sum whose parts see other columns: the place between two rows of the first part reads the second part alone."""
    up = nn.ConvTranspose2d(3, 4, 1, stride=2)
    other = nn.Sequential(nn.Upsample(size=(7, 7)), conv(3, 4, 1), PadLayer((4, -4, 0, 0)))
    module = written(lambda self, x: self.up(x) + self.other(x), up=up, other=other)
    sized = fm.trace(module, (3, 4, 4))._captured.sized
    node = sized.graph.outputs[0]
    assert node is not None
    boxes = UnitBoxes(sized)
    wider = 0
    for row in range(7):
        for column in range(7):
            exact = unit_box(sized, node, (row, column), 0).box
            assert box(boxes, node, 0, row, column).contains(exact)
            wider += box(boxes, node, 0, row, column) != exact
    assert wider == 12


def test_another_input_adds_nothing() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.c, self.d = conv(), nn.Linear(5, 4)

        def forward(self, vector: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
            return torch.relu(self.c(image) + self.d(vector)[..., None, None])

    captured = fm.trace(Two(), inputs=(torch.rand(1, 5), torch.rand(1, 3, 9, 8)))._captured
    node = captured.graph.outputs[0]
    assert node is not None
    assert_same(captured.sized, node, 4, [(0, row, column) for row in range(9) for column in range(8)])


def test_a_whole_network_takes_seconds() -> None:
    captured = fm.load("torchvision:resnet50")._captured
    began = time.perf_counter()
    boxes = UnitBoxes(captured.sized)
    for place in captured.layer_places():
        _, examples = boxes.alike(place.node, captured.resolver.channels(place.node))
        for channel in examples:
            boxes.of(place.node, channel)
    assert time.perf_counter() - began < 20
