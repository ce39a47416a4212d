"""Nonlinearities, the step from pre-activation z to activation a: where they rectify, saturate and write in place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from featmap.graph.graph import Graph, Node
from featmap.graph.operators.base.call import Call, named_arguments
from featmap.graph.operators.base.regions import has_weights_in_space
from featmap.graph.operators.base.roles import Norm, Role
from featmap.graph.operators.pointwise import Elementwise, in_place_form


@dataclass(frozen=True)
class Nonlinearity(Elementwise):
    """A function of one value.

    `low` and `high` are the values at which it saturates. `has_in_place_form`: torch has a form that writes over its
    input. `zero_below`: everything below some bound becomes 0. `title`: what people call it.
    """

    title: str = ""
    low: float | None = None
    high: float | None = None
    zero_below: bool = False
    has_in_place_form: bool = False

    kind: ClassVar[str] = "activation"
    joins_positions: ClassVar[bool] = False
    is_nonlinearity: ClassVar[bool] = True

    def called(self) -> str:
        return self.title

    def left_out(self, call: Call) -> Mapping[str, Any]:
        """Few know by heart which slopes and bounds are the usual ones."""
        return {"scale": 1, "input_scale": 1, "approximate": "none"}

    def in_place(self, graph: Graph, node: Node) -> Callable[..., Any] | None:
        return in_place_form(node) if self.has_in_place_form else None

    def is_rectified(self, call: Call) -> bool:
        return self.zero_below

    def saturation(self, node: Node) -> tuple[float | None, float | None]:
        return self.low, self.high

    def is_probability(self, call: Call) -> bool:
        return (self.low, self.high) == (0.0, 1.0)


@dataclass(frozen=True)
class Slopes(Nonlinearity):
    """prelu: a slope per channel, which is no map of weights whatever the last axes of its shape."""

    def has_map_of_weights(self, call: Call) -> bool:
        return has_weights_in_space(call)


@dataclass(frozen=True)
class Rectifier(Nonlinearity):
    """What sets everything negative to zero, and may be bounded above: relu, relu6."""

    zero_below: bool = True
    has_in_place_form: bool = True

    def role(self, call: Call, norm: Norm) -> Role:
        return Role.RECTIFIER if self.rectifies(call) else super().role(call, norm)

    def rectifies(self, call: Call) -> bool:
        """Whether this call sets what is negative to zero and leaves the rest, up to a bound."""
        return True

    def upper(self, call: Call) -> float | None:
        """The bound above; None where there is none."""
        return self.high

    def mask_source(self, node: Node) -> int:
        """The value from which it is told where a signal gets through: what it gave, if that tells it."""
        return node.index

    def passes(self, call: Call, value: Tensor) -> Tensor:
        """Where a signal gets through, from the value that `mask_source` names; as torch's own gradient."""
        upper = self.upper(call)
        return (value > 0) if upper is None else (value > 0) & (value < upper)


@dataclass(frozen=True)
class Bounded(Rectifier):
    """Values cut at bounds that a call gives: a rectifier where the lower one is 0. hardtanh.

    `lower_name` and `upper_name` are the arguments that hold the bounds.
    """

    lower_name: str = "min_val"
    upper_name: str = "max_val"

    def rectifies(self, call: Call) -> bool:
        return is_zero(call.get(self.lower_name)) and isinstance(self.upper(call), int | float | None)

    def is_rectified(self, call: Call) -> bool:
        return is_zero(call.get(self.lower_name))

    def upper(self, call: Call) -> Any:
        return call.get(self.upper_name)

    def saturation(self, node: Node) -> tuple[float | None, float | None]:
        given = named_arguments(node)
        low, high = (_number(given.get(name)) for name in (self.lower_name, self.upper_name))
        return (None if low == 0 else low), high

    def is_probability(self, call: Call) -> bool:
        return False


@dataclass(frozen=True)
class Clamp(Bounded):
    """clamp and its kin, whose gradient is 1 at the very bounds: there the value that comes out says nothing."""

    has_in_place_form: bool = False
    lower_name: str = "min"
    upper_name: str = "max"

    def mask_source(self, node: Node) -> int:
        return node.inputs[0]

    def passes(self, call: Call, value: Tensor) -> Tensor:
        upper = self.upper(call)
        return (value >= 0) if upper is None else (value >= 0) & (value <= upper)


@dataclass(frozen=True)
class Threshold(Rectifier):
    """threshold: what is not above a threshold is replaced by a value."""

    has_in_place_form: bool = False

    def rectifies(self, call: Call) -> bool:
        return is_zero(call.get("threshold")) and is_zero(call.get("value"))

    def is_rectified(self, call: Call) -> bool:
        # In torch's words the threshold's value replaces what is not above it.
        return is_zero(call.get("value"))

    def saturation(self, node: Node) -> tuple[float | None, float | None]:
        low = _number(named_arguments(node).get("value"))
        return (None if low == 0 else low), None


def is_zero(value: object) -> bool:
    """Whether an argument is the number 0."""
    return isinstance(value, int | float) and not isinstance(value, bool) and value == 0


def _number(value: object) -> float | None:
    return value if isinstance(value, int | float) else None
