"""torch's own description of its operators; the only module that looks into torch's operator objects."""

from __future__ import annotations

from typing import Any

import torch
from torch._ops import OpOverload

from featmap.errors import ModelError


def is_operator(target: Any) -> bool:
    """Whether a node's target is one of torch's operators (and not, say, Python's getitem)."""
    return isinstance(target, OpOverload)


def schema_of(target: Any) -> Any:
    """The operator's schema: arguments with names, defaults and aliases."""
    return target._schema


def is_pointwise(target: Any) -> bool:
    """Whether torch says of one of its own operators that each value depends only on values at the same position."""
    if not is_operator(target) or target.namespace != "aten" or torch.Tag.pointwise not in target.tags:
        return False
    # `equal` has the tag too, but returns a single value for all positions.
    return all(str(value.type) == "Tensor" for value in schema_of(target).returns)


def returns_view(target: Any) -> bool:
    """Whether what the operator returns may share memory with what it reads."""
    return not is_operator(target) or any(value.alias_info is not None for value in schema_of(target).returns)


def plain_name(target: Any) -> str:
    """The operator's name without overload: `relu_` for `aten.relu_.default`.

    Custom operators keep their namespace, since their name may be one of torch's while they do something else.
    """
    return schema_of(target).name.removeprefix("aten::")


def operator_named(name: str) -> Any:
    """The operator with a name such as `aten.relu.default`. Raises: ModelError: this process does not know it."""
    namespace, _, rest = name.partition(".")
    function, _, overload = rest.rpartition(".")
    try:
        return getattr(getattr(getattr(torch.ops, namespace), function), overload)
    except AttributeError as error:
        raise ModelError(
            f"This process does not know torch's operator {name}.", "Import the package that registers it first."
        ) from error
