"""Operators that return several tensors: the address that a plan prints means the one that the model reads."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import featmap as fm
from featmap.errors import AmbiguousAddress, FeatmapError

READS: dict[str, Callable[[Tensor], Tensor]] = {
    "max": lambda y: torch.max(y, 1, keepdim=True)[0],
    "max without its axis": lambda y: y.max(1).values,
    "min": lambda y: torch.min(y, 2, keepdim=True)[0],
    "median": lambda y: y.median(1, keepdim=True)[0],
    "sort": lambda y: y.sort(1)[0],
    "topk": lambda y: y.topk(2, 1)[0],
    "var_mean": lambda y: torch.var_mean(y, 1, keepdim=True)[1],
    "adaptive maximum": lambda y: functional.adaptive_max_pool2d(y, 3),
    "maximum with places": lambda y: functional.max_pool2d(y, 2, return_indices=True)[0],
    "cummax": lambda y: y.cummax(2)[0],
}


class Reading(nn.Module):
    def __init__(self, read: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.conv, self.read = nn.Conv2d(3, 4, 3), read

    def forward(self, x: Tensor) -> Any:
        return self.read(self.conv(x))


class Recurrent(nn.Module):
    def __init__(self, kind: type[nn.RNNBase]) -> None:
        super().__init__()
        self.conv, self.inner = nn.Conv2d(3, 4, 3), kind(8, 5, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(self.conv(x).mean(1))[0]


def modules() -> dict[str, nn.Module]:
    recurrent = {kind.__name__: Recurrent(kind) for kind in (nn.LSTM, nn.GRU, nn.RNN)}
    return {**{name: Reading(read) for name, read in READS.items()}, **recurrent}


@pytest.mark.parametrize("name", modules())
def test_the_last_row_of_a_plan_holds_what_the_module_returns(name: str) -> None:
    torch.manual_seed(0)
    module, image = modules()[name].eval(), torch.rand(1, 3, 10, 10)
    net = fm.trace(module, (3, 10, 10))
    row = list(net.plan())[-1]
    address = f"{row.address}:{row.stages[-1]}"
    with torch.no_grad():
        right = module(image)
    found = net.maps(image, address, progress=False)[address].values
    assert torch.allclose(found.flatten(), right.flatten(), atol=1e-6)
    net.receptive_field(address)
    for ask in (net.project, net.occlude):
        try:
            ask(image, f"{address}/0@0,0", progress=False)
        except FeatmapError:
            # Refused in words: nothing else may come out.
            continue


class BothRead(Reading):
    def forward(self, x: Tensor) -> Tensor:
        first, second = torch.var_mean(self.conv(x), 1, keepdim=True)
        return first + second


class LaterRead(Reading):
    def forward(self, x: Tensor) -> Tensor:
        _, second, third, _ = self.conv(x).chunk(4, 1)
        return second + third


def test_of_several_that_are_read_but_not_the_first_one_has_to_be_named() -> None:
    net = fm.trace(LaterRead(torch.relu).eval(), (3, 10, 10))
    with pytest.raises(AmbiguousAddress, match="'chunk' returns 2 tensors that are read") as refusal:
        net.maps(torch.rand(1, 3, 10, 10), "chunk", progress=False)
    assert "getitem#1, getitem#2" in refusal.value.remedy


def test_of_several_that_are_read_the_first_has_the_name() -> None:
    module, image = BothRead(torch.relu).eval(), torch.rand(1, 3, 10, 10)
    net = fm.trace(module, (3, 10, 10))
    with torch.no_grad():
        (found,) = net.maps(image, "var_mean", progress=False).values()
        assert torch.allclose(found.values.flatten(), torch.var(module.conv(image), 1).flatten(), atol=1e-6)
        right = torch.var_mean(module.conv(image), 1, keepdim=True)
    for number, values in enumerate(right, start=1):
        (found,) = net.maps(image, f"getitem#{number}", progress=False).values()
        assert torch.allclose(found.values.flatten(), values.flatten(), atol=1e-6)


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
@pytest.mark.parametrize("batch_first", [True, False])
def test_every_image_has_its_own_sequence_and_last_state(kind: type[nn.RNNBase], batch_first: bool) -> None:
    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.inner = nn.Conv2d(3, 4, 3), kind(8, 5, 2, batch_first=batch_first, bidirectional=True)

        def forward(self, x: Tensor) -> Tensor:
            steps = self.conv(x).mean(1)
            sequence, last = self.inner(steps if batch_first else steps.transpose(0, 1))
            last = last[0] if isinstance(last, tuple) else last
            mean = sequence.mean(1 if batch_first else 0)
            return torch.cat([mean, last.transpose(0, 1).flatten(1)], 1)

    torch.manual_seed(0)
    module, images = Both().eval(), torch.rand(3, 3, 10, 10)
    net = fm.trace(module, (3, 10, 10))
    address = net._captured.resolver.describe(net._captured.graph.outputs[0])
    with torch.no_grad():
        right = torch.cat([module(image[None]) for image in images])
    found = net.maps(images, address, progress=False)[address].values
    assert torch.allclose(found.flatten(1), right, atol=1e-6)
