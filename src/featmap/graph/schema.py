"""What does torch itself say about one of its operators? The only place that looks into torch's operator objects."""

from __future__ import annotations

from typing import Any

import torch

from featmap.errors import ModelError


def is_operator(target: Any) -> bool:
    """Whether a node's target is one of torch's operators (and not, say, Python's getitem)."""
    return isinstance(target, torch._ops.OpOverload)  # pyright: ignore[reportPrivateUsage]


def schema_of(target: Any) -> Any:
    """The operator's schema: arguments with names, defaults and what they alias."""
    return target._schema


def is_pointwise(target: Any) -> bool:
    """Whether torch says of one of its own operators that each value is computed from values at the same place."""
    if not is_operator(target) or target.namespace != "aten" or torch.Tag.pointwise not in target.tags:
        return False
    # The tag stands at `equal` too, which says one word about all places.
    return all(str(value.type) == "Tensor" for value in schema_of(target).returns)


def returns_view(target: Any) -> bool:
    """Whether what the operator returns may lie in the memory of what it reads."""
    return not is_operator(target) or any(value.alias_info is not None for value in schema_of(target).returns)


def plain_name(target: Any) -> str:
    """The operator's name without overload: `relu_` for `aten.relu_.default`.

    Operators of others keep their namespace, since what they do is not known from a name that torch has too.
    """
    return schema_of(target).name.removeprefix("aten::")


def operator_named(name: str) -> Any:
    """The operator of a name such as `aten.relu.default`. Raises: ModelError: this process does not know it."""
    namespace, _, rest = name.partition(".")
    function, _, overload = rest.rpartition(".")
    try:
        return getattr(getattr(getattr(torch.ops, namespace), function), overload)
    except AttributeError as error:
        raise ModelError(
            f"This process does not know torch's operator {name}.", "Import the package that registers it first."
        ) from error
