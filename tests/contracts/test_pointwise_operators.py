"""Pointwise operators, by the table or by torch's tag: each value changes with the same position alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

import featmap as fm
from contracts.test_operators import Around, Case, check_another_size, check_boxes, check_values
from featmap.graph.operators.nonlinearity import Nonlinearity
from featmap.graph.operators.pointwise import Elementwise, Sum
from featmap.graph.operators.table import TABLE, operator_of_target

aten = torch.ops.aten
SHAPE = (3, 4)
KINDS: tuple[Callable[[], Tensor], ...] = (
    lambda: torch.rand(SHAPE, dtype=torch.float64) * 0.8 + 0.1,
    lambda: torch.randint(1, 5, SHAPE),
    lambda: torch.rand(SHAPE) > 0.5,
    lambda: torch.rand(SHAPE, dtype=torch.complex128),
)
NEVER_CALLED = {
    "_assert_tensor_metadata": "returns nothing",
    "bernoulli": "draws random numbers",
    "native_dropout_backward": "takes a mask next to real values",
    "poisson": "draws random numbers",
    "polygamma": "takes its number first",
    "special_polygamma": "takes its number first",
    "_prelu_kernel": "takes its weights as a map of its own",
    "bucketize": "takes boundaries in order",
    "clamp": "wants one bound at least",
    "clip": "wants one bound at least",
    "prelu": "takes its weights per channel",
    "ldexp": "takes whole numbers next to real ones",
}
"""Operators that no tensors of one shape and kind fit."""


def overloads() -> Iterator[tuple[str, Any]]:
    """What the table or torch's tag takes for pointwise, without what writes over something."""
    for name in dir(aten):
        packet = getattr(aten, name)
        for overload in getattr(packet, "overloads", list)():
            operator = getattr(packet, overload)
            writes = any(
                argument.alias_info and argument.alias_info.is_write for argument in operator._schema.arguments
            )
            if not writes and type(operator_of_target(operator)) in (Elementwise, Nonlinearity, Sum):
                yield name, operator


def arguments(operator: Any, make: Callable[[], Tensor]) -> tuple[list[Any], dict[str, Any]] | None:
    """Tensors and numbers for what an operator has to be given; None where it wants something else."""
    given: list[Any] = []
    named: dict[str, Any] = {}
    for argument in operator._schema.arguments:
        if argument.has_default_value():
            continue
        kind = str(argument.type)
        values = {"Tensor": make, "number": lambda: 2, "float": lambda: 2.0, "int": lambda: 2, "bool": lambda: True}
        if kind not in values and not kind.startswith("Optional"):
            return None
        value = values[kind]() if kind in values else None
        if argument.kwarg_only:
            named[argument.name] = value
        else:
            given.append(value)
    return (given, named) if any(isinstance(value, Tensor) for value in given) else None


def changed(tensor: Tensor, place: int) -> Tensor:
    """The tensor with another number at one place."""
    other = tensor.clone()
    numbers = other.view(-1)
    numbers[place] = ~numbers[place] if tensor.dtype == torch.bool else numbers[place] * 3 + 2
    return other


def places_that_differ(first: Any, second: Any) -> set[int]:
    """The places at which any of an operator's values differ."""
    found: set[int] = set()
    pairs = zip(*([made] if isinstance(made, Tensor) else made for made in (first, second)), strict=True)
    for one, other in pairs:
        assert one.shape == SHAPE
        differs = ~torch.isclose(one, other, rtol=0, atol=0, equal_nan=True)
        found |= set(differs.view(-1).nonzero().flatten().tolist())
    return found


def run(operator: Any, given: list[Any], named: dict[str, Any]) -> Any:
    """What the operator makes of these arguments; None where it takes none of this kind, or makes no tensor."""
    try:
        made = operator(*given, **named)
        return made if isinstance(made, Tensor | tuple | list) else None
    except (RuntimeError, NotImplementedError, IndexError):
        return None


def check_places(operator: Any, given: list[Any], named: dict[str, Any]) -> bool:
    """Whether the operator takes such arguments at all; if it does, it reads the same place alone."""
    value = run(operator, given, named)
    if value is None or value == ():
        return False
    for at, tensor in enumerate(given):
        if not isinstance(tensor, Tensor):
            continue
        for place in range(tensor.numel()):
            others = [changed(tensor, place) if at == index else other for index, other in enumerate(given)]
            again = run(operator, others, named)
            if again is not None:
                assert places_that_differ(value, again) <= {place}, operator
    return True


@pytest.mark.filterwarnings("ignore")
def test_what_counts_as_pointwise_reads_the_same_place_alone() -> None:
    torch.manual_seed(0)
    tried: dict[str, bool] = {}
    for name, operator in overloads():
        if name in NEVER_CALLED:
            continue
        for make in KINDS:
            call = arguments(operator, make)
            tried[name] = tried.get(name, False) or (call is not None and check_places(operator, *call))
    assert len(tried) > 150
    assert {name for name, was_called in tried.items() if not was_called} <= {"fill", "where"}


def test_a_tagged_operator_of_somebody_else_is_unknown() -> None:
    @torch.library.custom_op("featmap_test::tagged", mutates_args=(), tags=(torch.Tag.pointwise,))
    def tagged(x: Tensor) -> Tensor:
        return torch.roll(x, 1, -1)

    assert not operator_of_target(torch.ops.featmap_test.tagged.default).is_known


TAGGED: dict[str, Case] = {
    "logaddexp": lambda x: torch.logaddexp(x, x * 2),
    "logaddexp2": lambda x: torch.logaddexp2(x, x * 2),
    "fmax": lambda x: torch.fmax(x, x * 2),
    "fmin": lambda x: torch.fmin(x, x * 2),
    "erfinv": lambda x: torch.erfinv(x.tanh() * 0.9),
    "logit": lambda x: torch.logit(x.sigmoid() * 0.9),
    "bitwise_and": lambda x: torch.bitwise_and(x > 1, x < 2) * x,
    "bitwise_or": lambda x: torch.bitwise_or(x > 1, x < 2) * x,
    "bitwise_xor": lambda x: torch.bitwise_xor(x > 1, x < 2) * x,
    "bitwise_left_shift": lambda x: torch.bitwise_left_shift(x.long(), 1) + x,
    "angle": lambda x: torch.angle(torch.complex(x, x.square())),
    "sgn": lambda x: torch.sgn(x) * x,
    "frac": torch.frac,
    "ldexp": lambda x: torch.ldexp(x, torch.tensor(2)),
    "deg2rad": torch.deg2rad,
    "positive": torch.positive,
    "i0": torch.i0,
    "special_xlog1py": lambda x: torch.special.xlog1py(x, x),
    "special_entr": torch.special.entr,
    "polygamma": lambda x: torch.polygamma(1, x),
    "frexp": lambda x: torch.frexp(x)[0],
    "signbit": lambda x: torch.signbit(x) + x,
    "conj_physical": lambda x: torch.conj_physical(torch.complex(x, x)).abs(),
}


@pytest.mark.parametrize("name", TAGGED)
def test_a_tagged_operator_in_a_network(name: str) -> None:
    assert name not in TABLE
    module = Around(TAGGED[name]).double().eval()
    net = fm.trace(module, (3, 8, 6))
    assert name in {node.base_name for node in net._captured.graph}
    assert net.plan().unknown_operators == ()
    check_values(module, net)
    check_another_size(module, net)
    check_boxes("relu" if name.startswith(("f", "bitwise", "sgn")) else name, module, net)
