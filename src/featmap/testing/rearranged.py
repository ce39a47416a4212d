"""Hypothesis strategies for networks that rearrange their maps: views, permutes, windows, slices, tokens.

Between such steps are operators on the axes of that moment: convolutions on windows, linear layers on the last
axis, matrix products, means along one axis. All weights are positive, so that nothing cancels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

import torch
from hypothesis import strategies as st
from torch import Tensor, nn

from featmap.testing.modules import make_positive
from featmap.testing.strategies import RandomNetwork

Shape = tuple[int, ...]

_SIZES = st.sampled_from([2, 4, 6, 8])


class Rearranged(nn.Module):
    """A view that splits axes, a permute, and a reshape that joins neighbours."""

    def __init__(self, split: Shape, order: Sequence[int], joined: Shape) -> None:
        super().__init__()
        self.split, self.order, self.joined = split, tuple(order), joined

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(self.split).permute(self.order).reshape(self.joined)

    def extra_repr(self) -> str:
        return f"{self.split}, {self.order}, {self.joined}"


class RearrangingStep(nn.Module):
    """A function of one tensor with a name."""

    def __init__(self, name: str, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.name, self.function = name, function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)

    def extra_repr(self) -> str:
        return self.name


class WithItself(nn.Module):
    """A map plus the output of a block for it."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block

    def forward(self, x: Tensor) -> Tensor:
        return self.block(x) + x


@st.composite
def rearranged_networks(draw: st.DrawFn, max_steps: int = 5) -> RandomNetwork:
    """A network in float64 of random steps between a first and a last convolution."""
    shape: Shape = (1, draw(st.sampled_from([1, 2, 4])), draw(_SIZES), draw(_SIZES))
    steps: list[nn.Module] = [nn.Conv2d(shape[1], shape[1], draw(st.sampled_from([1, (3, 1)])), padding="same")]
    for _ in range(draw(st.integers(1, max_steps))):
        steps.append(draw(_steps(shape_after(steps, shape))))
    now = shape_after(steps, shape)
    if len(now) != 4:
        steps.append(draw(_rearranged(now, 4)))
    steps.append(draw(_convolutions(shape_after(steps, shape))))
    module = nn.Sequential(*steps).double().eval()
    return RandomNetwork(make_positive(module), (shape[1], shape[2], shape[3]))


def shape_after(steps: Sequence[nn.Module], shape: Shape) -> Shape:
    """The shape that comes out, on tensors without values."""
    x = torch.zeros(shape)
    with torch.no_grad():
        for step in steps:
            x = step(x)
    return tuple(x.shape)


@st.composite
def _steps(draw: st.DrawFn, shape: Shape) -> nn.Module:
    kinds = ["rearranged", "rearranged", "familiar", "linear", "along"]
    if len(shape) == 4:
        kinds += ["convolution", "familiar"]
    *_, last_but_one, last = (1, *shape)
    if len(shape) > 2 and last_but_one <= 8:
        kinds.append("product")
    kind = draw(st.sampled_from(kinds))
    if kind == "product":
        return RearrangingStep("x @ x.mT", lambda x: x @ x.transpose(-1, -2))
    if kind == "linear":
        return nn.Linear(last, draw(st.sampled_from([2, last])))
    if kind == "convolution":
        return draw(_convolutions(shape))
    if kind == "along":
        return draw(_along(shape))
    return draw(_familiar(shape)) if kind == "familiar" and len(shape) == 4 else draw(_rearranged(shape))


