"""A count of multiply-adds: every product of matrices and every convolution that torch comes to while it computes."""

from __future__ import annotations

from typing import Any

import torch
from torch._library.custom_ops import _maybe_get_opdef
from torch.utils._python_dispatch import TorchDispatchMode

from support.operators.case import OperatorCase

aten = torch.ops.aten


class Products(TorchDispatchMode):
    """Counts one multiply-add per weight and output value, biases not counted."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        packet = func.overloadpacket
        if packet in (aten.mm, aten.bmm):
            self.count += args[0].numel() * args[1].shape[-1]
        elif packet in (aten.addmm, aten.baddbmm):
            self.count += args[1].numel() * args[2].shape[-1]
        elif packet is aten.convolution:
            return self._convolved(func, args, kwargs)
        elif packet in (aten.mv, aten.dot, aten.vdot):
            self.count += args[0].numel()
        elif packet is aten.addmv:
            self.count += args[1].numel()
        elif packet in (aten._euclidean_dist, aten._cdist_forward):
            # A square per coordinate.
            self.count += args[0].numel() * args[1].shape[-2]
        elif packet is aten.affine_grid_generator:
            # One matrix per image, and the coordinates and 1 of every place.
            self.count += func(*args, **kwargs).numel() * args[0].shape[-1]
        else:
            return self._divided(func, args, kwargs)
        return func(*args, **kwargs)

    def _convolved(self, func: Any, args: Any, kwargs: Any) -> Any:
        made = func(*args, **kwargs)
        is_transposed = args[6]
        self.count += (args[0] if is_transposed else made).numel() * args[1][0].numel()
        return made

    def _divided(self, func: Any, args: Any, kwargs: Any) -> Any:
        """The operator, by the operators that it is made of where torch or its author says so."""
        with self:
            made = func.decompose(*args, **kwargs)
            if made is not NotImplemented:
                return made
            definition = _maybe_get_opdef(func)
            if definition is not None:
                return definition._init_fn(*args, **kwargs)
        return func(*args, **kwargs)


def counted_products(case: OperatorCase) -> int:
    """The multiply-adds of the call."""
    args, kwargs = case.arguments(case.values(case.image))
    assert case.node.target is not None
    with torch.no_grad(), Products() as products:
        case.node.target(*args, **kwargs)
    return products.count
