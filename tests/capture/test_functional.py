"""In-place operators made functional: readers before a write see the old value, readers after it the new one.

The oracle is the module itself: it returns every tensor that it ever held, in its final state, and copies of some
in earlier states. Random programs write into whole tensors and into views of every kind.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

import featmap as fm
from featmap.graph.schema import is_operator, plain_name
from featmap.network.differing import StateInEvaluation
from featmap.run.program.program import Program
from support.closeness import assert_close
from support.tiny_modules import conv, written

SHAPE = (3, 6, 5)


def assert_runs_as_the_module(module: nn.Module, seed: int = 0) -> fm.Network:
    """Every output of the captured graph, folded and not, is the module's own."""
    generator = torch.Generator().manual_seed(seed)
    image = torch.randn((1, *SHAPE), generator=generator)
    with torch.no_grad():
        expected = copy.deepcopy(module)(image.clone())
    net = fm.trace(module, SHAPE)
    graph = net._captured.graph
    for fold in (True, False):
        before = image.clone()
        values = Program(net._captured.captured, net._captured.tensors, graph.outputs, fold=fold).run(image)
        assert torch.equal(image, before)
        for index, value in zip(graph.outputs, expected, strict=True):
            assert_close(values[index].contiguous(), value, f"{graph[index].operator}")
    return net


def assert_no_writes(net: fm.Network) -> None:
    names = [plain_name(node.target) for node in net._captured.graph if is_operator(node.target)]
    assert [name for name in names if name.endswith("_") and not name.endswith("__")] == []


def early_reader(self: nn.Module, x: Tensor) -> Any:
    z = self.c(x)
    early = z * 2
    a = functional.relu_(z)
    return early, a, z, z + 1


def two_writes(self: nn.Module, x: Tensor) -> Any:
    z = self.c(x)
    early = z + 0
    z.add_(x.mean()).mul_(0.5)
    middle = z * 3
    z += early
    return early, middle, z


def write_into_a_channel(self: nn.Module, x: Tensor) -> Any:
    z = self.c(x)
    early, channel = z * 1, z[:, 1]
    z[:, 1] = 0
    return early, channel, z, z * 2


def write_through_a_flat_view(self: nn.Module, x: Tensor) -> Any:
    z = self.c(x)
    z.view(-1).mul_(2)
    return z, z + 1


def write_through_a_slice(self: nn.Module, x: Tensor) -> Any:
    z = self.c(x)
    rows = z[:, :, 1:3]
    rows.relu_()
    return rows, z, z.transpose(2, 3)


def write_under_a_view(self: nn.Module, x: Tensor) -> Any:
    z = self.c(x)
    first, second = z.chunk(2, dim=1)
    z.relu_()
    return first + 1, second, z


def write_through_dropout(self: nn.Module, x: Tensor) -> Any:
    z = self.c(x)
    functional.dropout(z, 0.5, self.training).relu_()
    return z, z * 2


def write_through_contiguous(self: nn.Module, x: Tensor) -> Any:
    z = self.c(x)
    functional.relu_(z.contiguous())
    return z, z * 2


def write_through_reshape_that_copies(self: nn.Module, x: Tensor) -> Any:
    z = self.c(x)
    flat = z.transpose(2, 3).reshape(-1)
    flat.mul_(7)
    return z, flat


def write_into_the_input(self: nn.Module, x: Tensor) -> Any:
    z = self.c(x)
    x.mul_(2)
    return z, self.c(x), x


def write_of_another_type(self: nn.Module, x: Tensor) -> Any:
    z = self.c(x)
    early = z + 0
    z.add_((x > 0).sum())
    return early, z


def write_with_batch_norm_after(self: nn.Module, x: Tensor) -> Any:
    z = self.c(x)
    z[:, 0] = 1
    return functional.relu(self.bn(self.d(z))), z


WRITERS = [
    early_reader,
    two_writes,
    write_into_a_channel,
    write_through_a_flat_view,
    write_through_a_slice,
    write_under_a_view,
    write_through_dropout,
    write_through_contiguous,
    write_through_reshape_that_copies,
    write_into_the_input,
    write_of_another_type,
    write_with_batch_norm_after,
]


@pytest.mark.parametrize("forward", WRITERS, ids=lambda forward: forward.__name__)
def test_writes_are_seen_by_later_readers_only(forward: Callable[..., Any]) -> None:
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(4)
    norm.running_mean.uniform_(-1, 1)
    norm.running_var.uniform_(0.5, 2)
    net = assert_runs_as_the_module(written(forward, c=conv(), d=conv(4), bn=norm))
    assert_no_writes(net)


