"""How a signal goes back through an operator call: decided by structure, before anything runs.

Rectifiers are where the rules differ (Zeiler and Fergus 2014; Springenberg et al. 2015); they are operators here, never
modules, so that a functional, a reused and an in-place ReLU are all the same thing. What is linear is transposed; every
other operator takes its gradient, which torch works out for that one operator.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

Rule = Literal["deconvnet", "guided", "gradient"]
Norm = Literal["scale", "skip"]


class Role(StrEnum):
    """What is done with a signal at an operator."""

    CONVOLUTION = "filtered with the transposed filters"
    LINEAR = "multiplied with the transposed weights"
    RECTIFIER = "treated by the rule"
    MAXIMUM = "sent to the switches"
    AVERAGE = "spread over the window"
    SCALE = "scaled per channel"
    PASS = "passed on as it is"
    SHIFT = "moved by the padding"
    SUM = "passed on to every operand"
    ITEM = "passed on to its position among several"
    CONCATENATION = "divided among the operands"
    PLACEWISE = "multiplied with the gradient, position by position"
    WHOLE = "multiplied with the gradient, on whole maps"
