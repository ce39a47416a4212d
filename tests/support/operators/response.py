"""The answer of a nonlinearity to single numbers: where it is 0, where it is flat, whether it rectifies."""

from __future__ import annotations

import torch
from torch import Tensor

from support.operators.calls import OperatorCall, with_tensors
from support.operators.case import OperatorCase
from support.operators.tensors import Made

NUMBERS = (-30.0, -24.0, -8.0, -6.0, -4.5, -3.0, -1.0, -0.2, 0.0, 0.05, 0.1, 0.2, 1.0, 3.0, 6.0, 8.0, 24.0, 30.0)


def responses(case: OperatorCase) -> dict[float, Tensor] | None:
    """What comes of tensors that hold one number alone; None where more than one tensor of the image is read."""
    call = case.call
    made = [at for at, value in enumerate(call.args) if isinstance(value, Made)]
    if made != [0] or any(isinstance(value, list) and any(isinstance(v, Made) for v in value) for value in call.args):
        return None
    operand = with_tensors(call.args[0], case.image)
    if not isinstance(operand, Tensor) or operand.dtype != torch.float64:
        return None
    return {number: _answer(call, torch.full_like(operand, number)) for number in NUMBERS}


def _answer(call: OperatorCall, operand: Tensor) -> Tensor:
    image = torch.zeros(0)
    kwargs = {name: with_tensors(value, image) for name, value in call.kwargs.items()}
    value = call.target(operand, *with_tensors(call.args[1:], image), **kwargs)
    return value if isinstance(value, Tensor) else value[0]


def is_rectifier(case: OperatorCase) -> bool:
    """Whether the call sets what is negative to 0 and leaves what is a little above it."""
    if case.weights or case.sized.shape(case.target) != case.sized.shape(
        case.node.inputs[0] if case.node.inputs else 0
    ):
        return False
    try:
        found = responses(case)
    except RuntimeError:
        return False
    if found is None or any(value.shape != case.sized.shape(case.target) for value in found.values()):
        return False
    negative = all(not found[number].any() for number in (-3.0, -1.0, -0.2))
    return negative and all(bool((found[number] == number).all()) for number in (0.05, 0.1, 0.2))
