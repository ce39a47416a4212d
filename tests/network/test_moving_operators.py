"""Operators that repeat, roll, unfold, cut or turn a map: a unit reads what has a gradient, or says it may be more."""

from __future__ import annotations

from collections.abc import Callable

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
    assert statuses == {status}
