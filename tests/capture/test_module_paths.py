"""Paths of parts that are called in slices of their container; loops that depend on values are refused."""

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import featmap as fm
from featmap.errors import CaptureRefused
from featmap.network.address import Address

ACT = nn.ReLU()


class SlicedSequential(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.f = nn.Sequential(nn.Conv2d(3, 4, 3), ACT, nn.Sequential(nn.Conv2d(4, 4, 3), ACT))

    def forward(self, x: Tensor) -> Tensor:
        return self.f[1:](self.f[:1](x))


class SlicedList(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.f = nn.ModuleList([nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 3)])

    def forward(self, x: Tensor) -> Tensor:
        x = self.f[0](x)
        for part in self.f[1:]:
            x = part(x).relu()
        return x


class CalledBothWays(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.f = nn.Sequential(nn.Conv2d(3, 3, 3), nn.Conv2d(3, 3, 3), nn.Conv2d(3, 3, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.f(self.f[1:](self.f[-1](x)))


class Nested(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = SlicedSequential()
        self.outer = nn.Sequential(nn.Conv2d(4, 2, 1), self.inner, nn.Conv2d(4, 2, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.outer[1:](x)


KINDS = {
    SlicedSequential: ["f.0", "f.2.0"],
    SlicedList: ["f.0", "f.1", "f.2"],
    CalledBothWays: ["f.2#1", "f.1#1", "f.2#2", "f.0", "f.1#2", "f.2#3"],
    Nested: ["inner.f.0", "inner.f.2.0", "outer.2"],
}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_address_of_a_plan_is_parsed_and_asked(kind: type[nn.Module]) -> None:
    module, image = kind().eval(), torch.rand(1, 3, 16, 16)
    net = fm.trace(module, (3, 16, 16))
    addresses = [row.address for row in net.plan()]
    assert [layer.address for layer in net.layers] == KINDS[kind]
    for address in addresses:
        assert str(Address.parse(address)) == address
        net.receptive_field(f"{address}:z")
    with torch.no_grad():
        right = module(image)
    last = net.layers[-1].stages[-1]
    (found,) = net.maps(image, f"{addresses[-1]}:{last}", progress=False).values()
    assert torch.allclose(found.values, right, atol=1e-6)


class Called(nn.Module):
    """Convolutions of any names, called one after another, all of them so many times."""

    def __init__(self, names: list[str], times: int) -> None:
        super().__init__()
        self.b = nn.ModuleDict({name: nn.Conv2d(2, 2, 1) for name in names})
        self.times = times

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(self.times):
            for part in self.b.values():
                x = part(x)
        return x


# A module's name may hold anything but a dot; torch marks later calls by `@1`, slices by `slice(1, None, None)`.
SIGNS = st.sampled_from(
    ["@", "@1", "@2", "%40", "#", ":", "/", " ", "\n", "slice(1, None, None)", "é", "a", "conv", ",1"]
)
ODD = st.lists(st.lists(SIGNS, min_size=1, max_size=4).map("".join), min_size=1, max_size=3, unique=True)


@settings(max_examples=25)
@given(ODD, st.integers(1, 3))
@example(["conv@2x"], 1)
@example(["é@1,2"], 2)
@example(["P3@8"], 1)
@example(["conv", "conv@1", "conv@1@1"], 3)
def test_modules_of_any_name_are_told_apart_and_asked_by_it(names: list[str], times: int) -> None:
    module, image = Called(names, times).eval(), torch.rand(1, 2, 2, 3)
    net = fm.trace(module, (2, 2, 3))
    addresses = [row.address for row in net.plan()]
    parsed = [Address.parse(address) for address in addresses]
    assert [(each.layer, each.call or 1) for each in parsed] == [
        (f"b.{name}", number) for number in range(1, times + 1) for name in names
    ]
    found = net.maps(image, addresses, progress=False)
    for address, (part, right) in zip(addresses, _values(module, image), strict=True):
        assert torch.allclose(found[address].values, right, atol=1e-6), (address, part)


def _values(module: Called, image: Tensor) -> list[tuple[nn.Module, Tensor]]:
    values: list[tuple[nn.Module, Tensor]] = []
    hooks = [
        part.register_forward_hook(lambda part, _, value: values.append((part, value))) for part in module.b.values()
    ]
    with torch.no_grad():
        module(image)
    for hook in hooks:
        hook.remove()
    return values


class Loop(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        return torch._higher_order_ops.while_loop(lambda v: v.sum() < 10, lambda v: (v + 1,), (y,))[0]


class Branch(Loop):
    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        return torch.cond(y.sum() > 0, lambda v: v + 1, lambda v: v - 1, (y,))


@pytest.mark.parametrize("kind", [Loop, Branch], ids=lambda kind: kind.__name__)
def test_loops_and_branches_of_torchs_own_are_refused_in_words(kind: type[nn.Module]) -> None:
    with pytest.raises(CaptureRefused, match="not a single graph"):
        fm.trace(kind().eval(), (3, 8, 8))


def test_writes_that_no_graph_holds_are_refused_in_words() -> None:
    with pytest.raises(CaptureRefused, match="writes into its tensors in a way that no graph holds") as refusal:
        fm.trace(nn.Sequential(nn.Conv2d(3, 8, 3), nn.CrossMapLRN2d(3)), (3, 8, 8))
    assert "LocalResponseNorm can be captured" in refusal.value.remedy
    fm.trace(nn.Sequential(nn.Conv2d(3, 8, 3), nn.LocalResponseNorm(3)), (3, 8, 8))
