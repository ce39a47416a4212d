"""Numbers' types, values made of weights alone, magnitudes, and the order of axes, against torch itself."""

from __future__ import annotations

import threading
from math import prod

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import featmap as fm
from featmap.run.as_maps import as_maps
from featmap.run.magnitudes import directions, measured
from featmap.run.program.constants import Constants, exact_constants
from featmap.run.program.dtypes import in_dtype, tensor_in_dtype
from support.tiny_modules import conv, written

FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
OTHERS = (torch.uint8, torch.int32, torch.int64, torch.bool)
COMPLEX = {torch.float16: torch.complex32, torch.float32: torch.complex64, torch.float64: torch.complex128}


@pytest.mark.filterwarnings("ignore:ComplexHalf support is experimental")
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("own", [*FLOATS, *OTHERS, torch.complex64, torch.complex128])
def test_only_floating_and_complex_numbers_take_another_type(own: torch.dtype, dtype: torch.dtype) -> None:
    expected = dtype if own.is_floating_point else COMPLEX.get(dtype, own) if own.is_complex else own
    assert tensor_in_dtype(torch.ones(2).to(own), dtype).dtype == expected
    assert tensor_in_dtype(torch.ones(2).to(own), None).dtype == own
    assert in_dtype(own, dtype) == expected


LEAVES = st.one_of(st.integers(), st.text(max_size=2), st.none(), st.sampled_from([*FLOATS, *OTHERS]))
NESTED = st.recursive(
    LEAVES,
    lambda part: st.lists(part, max_size=3) | st.dictionaries(st.text(max_size=1), part, max_size=2),
    max_leaves=8,
)


def leaves(argument: object) -> list[object]:
    if isinstance(argument, list):
        return [leaf for part in argument for leaf in leaves(part)]
    if isinstance(argument, dict):
        return [leaf for part in argument.values() for leaf in leaves(part)]
    return [argument]


@given(NESTED)
def test_types_are_replaced_wherever_they_stand_in_an_argument(argument: object) -> None:
    found, before = leaves(in_dtype(argument, torch.float64)), leaves(argument)
    assert found == [torch.float64 if leaf in FLOATS else leaf for leaf in before]
    assert in_dtype(argument, None) is argument


@settings(max_examples=60)
@given(st.lists(st.tuples(st.floats(-9, 9), st.floats(-9, 9)), min_size=1, max_size=5))
def test_a_magnitudes_signal_is_torchs_gradient_of_the_magnitude(pairs: list[tuple[float, float]]) -> None:
    values = torch.tensor([complex(*pair) for pair in pairs], dtype=torch.complex128, requires_grad=True)
    magnitudes = measured(values)
    assert torch.allclose(magnitudes, torch.tensor([abs(complex(*pair)) for pair in pairs], dtype=torch.float64))
    (gradient,) = torch.autograd.grad(magnitudes.sum(), values)
    assert torch.allclose(directions(values.detach()), gradient)
    real = values.detach().real
    assert bool((directions(real) == 1).all())
    assert measured(real) is real


@pytest.mark.parametrize(
    ("dtype", "becomes"),
    [
        (torch.float16, torch.float32),
        (torch.bfloat16, torch.float32),
        (torch.float32, torch.float32),
        (torch.float64, torch.float64),
        (torch.int8, torch.float64),
        (torch.int64, torch.float64),
        (torch.bool, torch.float64),
        (torch.complex64, torch.float32),
    ],
)
def test_what_is_measured_is_real_and_wide_enough(dtype: torch.dtype, becomes: torch.dtype) -> None:
    values = torch.tensor([0, 1, 100]).to(dtype)
    assert measured(values).dtype == becomes
    assert measured(values).tolist() == [0, 1, 1 if dtype == torch.bool else 100]


