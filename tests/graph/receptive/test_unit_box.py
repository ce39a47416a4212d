"""Unit boxes, compared with published numbers and, on small networks, with the pixels that have a gradient."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

import featmap as fm
from featmap.geometry import Box, Status
from featmap.graph.receptive.unit_box import unit_box
from featmap.sources.zoo import import_torchvision
from featmap.testing.modules import Branches, Residual, make_positive, transparent
from featmap.testing.oracles import gradient_support
from support.tiny_modules import conv, written


def unit_answer(net: fm.Network, address: str) -> tuple[Box, Status]:
    answer = net.receptive_field(address)
    assert answer.box is not None
    return answer.box, answer.status


@pytest.mark.parametrize(
    ("name", "layer", "size", "maps"),
    [
        ("vgg16", "features.14", 40, 56),
        ("vgg16", "features.21", 92, 28),
        ("vgg16", "features.28", 196, 14),
        ("resnet18", "layer4", 435, 7),
        ("resnet50", "layer4", 427, 7),
    ],
)
def test_the_published_numbers(name: str, layer: str, size: int, maps: int) -> None:
    net = fm.load(f"torchvision:{name}", input_shape=(3, 2 * 224, 2 * 224))
    box, status = unit_answer(net, f"{layer}:a/0@{maps},{maps}")
    assert net.receptive_field(layer).field.size == (size, size)
    whole = Box(0, 0, 448, 448)
    assert (box.height, box.width) == ((size, size) if size < 448 - 2 * 32 else (box.height, box.width))
    assert whole.contains(box)
    assert status is Status.EXACT


def test_border_units_of_vgg16_see_less_at_the_border() -> None:
    net = fm.load("torchvision:vgg16")
    assert unit_answer(net, "features.14:a/0@0,0") == (Box(0, 0, 22, 22), Status.EXACT)
    assert unit_answer(net, "features.14:a/0@55,28") == (Box(202, 94, 224, 134), Status.EXACT)


def assert_box_is_gradient_support(module: nn.Module, shape: tuple[int, int, int], stage: str = "z") -> list[Status]:
    """For each channel a middle and a corner unit of the output: exact boxes are the support, hulls contain it."""
    module = make_positive(module.double().eval())
    net = fm.trace(module, shape)
    (node,) = net._captured.graph.outputs
    sized = net._captured.sized
    image = torch.rand((1, *shape), dtype=torch.float64) + 0.1
    channels = net._captured.resolver.channels(node)
    (rows, columns) = sized.size(node)
    summed = transparent(copy.deepcopy(module))
    found: list[Status] = []
    for channel in range(channels):
        for row, column in ((rows // 2, columns // 2), (0, columns - 1)):
            box = unit_box(sized, node, (row, column), channel)
            support = gradient_support(summed, image, channel, row, column)
            found.append(box.status)
            if box.status is Status.EXACT:
                assert (box.box, True) == (support.box, support.fills_box), (channel, row, column)
            else:
                assert box.box.contains(support.box), (channel, row, column)
    return found


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(4, 8, 3, groups=2),
        nn.Conv2d(4, 8, (3, 2), groups=4, stride=(2, 1)),
        nn.Conv2d(4, 4, 3, padding="same", dilation=(1, 2)),
        nn.Conv2d(4, 4, (4, 1), padding="same"),
        nn.ConvTranspose2d(4, 4, 3, stride=2, groups=4),
    ],
    ids=lambda layer: f"{type(layer).__name__} groups {layer.groups}",
)
def test_grouped_dilated_and_even_convolutions(layer: nn.Module) -> None:
    assert_box_is_gradient_support(nn.Sequential(nn.Conv2d(3, 4, 1), layer), (3, 9, 8))


def test_branches_of_an_inception_block_are_told_apart_by_channel() -> None:
    branches = Branches([nn.Conv2d(4, 2, 1), nn.Conv2d(4, 2, 3, padding=1), nn.Conv2d(4, 2, 5, padding=2)])
    module = nn.Sequential(nn.Conv2d(3, 4, 1), branches)
    assert set(assert_box_is_gradient_support(module, (3, 9, 8))) == {Status.EXACT}
    net = fm.trace(module, (3, 9, 8))
    boxes = [unit_answer(net, f"1:z/{channel}@4,4")[0] for channel in range(6)]
    assert [box.height for box in boxes] == [1, 1, 3, 3, 5, 5]


def test_a_branch_read_by_later_channels_only() -> None:
    branches = Branches([nn.Conv2d(4, 2, 1), nn.Conv2d(4, 2, 3, padding=1)])
    depthwise = nn.Conv2d(4, 4, (1, 3), padding=(0, 1), groups=4)
    module = nn.Sequential(nn.Conv2d(3, 4, 1), branches, depthwise)
    assert set(assert_box_is_gradient_support(module, (3, 9, 8))) == {Status.EXACT}
    net = fm.trace(module, (3, 9, 8))
    assert [unit_answer(net, f"2:z/{channel}@4,4")[0].as_list() for channel in (0, 3)] == [[4, 3, 5, 6], [3, 2, 6, 7]]


def test_a_residual_block_with_dilation_is_a_hull_or_exact_never_too_small() -> None:
    assert_box_is_gradient_support(nn.Sequential(Residual(nn.Conv2d(3, 3, 3, padding=2, dilation=2))), (3, 9, 8))
    assert_box_is_gradient_support(nn.Sequential(Residual(nn.Conv2d(3, 3, 3, padding=1))), (3, 9, 8))


def test_a_channel_shuffle_is_an_honest_hull() -> None:
    torchvision = import_torchvision()
    unit = torchvision.models.shufflenetv2.InvertedResidual(8, 8, 1)
    module = nn.Sequential(nn.Conv2d(3, 8, 1), unit, nn.Conv2d(8, 8, 3, padding=1, groups=8))
    statuses = assert_box_is_gradient_support(module, (3, 9, 8))
    # Channels that passed the block by see less than those that went through it, and nobody tracks the shuffle.
    assert set(statuses) == {Status.HULL}


def test_a_whole_map_operator_is_said() -> None:
    gate = written(lambda self, x: x * torch.sigmoid(self.fc(x.mean((2, 3), keepdim=True))), fc=nn.Conv2d(4, 4, 1))
    net = fm.trace(nn.Sequential(conv(), gate), (3, 9, 8))
    assert unit_answer(net, "1:a/0@4,4") == (Box(0, 0, 9, 8), Status.WHOLE)


def test_a_unit_that_reads_nothing_of_the_image_has_an_empty_box() -> None:
    net = fm.trace(nn.Sequential(nn.ConvTranspose2d(3, 4, 1, stride=3), nn.ReLU()), (3, 4, 4))
    assert unit_answer(net, "0:a/0@1,1") == (Box(0, 0, 0, 0), Status.EXACT)
    assert unit_answer(net, "0:a/0@3,6") == (Box(1, 2, 2, 3), Status.EXACT)


def test_without_a_channel_the_box_is_that_of_all_channels_together() -> None:
    branches = Branches([nn.Conv2d(3, 2, 1), nn.Conv2d(3, 2, 5, padding=2)])
    sized = fm.trace(branches, (3, 9, 8))._captured.sized
    node = sized.graph.outputs[0]
    boxes = [unit_box(sized, node, (4, 4), channel=channel) for channel in range(4)]
    assert [answer.box.height for answer in boxes] == [1, 1, 5, 5]
    assert unit_box(sized, node, (4, 4)) == boxes[3]


def test_batch_statistics_read_the_whole_map() -> None:
    norm = nn.BatchNorm2d(4, track_running_stats=False)
    net = fm.trace(nn.Sequential(conv(), norm, nn.ReLU()), (3, 9, 8))
    assert unit_answer(net, "0:a/0@4,4") == (Box(0, 0, 9, 8), Status.WHOLE)
    assert unit_answer(net, "0:conv/0@4,4") == (Box(3, 3, 6, 6), Status.EXACT)


def test_what_another_input_adds_does_not_widen_the_box() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.c, self.d = conv(), nn.Linear(5, 4)

        def forward(self, vector: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
            return torch.relu(self.c(image) + self.d(vector)[..., None, None])

    net = fm.trace(Two(), inputs=(torch.rand(1, 5), torch.rand(1, 3, 9, 8)))
    assert unit_answer(net, "relu:a/0@4,4") == (Box(3, 3, 6, 6), Status.EXACT)
    assert net.receptive_field("relu").field.size == (3, 3)
    assert net.receptive_field("relu").status is Status.EXACT


def test_the_walk_ends_at_the_value_asked_about() -> None:
    sized = fm.trace(nn.Sequential(conv(), nn.ReLU(), conv(4), conv(4)), (3, 9, 8))._captured.sized
    node = sized.graph.outputs[0]
    assert unit_box(sized, node, (4, 4), 0, target=2).box == Box(2, 2, 7, 7)
    assert unit_box(sized, node, (4, 4), 0, target=node).box == Box(4, 4, 5, 5)
