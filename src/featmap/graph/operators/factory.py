"""Operators that make a value from nothing: constants filled in by the model's code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from featmap.graph.operators.base.call import Call
from featmap.graph.operators.base.operator import NotResizable, Weightless


@dataclass(frozen=True)
class Factory(Weightless):
    """zeros, ones, full, arange: no input is read, but the size may have been computed from one."""

    kind: ClassVar[str] = "constant"
    is_linear: ClassVar[bool] = True

    def resized(self, call: Call) -> tuple[tuple[Any, ...], dict[str, Any]]:
        raise NotResizable(call.node.operator)
