"""Operators of the user's own in the table: what is refused."""

from __future__ import annotations

from typing import Any

import pytest

import featmap as fm
from featmap.errors import SettingError
from featmap.graph.operators.base.operator import Operator


@pytest.mark.parametrize(
    ("name", "operator", "problem"),
    [
        ("relu", Operator(), "'relu' is not the name of an operator outside torch."),
        ("aten.relu", Operator(), "'aten.relu' is not the name of an operator outside torch."),
        ("own.blur", Operator, f"The operator for 'own.blur' is {Operator!r}."),
    ],
)
def test_what_is_no_operator_of_ones_own(name: str, operator: Any, problem: str) -> None:
    with pytest.raises(SettingError) as caught:
        fm.register_operator(name, operator)
    assert caught.value.problem == problem
