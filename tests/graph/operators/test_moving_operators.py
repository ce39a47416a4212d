"""Operators that repeat, roll, unfold, cut or turn a map: a unit reads what has a gradient, or says it may be more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from featmap.geometry import Status
from featmap.methods.receptive_field import receptive_field
from featmap.network.network import capture_module
from featmap.testing.oracles import gradient_support


def pooled_and_plain(x: Tensor) -> Tensor:
    """Means over 3 x 3 places, behind them the 4 channels themselves."""
    return torch.cat([functional.avg_pool2d(x, 3, 1, 1), x], 1)


def assigned(x: Tensor, place: Any, value: Any) -> Tensor:
    """A copy of the tensor with a value written on a part of it."""
    made = x.clone()
    made[place] = value
    return made


def unpooled(x: Tensor, pool: int, stride: int, padding: int) -> Tensor:
    """Values put back where a pool found its maxima; the last rows and columns may lie in no window."""
    values, places = functional.max_pool2d(x, pool, stride, padding, return_indices=True)
    return functional.max_unpool2d(values, places, pool, stride, padding, output_size=x.shape[2:])


ROWS, COLUMNS = torch.tensor([4, 1, 1]), torch.tensor([0, 3])
SURFACE = torch.arange(80.0).double().square().reshape(1, 4, 5, 4)
OPERATORS: dict[str, tuple[Callable[[Tensor], Tensor], Status]] = {
    "repeat_interleave of rows": (lambda x: x.repeat_interleave(2, 2), Status.EXACT),
    "repeat_interleave of channels": (lambda x: x.repeat_interleave(3, 1), Status.EXACT),
    "repeat of channels": (lambda x: x.repeat(1, 2, 1, 1), Status.EXACT),
    "repeat of rows": (lambda x: x.repeat(1, 1, 2, 1), Status.WHOLE),
    "repeat of one row": (lambda x: x[:, :, 2:3].repeat(1, 1, 4, 1), Status.EXACT),
    "tile": (lambda x: x.tile(2, 2), Status.WHOLE),
    "roll of rows": (lambda x: x.roll(1, 2), Status.WHOLE),
    "roll of channels": (lambda x: x.roll(1, 1), Status.EXACT),
    "windows of rows": (lambda x: x.unfold(2, 3, 2)[..., 0], Status.WHOLE),
    "windows of channels": (lambda x: x.unfold(1, 2, 1)[..., 1], Status.EXACT),
    "gate along channels": (lambda x: functional.glu(x, 1), Status.EXACT),
    "gate along columns": (lambda x: functional.glu(x, 3), Status.WHOLE),
    "maximum of channels": (lambda x: x.max(1, keepdim=True)[0], Status.EXACT),
    "maximum of rows": (lambda x: x.min(2, keepdim=True)[0], Status.WHOLE),
    "larger of two": (lambda x: torch.max(x, x - 1), Status.EXACT),
    "places that become channels": (lambda x: functional.pixel_unshuffle(x, 2), Status.HULL),
    "places that become channels, all read": (lambda x: functional.pixel_unshuffle(x, 2).sum(1, True), Status.EXACT),
    "channels that become places": (lambda x: functional.pixel_shuffle(x, 2), Status.EXACT),
    "channels by index": (lambda x: x[:, [2, 0, 2]], Status.EXACT),
    "channels by indices of two axes": (lambda x: x[:, [[2, 0], [1, 1]]].flatten(1, 2), Status.EXACT),
    "rows by index": (lambda x: x[:, :, [1, 0, 5]], Status.WHOLE),
    "columns by index_select": (lambda x: x.index_select(3, torch.tensor([1, 0])), Status.WHOLE),
    "channels by index_select": (lambda x: x.index_select(1, torch.tensor([3])), Status.EXACT),
    "mean and variance of channels": (lambda x: torch.cat(torch.var_mean(x, 1, keepdim=True), 1), Status.EXACT),
    "deviation along columns": (lambda x: torch.std_mean(x, 3, keepdim=True)[0], Status.WHOLE),
    "movedim": (lambda x: x.movedim(1, -1).movedim((3, 1), (1, 2)), Status.EXACT),
    "moveaxis": (lambda x: torch.moveaxis(x, 2, 1).moveaxis(1, 2), Status.EXACT),
    "swapaxes": (lambda x: x.swapaxes(1, 3).swapaxes(1, -1), Status.EXACT),
    "swapdims": (lambda x: x.swapdims(1, 2).swapdims(2, 1), Status.EXACT),
    "mT": (lambda x: x.mT.mT, Status.EXACT),
    "narrow along rows": (lambda x: x.narrow(2, 1, 4), Status.EXACT),
    "narrow along channels": (lambda x: pooled_and_plain(x).narrow(1, 4, 4), Status.EXACT),
    "slice along channels": (lambda x: pooled_and_plain(x)[:, 4:], Status.EXACT),
    "channels by their numbers": (lambda x: x[:, [2, 0, 2]], Status.EXACT),
    "rows by their numbers": (lambda x: x[:, :, ROWS], Status.WHOLE),
    "rows and columns by their numbers": (lambda x: x[:, :, ROWS[:, None], COLUMNS], Status.WHOLE),
    "channels of different fields by their numbers": (lambda x: pooled_and_plain(x)[:, [6, 5]], Status.HULL),
    "channels with select": (lambda x: x.index_select(1, COLUMNS), Status.EXACT),
    "gathered along channels": (lambda x: x.gather(1, x.argsort(1)), Status.EXACT),
    "gathered along rows": (lambda x: x.gather(2, x.argsort(2)), Status.WHOLE),
    "sorted along channels": (lambda x: x.sort(1)[0], Status.EXACT),
    "sorted along columns": (lambda x: x.sort(3)[0], Status.WHOLE),
    "written on channels": (lambda x: assigned(x, (slice(None), slice(1, 3)), x[:, :2] * 2), Status.EXACT),
    "written on one channel": (lambda x: assigned(x, (slice(None), -1), x[:, 0] * 2), Status.EXACT),
    "shifted rows on some channels": (
        lambda x: assigned(x, (slice(None), slice(0, 2), slice(1, None)), x[:, 2:, :-1]),
        Status.EXACT,
    ),
    "written on a box": (
        lambda x: assigned(x, (..., slice(1, -1), slice(2, 5)), x[..., 2:, 3:] * 2),
        Status.EXACT,
    ),
    "written on every other row": (
        lambda x: assigned(x, (..., slice(1, None, 2), slice(None)), x[..., ::2, :]),
        Status.EXACT,
    ),
    "written on a row": (lambda x: assigned(x, (slice(None), slice(None), 1), x[:, :, 3]), Status.HULL),
    "laid on zeros": (
        lambda x: assigned(torch.zeros_like(x), (..., slice(1, None), slice(None)), x[:, :, :-1]),
        Status.EXACT,
    ),
    "set by a mask": (lambda x: assigned(x, x > 0.3, 0.0), Status.HULL),
    "added on channels": (lambda x: x.index_add(1, torch.tensor([1, 3]), x[:, :2]), Status.HULL),
    "put back where a pool found it": (lambda x: unpooled(x, 2, 2, 0), Status.HULL),
    "put back where overlapping windows found it": (lambda x: unpooled(x, 3, 2, 1), Status.HULL),
    "sampled at its own places": (
        lambda x: functional.grid_sample(SURFACE, x.permute(0, 2, 3, 1)[..., :2].tanh() * 0.2, align_corners=False),
        Status.EXACT,
    ),
    "Fourier transform along channels": (lambda x: torch.fft.fft(x, dim=1).real, Status.EXACT),
    "Fourier transform": (lambda x: torch.fft.fft2(x).real, Status.WHOLE),
    "in the shape of another": (lambda x: x.unflatten(1, (2, 2)).view_as(x), Status.EXACT),
    "expanded to another": (lambda x: x[:, :1].expand_as(x.flip(2)), Status.EXACT),
    "in the type of another": (lambda x: x.float().type_as(x.flip(2)), Status.EXACT),
    "resized in depth alone": (
        lambda x: functional.interpolate(x[:, None], scale_factor=(2, 1, 1), mode="trilinear")[:, 0],
        Status.EXACT,
    ),
    "pooled in depth alone": (
        lambda x: functional.adaptive_avg_pool3d(x[:, None], (2, None, None))[:, 0],
        Status.EXACT,
    ),
    "chunk along channels": (lambda x: pooled_and_plain(x).chunk(2, 1)[1], Status.EXACT),
}


class Apply(nn.Module):
    """A 3 x 1 convolution before a function, so that rows that are read are seen."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(2, 4, (3, 1)).double()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self.convolution(x))


@pytest.mark.parametrize("name", OPERATORS)
def test_pixels_of_a_unit_are_those_with_a_gradient(name: str) -> None:
    function, status = OPERATORS[name]
    module, image = Apply(function), torch.rand(1, 2, 8, 6, dtype=torch.float64)
    network = capture_module(module, (image,), {}, name=name)
    assert network.unknown_operators == ()
    (output,) = network.graph.outputs
    assert output is not None
    address = network.resolver.describe(output)
    statuses = set()
    with torch.no_grad():
        _, channels, rows, columns = module(image).shape
    for channel, row, column in ((0, 0, 0), (channels - 1, rows - 1, columns - 1), (0, rows // 2, columns // 2)):
        answer = receptive_field(network, f"{address}/{channel}@{row},{column}")
        assert answer.box is not None
        support = gradient_support(module, image, channel, row, column)
        assert answer.box.contains(support.box)
        statuses.add(answer.status)
        if answer.status == Status.EXACT:
            assert support.box == answer.box
            assert support.fills_box
    # None: units of one map are told apart, the row that was written on, and the others.
    assert statuses == ({status} if status else {Status.EXACT, Status.HULL})
