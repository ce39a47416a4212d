"""Checks of signals: what flows into the image, from all units and from one."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from featmap.errors import ModelError
from featmap.geometry import Box
from featmap.graph.operators.table import printed_name
from featmap.run.backward.reach import reached_by_signals
from featmap.run.backward.roles import Rule
from featmap.run.projection import Projector, Unit, on_box
from featmap.testing.oracles import ruled_values
from support.operators.agreement import agree, is_drawn
from support.operators.case import OperatorCase
from support.operators.response import is_rectifier


def check_signal(case: OperatorCase) -> None:
    """Signals at all numbers of the value flow into the image as by autograd, with the rule where it rectifies."""
    if is_drawn(case):
        return
    value = case.value(case.image)
    if not (value.is_floating_point() or value.is_complex()):
        return
    generator = torch.Generator().manual_seed(3)
    signal = torch.randn(value.shape, generator=generator, dtype=value.dtype)
    for rule in ("gradient", "deconvnet", "guided"):
        try:
            expected = _flow(case, signal, rule)
        except (RuntimeError, NotImplementedError) as error:
            # A function of our own may have a derivative where torch's operator has none.
            has_own_function = case.operator.function(case.node) is not case.node.target
            is_of_derivatives = "derivative for" in str(error) or "automatic differentiation" in str(error)
            if is_of_derivatives and not has_own_function:
                _check_refusal(case, signal, rule)
            return
        if case.graph.image_input not in reached_by_signals(case.sized, case.target):
            assert not expected.any(), "autograd gives signals where none are said to flow"
        else:
            agree(_projected(case, signal, rule), expected, f"{rule} of the value", is_single=case.is_single)
            _check_unit(case, value, rule)


def _check_unit(case: OperatorCase, value: Tensor, rule: Rule) -> None:
    """The signal of one unit, which is led through its own boxes alone, is that of the whole value."""
    at = 2 * len(case.units) // 3
    channel, row, column = case.units[at].tolist()
    projector = Projector(case.network, case.target, rule, "scale")
    forward = projector.forward(case.image[0], Box(row, column, row + 1, column + 1))
    (_, signal), *_ = projector.units(forward, [Unit(channel, (row, column), 1.0)])
    started = torch.zeros_like(value, memory_format=torch.contiguous_format)
    started.view(-1)[at] = 1
    found = on_box(signal, 0, Box(0, 0, *case.call.size))
    agree(found, _flow(case, started, rule), f"{rule} of unit {channel}@{row},{column}", is_single=case.is_single)


def _flow(case: OperatorCase, signal: Tensor, rule: str) -> Tensor:
    """What flows into the image by autograd. Raises: RuntimeError: torch has no derivative."""
    given = case.image.clone().requires_grad_()
    rectifiers = [case.index] if is_rectifier(case) else []
    value = ruled_values(case.graph, case.weights, given, rule, rectifiers)[case.target]
    if not value.requires_grad:
        return torch.zeros_like(case.image[0])
    return torch.autograd.grad(value, given, signal, materialize_grads=True)[0][0]


def _projected(case: OperatorCase, signal: Tensor, rule: Rule) -> Tensor:
    projector = Projector(case.network, case.target, rule, "scale")
    forward = projector.forward(case.image[0])
    return on_box(projector.from_value(forward, signal), 0, Box(0, 0, *case.call.size))


def _check_refusal(case: OperatorCase, signal: Tensor, rule: Rule) -> None:
    with pytest.raises(ModelError) as refusal:
        _projected(case, signal, rule)
    assert str(refusal.value) == (
        f"torch has no derivative of {printed_name(case.node)}, through which signals have to flow back.\n\n"
        "Ask for a place before it, or for an occlusion, which needs no derivatives."
    )
