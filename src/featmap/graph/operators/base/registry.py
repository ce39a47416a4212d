"""The table of operators: from torch's names to the entries that know them, and the entry of a node."""

from __future__ import annotations

from typing import Any

import torch

from featmap.errors import SettingError
from featmap.graph.graph import Node
from featmap.graph.operators.base.operator import Operator
from featmap.graph.schema import is_operator, is_pointwise, plain_name

UNKNOWN = Operator()

TABLE: dict[str, Operator] = {}
"""By plain name (`relu`, `mylib.blur`); by name and overload (`max.other`) where that says more."""

BY_TAG: dict[torch.Tag, Operator] = {}
"""Entries for operators outside the table that torch itself tags."""


def register(name: str, operator: Operator) -> None:
    """Puts an operator into the table, by its name with the namespace: `mylib.blur`, or `mylib::blur`.

    Raises: SettingError: it is not an `Operator`, or the name is of an operator of torch's own or has no namespace.
    """
    plain = name.replace("::", ".")
    _check_is_operator(name, operator)
    if "." not in plain or plain.startswith("aten."):
        problem = f"'{name}' is not the name of an operator outside torch."
        raise SettingError(problem, "Give its namespace and name as they are registered: 'mylib.blur'.")
    TABLE[plain] = operator


def _check_is_operator(name: str, operator: object) -> None:
    if not isinstance(operator, Operator):
        problem = f"The operator for '{name}' is {operator!r}."
        raise SettingError(problem, "Give an instance of a class of featmap.graph.operators.base.operator.Operator.")


def operator_of(node: Node) -> Operator:
    """The table's entry for a node's operator, or the honest unknown."""
    overload = TABLE.get(node.operator.removeprefix("aten."))
    return overload or TABLE.get(node.base_name) or _outside_the_table(node.target)


def operator_of_target(target: Any) -> Operator:
    """The same for an operator that belongs to no graph; what writes over its input counts as what does not."""
    name = plain_name(target).replace("::", ".")
    return TABLE.get(name) or TABLE.get(name.removesuffix("_")) or _outside_the_table(target)


def _outside_the_table(target: Any) -> Operator:
    return BY_TAG[torch.Tag.pointwise] if is_operator(target) and is_pointwise(target) else UNKNOWN


def is_known(node: Node) -> bool:
    """Whether the operator is in the table, or pointwise by torch's own word."""
    return node.is_input or operator_of(node).is_known


def printed_name(node: Node) -> str:
    """The operator's name as plans, addresses and errors print it."""
    return node.base_name


def title(node: Node) -> str:
    """What people call the operator: ReLU for relu."""
    return operator_of(node).called() or node.base_name
