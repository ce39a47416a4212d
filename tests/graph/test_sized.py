"""Graphs at another size or number of images: the same as a capture at that size, or an error that says why not."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import featmap as fm
from featmap.errors import InputError
from featmap.graph.operators.base.operator import NotResizable
from featmap.graph.sized_graph import DoesNotFit
from featmap.methods.plan import PartialPlan
from featmap.sources.zoo import import_torchvision
from support.closeness import assert_close
from support.tiny_modules import conv, written
from support.zoo_networks import zoo_network

SHAPE = (3, 12, 10)
CAPTURED_AGAIN = ("inception_v3",)
"""Its last maps are 1 x 1 here, and an adaptive pool that then gives 1 x 1 may mean that size or "as it is"."""


def output_of(net: fm.Network, images: Tensor) -> Tensor:
    """The last value of the network, through the same door as every method."""
    (index,) = net._captured.graph.outputs
    captured = net._captured.at(tuple(images.shape[1:]))
    (index,) = captured.graph.outputs
    name = captured.resolver.describe(index)
    return net.maps(images, name, progress=False)[name].values


def assert_runs_at(module: nn.Module, shape: tuple[int, int, int], images: int = 3) -> None:
    """Captured at SHAPE and asked for images of another shape, it gives what the module gives image by image."""
    net = fm.trace(module, SHAPE)
    batch = torch.rand((images, *shape), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = torch.cat([module(batch[n : n + 1].clone()) for n in range(images)])
    assert_close(output_of(net, batch).reshape(expected.shape), expected)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("alexnet", (3, 96, 112)),
        ("vgg16", (3, 64, 33)),
        ("resnet18", (3, 97, 65)),
        ("squeezenet1_1", (3, 81, 64)),
        ("mobilenet_v2", (3, 45, 70)),
        ("densenet121", (3, 70, 33)),
        ("inception_v3", (3, 120, 80)),
        ("googlenet", (3, 65, 40)),
    ],
)
def test_shapes_at_another_size_are_those_of_a_capture_at_that_size(name: str, shape: tuple[int, int, int]) -> None:
    zoo = zoo_network(name)
    with torch.no_grad():
        output = zoo.module(torch.zeros(1, *shape))
    there = zoo.net._captured.at(shape)
    assert there.input_shape == shape
    (index,) = there.graph.outputs
    assert there.sized.shape(index) == tuple(output.shape)
    assert (there.graph is zoo.net._captured.graph) == (name not in CAPTURED_AGAIN)
    if name not in CAPTURED_AGAIN:
        again = fm.trace(zoo.module, shape)._captured
        assert there.sized.specs == again.captured.specs
        assert there.sized.axes == again.captured.axes


@pytest.mark.parametrize("images", [1, 2, 5])
def test_shapes_for_several_images_are_those_of_a_run(images: int) -> None:
    zoo = zoo_network("resnet18")
    captured = zoo.net._captured
    sized = captured.captured.resized((images, *zoo.shape))
    for node, before in zip(captured.graph, captured.captured.specs, strict=True):
        assert sized.specs[node.index].shape == (images, *before.shape[1:])


def test_the_last_eight_sizes_are_computed_once() -> None:
    """A run on few images takes less time than torch takes to compute the shapes of its values."""
    graph = fm.trace(nn.Sequential(conv(), nn.ReLU()), SHAPE)._captured.captured
    sizes = [(images, *SHAPE) for images in range(2, 10)]
    first = [graph.resized(size) for size in sizes]
    assert [sized.specs[0].shape for sized in first] == sizes
    assert [graph.resized(size) for size in sizes] == first
    graph.resized((10, *SHAPE))
    assert graph.resized(sizes[-1]) is first[-1]
    assert graph.resized(sizes[0]) is not first[0]


def test_a_graph_without_read_sizes_is_not_captured_again(monkeypatch: pytest.MonkeyPatch) -> None:
    net = fm.trace(nn.Sequential(conv(), nn.ReLU(), nn.AdaptiveAvgPool2d(2)), SHAPE)
    monkeypatch.setattr(torch.export, "export", lambda *_, **__: pytest.fail("captured again"))
    assert net.plan((3, 33, 47))["0"].output_shape == (4, 33, 47)


def padded_to_four(self: nn.Module, x: Tensor) -> Tensor:
    height, width = x.shape[2:]
    return self.c(functional.pad(x, (0, -width % 4, 0, -height % 4)))


def divided_by_the_size(self: nn.Module, x: Tensor) -> Tensor:
    return x.sum((2, 3)) / (x.shape[2] * x.shape[3])


def with_coordinates(self: nn.Module, x: Tensor) -> Tensor:
    images, _, height, width = x.shape
    ramp = torch.linspace(-1, 1, width).expand(images, 1, height, width)
    return self.c(torch.cat([x[:, :2], ramp], 1))


def with_zeros(self: nn.Module, x: Tensor) -> Tensor:
    return self.c(torch.cat([x[:, :2], torch.zeros(len(x), 1, *x.shape[2:])], 1))


def in_windows(self: nn.Module, x: Tensor) -> Tensor:
    images, channels, height, width = x.shape
    windows = x.view(images, channels, 2, height // 2, 2, width // 2).permute(0, 2, 4, 1, 3, 5)
    return self.c(windows.reshape(-1, channels, height // 2, width // 2)).reshape(images, -1)


def shuffled(self: nn.Module, x: Tensor) -> Tensor:
    images, channels, height, width = x.shape
    return self.c(x.view(images, channels, 1, height, width).transpose(1, 2).reshape(images, channels, height, width))


def to_the_size_of_the_input(self: nn.Module, x: Tensor) -> Tensor:
    return functional.interpolate(self.pool(self.c(x)), size=x.shape[2:], mode="bilinear") + self.c(x)


def middle_row(self: nn.Module, x: Tensor) -> Tensor:
    return self.c(x)[:, :, x.shape[2] // 2]


def half_the_size(self: nn.Module, x: Tensor) -> Tensor:
    return functional.adaptive_avg_pool2d(self.c(x), (x.shape[2] // 2, None))


def row_after_row(self: nn.Module, x: Tensor) -> Tensor:
    return sum(self.c(x).unbind(2))


def image_after_image(self: nn.Module, x: Tensor) -> Tensor:
    return torch.stack([self.c(image[None])[0] for image in x])


def as_long_as_high(self: nn.Module, x: Tensor) -> Tensor:
    return self.c(x) + torch.arange(len(x[0, 0]))[:, None]


READERS = [
    row_after_row,
    image_after_image,
    as_long_as_high,
    padded_to_four,
    divided_by_the_size,
    with_coordinates,
    with_zeros,
    in_windows,
    shuffled,
    to_the_size_of_the_input,
    middle_row,
    half_the_size,
]


@pytest.mark.parametrize("shape", [SHAPE, (3, 14, 18)], ids=["same size", "another size"])
@pytest.mark.parametrize("forward", READERS, ids=lambda forward: forward.__name__)
def test_a_model_that_computes_with_sizes_stays_right(
    forward: Callable[..., Tensor], shape: tuple[int, int, int]
) -> None:
    torch.manual_seed(0)
    assert_runs_at(written(forward, c=conv(), pool=nn.MaxPool2d(2)), shape)


@pytest.mark.filterwarnings("ignore::featmap.network.differing.BatchStatistics")
def test_what_mixes_images_is_run_one_image_at_a_time() -> None:
    torch.manual_seed(0)
    for forward in (
        lambda self, x: torch.cat([self.c(x), self.c(x).flip(3)], 0),
        lambda self, x: self.c(x) / self.c(x).std(),
        lambda self, x: torch.softmax(self.c(x), 0),
        lambda self, x: self.c(x).permute(1, 0, 2, 3).contiguous(),
        lambda self, x: self.c(x).roll(1, 0),
        lambda self, x: self.bn(self.c(x)),
    ):
        norm = nn.BatchNorm2d(4, track_running_stats=False)
        assert_runs_at(written(forward, c=conv(), bn=norm), SHAPE)


@pytest.mark.parametrize("size", [(64, 64), (65, 47)])
def test_timms_padding_by_the_input_size_is_captured_again(size: tuple[int, int]) -> None:
    import_torchvision()
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    module = timm.create_model("tf_mobilenetv3_small_minimal_100").eval()
    net = fm.trace(module, (3, 48, 48))
    images = torch.rand(2, 3, *size)
    with torch.no_grad():
        expected = module(images)
    assert_close(output_of(net, images).flatten(1), expected)
    captured = net._captured
    with pytest.raises(NotResizable, match=r"a size may have been read at \w+\.py:\d+"):
        captured.captured.resized((1, 3, *size))


def test_the_line_that_reads_a_size_is_known() -> None:
    graph = fm.trace(written(padded_to_four, c=conv()), SHAPE)._captured.graph
    line = padded_to_four.__code__.co_firstlineno + 1
    assert [str(read) for read in graph.size_reads] == [f"test_sized.py:{line}"]


def test_a_flattened_head_refuses_another_size_with_the_table_up_to_there() -> None:
    module = nn.Sequential(conv(), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(4 * 6 * 5, 7))
    net = fm.trace(module, SHAPE)
    with pytest.raises(PartialPlan) as caught:
        net.plan((3, 20, 20))
    error = caught.value
    assert isinstance(error, DoesNotFit)
    assert isinstance(error, InputError)
    assert str(error) == (
        "'4' cannot take what an input of 3 x 20 x 20 gives: 400 values arrive where its weights are made for 120.\n\n"
        "Plan an input size that fits this layer."
    )
    assert [(row.address, row.output_shape) for row in error.plan] == [("0", (4, 20, 20)), ("2", (4, 10, 10))]
    assert error.plan.input_shape == (3, 20, 20)
    assert error.plan.totals.macs == 20 * 20 * 4 * 27
    with pytest.raises(DoesNotFit):
        net.maps(torch.zeros(1, 3, 20, 20))


def test_an_input_smaller_than_a_kernel_is_refused_with_the_arithmetic() -> None:
    net = fm.trace(nn.Sequential(conv(), nn.ReLU(), nn.Conv2d(4, 4, (7, 1), dilation=2)), (3, 20, 20))
    with pytest.raises(PartialPlan) as caught:
        net.plan((3, 9, 20))
    assert str(caught.value) == (
        "'2' cannot take what an input of 3 x 9 x 20 gives: kernel 7 with dilation 2 spans 13 rows, the padded input "
        "has 9 (9 rows + 0 above + 0 below).\n\nPlan an input size that fits this layer."
    )


@pytest.mark.parametrize("shape", [(4, 12, 10), (12, 10), (3, 12), (3, 0, 10), (1, 3, 12, 10)])
def test_a_shape_that_is_none_of_an_image_is_refused(shape: tuple[int, ...]) -> None:
    net = fm.trace(nn.Sequential(conv()), SHAPE)
    with pytest.raises(InputError) as caught:
        net._captured.at(shape)
    assert str(caught.value) == (
        f"Sequential takes images of 3 channels, shape 3x12x10; got {'x'.join(map(str, shape))}.\n\n"
        "Give the shape as channels x rows x columns, with 3 channels."
    )


def test_a_network_captured_on_several_images_is_told_for_one() -> None:
    module = nn.Sequential(conv(), nn.ReLU())
    one, four = (fm.trace(module, inputs=torch.zeros(images, *SHAPE)) for images in (1, 4))
    assert four.plan().to_dict() == one.plan().to_dict()
    images = torch.rand(3, *SHAPE)
    assert_close(four.maps(images)["0"].values, one.maps(images)["0"].values)


def test_a_network_that_holds_for_the_captured_number_of_images_alone_is_refused() -> None:
    module = written(lambda self, x: self.c(x).view(2, 2, 4, 12, 10), c=conv())
    with pytest.raises(InputError) as caught:
        fm.trace(module, inputs=torch.zeros(4, *SHAPE))
    assert str(caught.value) == (
        "Written was captured on 4 images at once, and its shapes are valid for that number only.\n\n"
        "Give an example input of one image, shape (1, 3, 12, 10)."
    )


def test_no_warning_leaks_from_sizing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_runs_at(nn.Sequential(conv(), nn.Upsample(scale_factor=1.5, mode="bilinear")), (3, 9, 17))
