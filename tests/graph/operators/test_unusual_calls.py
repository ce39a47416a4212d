"""Calls that torch takes and few models make: channels last before a batch norm, weights for one image, views of bits.

Each was wrong once, or stopped with an error of torch's.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional

import featmap as fm
from featmap.errors import ModelError
from featmap.graph.operators.base.call import Axes
from featmap.graph.operators.table import TABLE
from featmap.methods.maps import as_maps
from support.closeness import assert_close
from support.occlusion_cases import Applied, assert_equals, full_runs

SHAPE = (4, 6, 5)
aten = torch.ops.aten


def numbers(*shape: int) -> Tensor:
    """Positive numbers, the same every time."""
    return (torch.arange(torch.Size(shape).numel(), dtype=torch.float64).reshape(shape) % 7 + 1) / 4


def image(seed: int = 0) -> Tensor:
    return torch.randn((1, *SHAPE), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def traced(function: Callable[[Tensor], Tensor]) -> tuple[Applied, fm.Network]:
    module = Applied(function).eval()
    return module, fm.trace(module, inputs=image())


def written(x: Tensor, place: slice, value: Tensor) -> Tensor:
    """The tensor with a value written over some of its images."""
    x[place] = value
    return x


def indices(*shape: int) -> Tensor:
    return torch.arange(torch.Size(shape).numel()).reshape(shape) % 3


CASES: dict[str, Callable[[Tensor], Tensor]] = {
    "batch norm of rows": lambda x: functional.batch_norm(
        x.permute(0, 2, 3, 1), numbers(6), numbers(6), numbers(6), numbers(6)
    ),
    "instance norm of rows by statistics": lambda x: functional.instance_norm(
        x.permute(0, 2, 3, 1), numbers(6), numbers(6), use_input_stats=False
    ),
    "slopes of rows": lambda x: functional.prelu(x.permute(0, 2, 3, 1), numbers(6)),
    "a linear layer of one output": lambda x: functional.linear(x.mean((2, 3)), numbers(4)),
    "images repeated by a constant": lambda x: x[:, 1] * numbers(7, 1, 1),
    "images repeated by a sum": lambda x: x[:, 1] + numbers(7, 1, 1),
    "windows of one image": lambda x: aten.im2col(x[:, 1], [2, 2], [1, 1], [0, 0], [1, 1]),
    "a product of turned images": lambda x: torch.addmm(x.mean((2, 3)), x.mean((2, 3)).T, x.mean((2, 3)) * 0.7),
    "numbers put down by constants": lambda x: x.scatter_reduce(3, indices(1, *SHAPE), x * 2, "amin"),
    "numbers looked up by constants": lambda x: x.gather(2, indices(1, *SHAPE)),
    "a constant laid under": lambda x: aten.slice_scatter(numbers(1, *SHAPE), x[:, :2], 1, 1, 3),
    "another image laid over": lambda x: aten.slice_scatter(x, x * 0.7, 0, 0, 1),
    "the last two images laid over": lambda x: aten.slice_scatter(x, x * 0.7, 0, -2, None, 1),
    "a filter that is its image": lambda x: functional.conv2d(x[:, :1], x[:, :1], None, 1, (1, 2)),
    "volumes without images": lambda x: functional.max_pool3d(x, (1, 3, 1)),
    "volumes without images that become one map": lambda x: functional.max_pool3d(x, (3, 1, 2), (3, 2, 2)),
    "everything in the order of memory": lambda x: x.flatten(2).take_along_dim(torch.tensor([1, 7])),
    "the same bits": lambda x: x.permute(0, 2, 3, 1).view(torch.float64),
    "bits of complex numbers": lambda x: torch.complex(x, x * 2).flatten(2).view(torch.float64),
    "a negative view, as of an imaginary part": lambda x: functional.max_pool2d(aten._neg_view(x * 2), 2),
}


@pytest.mark.parametrize("name", CASES)
def test_two_images_are_computed_as_each_alone(name: str) -> None:
    module, net = traced(CASES[name])
    (output,) = net._captured.graph.outputs
    address = net._captured.resolver.describe(output)
    both = torch.cat([image(1), image(2)])
    found = net.maps(both, address, progress=False)[address].values
    sized = net._captured.sized
    assert_close(found, torch.cat([as_maps(sized, output, module(one)) for one in (image(1), image(2))]))


@pytest.mark.parametrize("name", CASES)
def test_occlusions_are_those_of_full_runs(name: str) -> None:
    module, net = traced(CASES[name])
    (output,) = net._captured.graph.outputs
    sized, address = net._captured.sized, net._captured.resolver.describe(output)
    last = net._captured.resolver.channels(output) - 1
    found = net.occlude(image(1), f"{address}/{last}", (2, 3), 2, activity="sum", progress=False)
    assert_equals(found, full_runs(module, image(1), found, lambda y: as_maps(sized, output, y)[0, last].sum()), name)


@pytest.mark.parametrize("name", CASES)
def test_boxes_and_gradients_are_those_of_autograd(name: str) -> None:
    module, net = traced(CASES[name])
    (output,) = net._captured.graph.outputs
    sized, address = net._captured.sized, net._captured.resolver.describe(output)
    rows, columns = sized.size(output)
    channel, row, column = net._captured.resolver.channels(output) - 1, rows // 2, columns - 1
    given = image(1).requires_grad_()
    value = as_maps(sized, output, module(given))[0, channel, row, column]
    if not value.requires_grad:
        # torch has no derivative of bits.
        assert name in ("the same bits", "bits of complex numbers")
        return
    (expected,) = torch.autograd.grad(value, given)
    target = f"{address}/{channel}@{row},{column}"
    found = net.project(image(1), target, "gradient", start="one", progress=False)
    assert_close(found.on_image(), expected[0])
    support = (expected[0] != 0).any(0)
    box = net.receptive_field(target).box
    assert box is not None
    support[box.top : box.bottom, box.left : box.right] = False
    assert not support.any()


def test_boundaries_are_read_whole() -> None:
    _, net = traced(lambda x: torch.bucketize(numbers(3), x.mean((0, 1, 2)).sort().values) * x[0, 0, 0, 0])
    assert net.plan().unknown_operators == ()
    assert TABLE["bucketize"].kind == "pointwise"


def test_a_vector_of_weights_costs_one_product_per_number() -> None:
    _, net = traced(lambda x: functional.linear(x.mean((2, 3)), numbers(4)))
    assert net.plan().totals.macs == 4


def test_what_a_threshold_puts_in_place_saturates() -> None:
    _, net = traced(lambda x: functional.threshold(x, 0.1, -1.0))
    (node,) = (node for node in net._captured.graph if node.base_name == "threshold")
    assert TABLE["threshold"].saturation(node) == (-1.0, None)


def test_windows_of_one_image_are_no_images() -> None:
    _, net = traced(lambda x: aten.im2col(x[:, 1], [2, 2], [1, 1], [0, 0], [1, 1]))
    (output,) = net._captured.graph.outputs
    assert net._captured.sized.axes[output] == Axes(None, (None, None))


def test_a_cast_may_give_the_same_memory() -> None:
    """type_as returns what it is given where the type is there already, and torch's schema does not say so."""
    assert aten.type_as(x := image(), x).data_ptr() == x.data_ptr()
    assert TABLE["type_as"].may_be_view


def test_complex_numbers_without_a_derivative_say_so() -> None:
    _, net = traced(lambda x: torch.nan_to_num(torch.complex(x, x)).real)
    with pytest.raises(ModelError) as refusal:
        net.project(image(), "nan_to_num/0@1,1", "gradient", progress=False)
    assert str(refusal.value) == (
        "torch has no derivative of nan_to_num, through which signals have to flow back.\n\n"
        "Ask for a place before it, or for an occlusion, which needs no derivatives."
    )
