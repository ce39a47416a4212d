"""Operators between convolutions, backwards: `gradient` is the module's own, the other rules are well defined."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import featmap as fm
from contracts.test_operators import SHAPE, WITHOUT_DERIVATIVE, image
from contracts.test_operators_occluded import NAMES, Between, captured
from featmap.errors import ModelError
from featmap.methods.maps import as_maps
from featmap.methods.shared.projection import Projection
from featmap.run.backward.roles import Rule


def asked(name: str) -> tuple[Between, fm.Network, str, tuple[int, int, int]]:
    """The module with the operator in it, what was captured of it, and a unit of its output."""
    module, net = captured(name)
    (output,) = net._captured.graph.outputs
    assert output is not None
    rows, columns = net._captured.sized.size(output)
    unit = (net._captured.resolver.channels(output) - 1, rows // 2, columns - 1)
    return module, net, net._captured.resolver.describe(output), unit


def projected(net: fm.Network, address: str, unit: tuple[int, int, int], rule: Rule) -> Projection:
    channel, row, column = unit
    target = f"{address}/{channel}@{row},{column}"
    return net.project(image(SHAPE), target, rule, start="one", dtype=torch.float64, progress=False)


def own_gradient(module: Between, net: fm.Network, unit: tuple[int, int, int]) -> Tensor:
    """The gradient of a unit of the output, by autograd through the module itself."""
    given = image(SHAPE).requires_grad_()
    (output,) = net._captured.graph.outputs
    value = as_maps(net._captured.sized, output, module(given))[(0, *unit)]  # type: ignore[arg-type]
    if not value.requires_grad:
        return torch.zeros(SHAPE, dtype=torch.float64)
    return torch.autograd.grad(value, given, materialize_grads=True, allow_unused=True)[0][0]


@pytest.mark.parametrize("name", [name for name in NAMES if name not in WITHOUT_DERIVATIVE])
def test_signals_of_a_unit(name: str) -> None:
    module, net, address, unit = asked(name)
    right = own_gradient(module, net, unit)
    found = projected(net, address, unit, "gradient").on_image()
    assert found.dtype == torch.float64
    assert float((found - right).abs().max()) <= 1e-9 * max(float(right.abs().max()), 1e-9)
    for rule in ("deconvnet", "guided"):
        assert projected(net, address, unit, rule).on_image().isfinite().all(), rule


@pytest.mark.parametrize("name", [name for name in WITHOUT_DERIVATIVE if name != "copy"])
def test_what_has_no_derivative_says_so(name: str) -> None:
    _, net, address, unit = asked(name)
    with pytest.raises(ModelError) as refusal:
        projected(net, address, unit, "gradient")
    assert str(refusal.value) == (
        f"torch has no derivative of {name}, through which signals have to flow back.\n\n"
        "Ask for a place before it, or for an occlusion, which needs no derivatives."
    )
