"""The contract of operators: every check that holds of every call of every entry of the table."""

from __future__ import annotations

from collections.abc import Callable

from support.operators.bounds import check_bounds, check_kept_bounds
from support.operators.calls import OperatorCall, calls, overloads
from support.operators.case import OperatorCase, case_of
from support.operators.places import check_box, check_cost, check_region
from support.operators.signals import check_signal
from support.operators.values import check_details, check_memory, check_shape, check_value

CHECKS: tuple[Callable[[OperatorCase], None], ...] = (
    check_value,
    check_shape,
    check_box,
    check_cost,
    check_region,
    check_signal,
    check_bounds,
    check_kept_bounds,
    check_memory,
    check_details,
)


def hold_contract(name: str, count: int = 1) -> dict[str, int]:
    """Holds every check against up to `count` calls of every overload of an entry. Returns: how many each had."""
    return {str(target): _held(calls(target, count)) for target in overloads(name)}


def _held(made: list[OperatorCall]) -> int:
    for call in made:
        case = case_of(call)
        for check in CHECKS:
            try:
                check(case)
            except Exception as error:
                raise AssertionError(f"{check.__name__} of {case}") from error
    return len(made)