class Scaled(nn.Module):
    """A weight that is computed from two parameters before it is used."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.scale = nn.Parameter(torch.randn(4, 3, 3, 3)), nn.Parameter(torch.rand(4, 1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.conv2d(x, self.weight * self.scale.exp(), padding=1)


def made_of_weights(net: fm.Network) -> list[int]:
    return [node.index for node in net._captured.graph if not node.depends_on_input]


def test_values_made_of_weights_alone_are_computed_once_whoever_asks_first() -> None:
    torch.manual_seed(0)
    module = Scaled().eval()
    net = fm.trace(module, (3, 5, 5))
    captured = net._captured
    placed: list[str] = []

    def place(tensor: Tensor) -> Tensor:
        placed.append(threading.current_thread().name)
        return tensor.detach()

    constants = Constants(captured.graph, captured.tensors, place)
    last = made_of_weights(net)[-1]
    found: list[Tensor] = []
    threads = [threading.Thread(target=lambda: found.append(constants.value(last))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({value.data_ptr() for value in found}) == 1
    assert len(placed) == 2 + len(made_of_weights(net)), "two weights, and every value once"
    assert torch.equal(found[0], (module.weight * module.scale.exp()).detach())


def test_exact_constants_are_computed_in_float64_from_the_models_own_numbers() -> None:
    module = Scaled().eval()
    net = fm.trace(module, (3, 5, 5))
    constants = exact_constants(net._captured.graph, net._captured.tensors)
    value = constants.value(made_of_weights(net)[-1])
    assert value.dtype == torch.float64
    assert torch.equal(value, (module.weight.double() * module.scale.double().exp()).detach())
    assert module.weight.dtype == torch.float32


@settings(max_examples=30)
@given(st.integers(0, 99), st.booleans())
def test_a_batch_norm_is_its_scale_and_shift(seed: int, affine: bool) -> None:
    generator = torch.Generator().manual_seed(seed)
    norm = nn.BatchNorm2d(3, affine=affine, eps=1e-3).double().eval()
    with torch.no_grad():
        for name, tensor in [*norm.named_parameters(), *norm.named_buffers()]:
            if tensor.is_floating_point():
                values = torch.randn(tensor.shape, generator=generator, dtype=torch.float64)
                tensor.copy_(values.abs() + 0.1 if name == "running_var" else values)
    net = fm.trace(nn.Sequential(norm), inputs=torch.zeros(1, 3, 4, 4, dtype=torch.float64))._captured
    (output,) = net.graph.outputs
    assert output is not None
    scale, shift = exact_constants(net.graph, net.tensors).scale_and_shift(net.graph[output])
    image = torch.randn(1, 3, 4, 4, generator=generator, dtype=torch.float64)
    assert torch.allclose(image * scale[:, None, None] + shift[:, None, None], norm(image), atol=1e-12)


ORDERS = {
    "channels last": (lambda self, x: self.c(x).permute(0, 2, 3, 1), (2, 0, 1)),
    "columns first": (lambda self, x: self.c(x).transpose(2, 3), (0, 2, 1)),
    "as most are": (lambda self, x: self.c(x), (0, 1, 2)),
}


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("order", ORDERS)
def test_any_order_of_axes_as_maps(order: str, count: int) -> None:
    """The permutation of one image's axes that makes maps of them stands beside each."""
    forward, axes = ORDERS[order]
    module = written(forward, c=conv(3, 4))
    net = fm.trace(module, (3, 5, 6))._captured
    (output,) = net.graph.outputs
    assert output is not None
    images = torch.randn(count, 3, 5, 6)
    with torch.no_grad():
        value, plain = module(images), module.c(images)
    found = as_maps(net.sized, output, value)
    assert found.shape == plain.shape == (count, 4, 5, 6)
    assert torch.equal(found, value.permute(0, *(axis + 1 for axis in axes)))
    assert torch.equal(found, plain)


def test_heads_are_channels_and_a_box_has_its_own_size() -> None:
    module = written(lambda self, x: self.c(x).view(len(x), 2, 2, 5, 6).permute(0, 1, 3, 4, 2), c=conv(3, 4))
    net = fm.trace(module, (3, 5, 6))._captured
    (output,) = net.graph.outputs
    assert output is not None
    images = torch.randn(2, 3, 5, 6)
    with torch.no_grad():
        value, plain = module(images), module.c(images)
    assert torch.equal(as_maps(net.sized, output, value), plain)
    box = value[:, :, 1:3, 2:6]
    assert torch.equal(as_maps(net.sized, output, box, (2, 4)), plain[:, :, 1:3, 2:6])
    assert prod(box.shape) == prod(plain[:, :, 1:3, 2:6].shape)
