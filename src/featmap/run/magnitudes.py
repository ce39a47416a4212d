"""Values that are not real numbers: complex ones are measured by magnitude, whole numbers as real ones.

One rule for every question: a complex number has no order, so maps of them are shown, ranked and scored by magnitude.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from featmap.graph.graph import TensorSpec
from featmap.graph.sized_graph import SizedGraph

MAGNITUDES, VALUES = "magnitudes", "values"


def is_complex(sized: SizedGraph, node: int) -> bool:
    """Whether a value holds complex numbers."""
    spec = sized.specs[node]
    return isinstance(spec, TensorSpec) and spec.dtype.is_complex


def measured(values: Shaped[Tensor, "*axes"]) -> Float[Tensor, "*axes"]:
    """The numbers that are ranked, averaged and shown: magnitudes of complex ones, whole ones and booleans as real.

    >>> measured(torch.tensor([3 + 4j])), measured(torch.tensor([True]))
    (tensor([5.]), tensor([1.], dtype=torch.float64))
    """
    if values.is_complex():
        return values.abs()
    if not values.is_floating_point():
        # Apple's processors have no float64.
        return values.float() if values.device.type == "mps" else values.double()
    # Sums in the shorter types leave what those hold.
    return values.float() if values.element_size() < 4 else values


def directions(values: Shaped[Tensor, "*axes"]) -> Shaped[Tensor, "*axes"]:
    """What a magnitude's signal is multiplied with where it flows into complex values; 1 for real ones.

    That is the gradient of the magnitude as torch defines it, z / |z|, and 0 where z is 0.
    """
    return values.sgn() if values.is_complex() else torch.ones_like(values)
