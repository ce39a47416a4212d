"""What does torch itself say about one of its operators? The only place that looks into torch's operator objects."""

from __future__ import annotations

from typing import Any

import torch


def is_operator(target: Any) -> bool:
    """Whether a node's target is one of torch's operators (and not, say, Python's getitem)."""
    return isinstance(target, torch._ops.OpOverload)  # pyright: ignore[reportPrivateUsage]


def schema_of(target: Any) -> Any:
    """The operator's schema: arguments with names, defaults and what they alias."""
    return target._schema


def returns_view(target: Any) -> bool:
    """Whether what the operator returns may lie in the memory of what it reads."""
    return not is_operator(target) or any(value.alias_info is not None for value in schema_of(target).returns)


def plain_name(target: Any) -> str:
    """The operator's name without overload: `relu_` for `aten.relu_.default`.

    Operators of others keep their namespace, since what they do is not known from a name that torch has too.
    """
    return schema_of(target).name.removeprefix("aten::")