def test_the_comparison_can_fail() -> None:
    class Changing(nn.Module):
        """Not the same from call to call."""

        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("count", torch.zeros(()))

        def forward(self, x: Tensor) -> tuple[Tensor]:
            return (x + self.count.add_(1),)

    module = Changing()
    with torch.no_grad():
        expected = copy.deepcopy(module)(torch.zeros(1, *SHAPE))
    module.count.add_(5)
    net = fm.trace(module, SHAPE)
    (index,) = net._captured.graph.outputs
    value = Program(net._captured.captured, net._captured.tensors, [index]).run(torch.zeros(1, *SHAPE))[index]
    with pytest.raises(AssertionError):
        assert_close(value, expected[0])


def test_a_stage_stays_a_stage_where_torch_has_to_make_the_graph_functional() -> None:
    torch.manual_seed(0)
    module = written(write_with_batch_norm_after, c=conv(), d=conv(4), bn=nn.BatchNorm2d(4))
    net = fm.trace(module, SHAPE)
    assert {layer.address: layer.stages for layer in net.layers}["d"] == ("conv", "z", "a")


def test_a_buffer_that_the_model_writes_is_read_as_it_is_and_not_changed() -> None:
    class Counting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.c = conv()
            self.register_buffer("count", torch.full((), 3.0))

        def forward(self, x: Tensor) -> Tensor:
            self.count.add_(1)
            return self.c(x) * self.count

    module = Counting().eval()
    net = fm.trace(module, SHAPE)
    image = torch.ones(1, *SHAPE)
    with pytest.warns(StateInEvaluation, match="Counting writes in evaluation to count: "):
        maps = net.maps(image, ["c:conv", "mul"])
    assert_close(maps["mul"].values, maps["c:conv"].values * 4)
    assert float(module.count) == 3.0


Step = tuple[str, int, int]
_VIEWS: dict[str, Callable[[Tensor], Tensor]] = {
    "rows": lambda x: x[..., 1:, :],
    "half": lambda x: x.chunk(2, 1)[1],
    "first": lambda x: x[:, :1],
    "flat": lambda x: x.reshape(-1),
    "turned": lambda x: x.transpose(-1, -2),
    "same": lambda x: x.contiguous(),
    "dropped": lambda x: functional.dropout(x, 0.5, training=False),
    "detached": lambda x: x.detach(),
    "wider": lambda x: x.unsqueeze(0).squeeze(0),
}
_WRITES: dict[str, Callable[[Tensor], Any]] = {
    "relu_": lambda x: x.relu_(),
    "mul_": lambda x: x.mul_(-1.5),
    "relu in place": lambda x: functional.relu(x, inplace=True),
    "zero first": lambda x: x[:1].zero_(),
    "fill": lambda x: x.fill_(0.25),
    "clamp_": lambda x: x.clamp_(-0.5, 0.5),
}
_PAIRS: dict[str, Callable[[Tensor, Tensor], Any]] = {
    "add": lambda x, y: x + y,
    "add_": lambda x, y: x.add_(y),
    "copy_": lambda x, y: x.copy_(y),
}


class RandomProgram(nn.Module):
    """Does the steps on a growing pool of tensors and returns the whole pool."""

    def __init__(self, steps: list[Step]) -> None:
        super().__init__()
        self.c = conv(3, 4)
        self.d = conv(4, 4, 1)
        self.steps = steps

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        pool = [self.c(x)]
        pool.append(self.d(pool[0]))
        for name, first, second in self.steps:
            x, y = pool[first % len(pool)], pool[second % len(pool)]
            if name in _VIEWS and x.ndim == 4 and x.shape[1] > 1:
                pool.append(_VIEWS[name](x))
            elif name in _WRITES:
                _WRITES[name](x)
            elif name in _PAIRS and x.shape == y.shape:
                pool.append(_PAIRS[name](x, y))
            elif name == "copy":
                pool.append(x * 1)
        return tuple(pool)


steps = st.lists(
    st.tuples(
        st.sampled_from([*_VIEWS, *_WRITES, *_WRITES, *_PAIRS, "copy", "copy"]), st.integers(0, 9), st.integers(0, 9)
    ),
    min_size=1,
    max_size=8,
)


@settings(max_examples=35, suppress_health_check=[HealthCheck.too_slow])
@given(steps, st.integers(0, 99))
def test_random_programs_with_writes_and_views(steps: list[Step], seed: int) -> None:
    torch.manual_seed(seed)
    module = RandomProgram(steps).eval()
    try:
        with torch.no_grad():
            module(torch.zeros(1, *SHAPE))
    except RuntimeError:
        # torch itself refuses writes into memory that overlaps with what is read.
        assume(False)
    assert_no_writes(assert_runs_as_the_module(module, seed))