@st.composite
def _rearranged(draw: st.DrawFn, shape: Shape, rank: int | None = None) -> nn.Module:
    split: list[int] = []
    for size in shape:
        factor = draw(st.sampled_from([n for n in (1, 2, 3, 4) if size % n == 0]))
        split += [size // factor, factor] if factor > 1 else [size]
    order = draw(st.permutations(range(len(split))))
    sizes = [split[axis] for axis in order]
    wanted = rank or draw(st.integers(3, 6))
    rank = min(wanted, len(sizes))
    bounds = sorted(draw(st.permutations(range(1, len(sizes))))[: rank - 1])
    joined = [prod(sizes[a:b]) for a, b in zip([0, *bounds], [*bounds, len(sizes)], strict=True)]
    return Rearranged(tuple(split), order, (*joined, *[1] * (wanted - rank)))


@st.composite
def _familiar(draw: st.DrawFn, shape: Shape) -> nn.Module:
    """A rearrangement of maps that networks use, where the shape allows it."""
    n, c, h, w = shape
    ways: list[nn.Module] = [
        RearrangingStep("transposed", lambda x: x.transpose(2, 3)),
        RearrangingStep("tokens", lambda x: x.flatten(2).transpose(1, 2)),
        RearrangingStep("channels last", lambda x: x.permute(0, 2, 3, 1)),
        RearrangingStep("channels first", lambda x: x.permute(0, 3, 1, 2)),
        RearrangingStep("flip", lambda x: x.flip(2)),
        RearrangingStep("flat and back", lambda x: x.flatten(2).view(n, c, h, w)),
        RearrangingStep("cut", lambda x: x[:, :, 1:] if h > 1 else x),
    ]
    if h % 2 == w % 2 == 0:
        ways += [
            Rearranged((n, c, h // 2, 2, w // 2, 2), (0, 3, 5, 1, 2, 4), (n, 4 * c, h // 2, w // 2)),
            Rearranged((n, c, h // 2, 2, w // 2, 2), (0, 2, 4, 1, 3, 5), (n * h * w // 4, c, 2, 2)),
            Rearranged((n, c, 2, h // 2, 2, w // 2), (0, 3, 5, 2, 4, 1), (n * h * w // 4, 4, c)),
            RearrangingStep("focus", lambda x: torch.cat([x[..., i::2, j::2] for i in (0, 1) for j in (0, 1)], 1)),
        ]
    if c % 4 == 0:
        ways.append(Rearranged((n, c // 4, 2, 2, h, w), (0, 1, 4, 2, 5, 3), (n, c // 4, 2 * h, 2 * w)))
        ways.append(Rearranged((n, 2, c // 2, h, w), (0, 2, 1, 3, 4), (n, c, h, w)))
    return draw(st.sampled_from(ways))


@st.composite
def _along(draw: st.DrawFn, shape: Shape) -> nn.Module:
    """An operation along one axis, whichever it is."""
    axis = draw(st.integers(0, len(shape) - 1))
    ways: dict[str, Callable[[Tensor], Tensor]] = {
        "gated": lambda x: x * x.mean(axis, keepdim=True),
        "joined": lambda x: torch.cat([x, x.flip(axis)], axis),
        "summed": lambda x: torch.cumsum(x, axis),
        "rolled": lambda x: x.roll(1, axis),
        "every second": lambda x: x.narrow(axis, 0, (x.shape[axis] + 1) // 2) if x.shape[axis] > 1 else x,
        "added": lambda x: x + x.flip(axis),
        "squared": torch.square,
        "indexed": lambda x: x.index_select(axis, torch.arange(x.shape[axis]).flip(0)),
        "index of two axes": lambda x: x.movedim(axis, 0)[torch.zeros(2, 1, dtype=torch.long)],
        "deviation": lambda x: x + torch.var_mean(x, axis, keepdim=True, correction=0)[1],
        "one more axis": lambda x: x.unsqueeze(axis).squeeze(axis),
    }
    name = draw(st.sampled_from(sorted(ways)))
    return RearrangingStep(f"{name} {axis}", ways[name])


@st.composite
def _convolutions(draw: st.DrawFn, shape: Shape) -> nn.Module:
    channels = shape[1]
    groups = draw(st.sampled_from([1, 1, channels]))
    kernel = draw(st.sampled_from([1, 3, (1, 3)]))
    if draw(st.booleans()):
        return WithItself(nn.Conv2d(channels, channels, kernel, padding="same", groups=groups))
    if draw(st.integers(0, 3)) == 0 and min(shape[2:]) > 1:
        return nn.AvgPool2d(2, draw(st.integers(1, 2)), padding=draw(st.integers(0, 1)))
    return nn.Conv2d(
        channels,
        groups * 2 if groups == 1 else groups,
        kernel,
        padding=draw(st.sampled_from(["same", 1])),
        groups=groups,
    )
