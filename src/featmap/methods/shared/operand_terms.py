"""What the operands of a sum, a concatenation, a pool or a resize give to one value.

These are linear in their operands, given a maximum pool's switch: the value is the sum over what each operand holds
times the value's gradient with respect to it. The gradient is torch's, of that one operator in float64: 1 or a factor
for summands, 1 for the one operand that a concatenation takes, 1 / count for an average, 1 at a maximum.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float64, Shaped
from torch import Tensor

from featmap.geometry import Box
from featmap.graph.graph import Reference, Weight, items_of, map_arguments
from featmap.graph.operators.base.operator import Operator
from featmap.graph.operators.pointwise import SignedSum
from featmap.graph.receptive.unit_box import unit_box
from featmap.graph.sized_graph import resized_arguments
from featmap.network.network import CapturedNetwork
from featmap.run.as_maps import as_maps
from featmap.run.program.constants import exact_constants

Numbers = npt.NDArray[np.float64]
_SLIDING = ("pool", "resize")
_ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class Term:
    """What one input channel contributes: the values under the window, the kernel, and the sum of their products.

    `source` is the address of the operand that the channel is of, where there are several operands.
    """

    channel: int
    window: Float64[Numbers, "*tap"]
    kernel: Float64[Numbers, "*tap"]
    sum: float
    source: str = ""


@dataclass(frozen=True)
class OperandTerms:
    """The terms of a value, the constant that is added to them, and the window on its one operand."""

    source: str
    terms: tuple[Term, ...]
    constant: float | None
    window: Box


def is_sum_of_operands(operator: Operator) -> bool:
    """Whether values of an operator can be taken apart into what its operands give."""
    adds = operator.is_merge or isinstance(operator, SignedSum)
    return operator.is_linear and (adds or operator.kind in _SLIDING)


def operands_of(network: CapturedNetwork, node: int) -> list[int]:
    """The values that a node reads and that depend on the image, each once."""
    graph = network.graph
    return [index for index in dict.fromkeys(graph[node].inputs) if graph[index].depends_on_input]


def operand_terms(
    network: CapturedNetwork, node: int, values: Mapping[int, Tensor], channel: int, unit: tuple[int, ...]
) -> OperandTerms:
    """The terms of one value of a node; `values` are those of its operands, in float64, for one image."""
    value, gradients = _gradients(network, node, values, channel, unit)
    operands = operands_of(network, node)
    describe = network.resolver.describe
    terms: list[Term] = []
    boxes: list[Box] = []
    for index in operands:
        maps, gradient = (as_maps(network.sized, index, part)[0] for part in (values[index], gradients[index]))
        boxes.append(_box(network, node, index, gradient, channel, unit))
        windows, kernels = (part[(slice(None), *boxes[-1].slices)] for part in (maps, gradient))
        for at in np.flatnonzero(kernels.flatten(1).any(dim=1).numpy()).tolist():
            total = float((windows[at] * kernels[at]).nan_to_num(nan=0.0).sum())
            named = describe(index) if len(operands) > 1 else ""
            terms.append(Term(at, windows[at].numpy(), kernels[at].numpy(), total, named))
    rest = value - sum(term.sum for term in terms)
    has_constants = bool(network.graph[node].weights) or len(operands) < len(set(network.graph[node].inputs))
    source = describe(operands[0]) if len(operands) == 1 else f"{len(operands)} operands"
    # A number that is added, as in x + 0.5, is no tensor among the inputs.
    is_more = not abs(rest) <= _ROUNDING * max(1.0, abs(value))
    constant = rest if has_constants or is_more or not terms else None
    return OperandTerms(source, tuple(terms), constant, boxes[0] if len(boxes) == 1 else Box.at(unit))


def place_in_value(network: CapturedNetwork, node: int, channel: int, unit: tuple[int, ...]) -> int:
    """The number of a unit in the flattened value, in the value's own order of axes."""
    shape = network.sized.shape(node)
    numbers = torch.arange(torch.Size(shape).numel()).view(shape)
    return int(as_maps(network.sized, node, numbers)[0][(channel, *unit)])


def _gradients(
    network: CapturedNetwork, node: int, values: Mapping[int, Tensor], channel: int, unit: tuple[int, ...]
) -> tuple[float, dict[int, Shaped[Tensor, "*axes"]]]:
    """A value of a node, computed from its operands, and its gradient with respect to each of them."""
    step, sized = network.graph[node], network.sized
    constants = exact_constants(network.graph, network.tensors)
    with torch.inference_mode(False), torch.enable_grad():
        leaves = {index: values[index].detach().clone().requires_grad_() for index in operands_of(network, node)}

        def tensor(leaf: Reference | Weight) -> Any:
            return leaves[leaf.index] if isinstance(leaf, Reference) and leaf.index in leaves else constants.leaf(leaf)

        args, kwargs = resized_arguments(sized, step)
        named = {name: map_arguments(value, tensor) for name, value in kwargs.items()}
        result: Any = sized.operator(step).function(step)(*map_arguments(args, tensor), **named)
        made: Tensor = items_of(result)[0] if isinstance(result, tuple | list) else result
        value = made.reshape(-1)[place_in_value(network, node, channel, unit)]
        found = torch.autograd.grad(value, list(leaves.values()), materialize_grads=True)
    return float(value.detach()), dict(zip(leaves, found, strict=True))


def _box(
    network: CapturedNetwork, node: int, source: int, gradient: Tensor, channel: int, unit: tuple[int, ...]
) -> Box:
    """The places of an operand that are shown: a pool's whole window, else those that count."""
    if network.sized.operator(network.graph[node]).kind in _SLIDING:
        box = unit_box(network.sized, node, unit, channel, target=source).box
        if not box.is_empty:
            return box
    places = np.argwhere(gradient.any(dim=0).numpy())
    if not len(places):
        return Box.at(unit if len(unit) == gradient.ndim - 1 else (0,) * (gradient.ndim - 1)).clip(*gradient.shape[1:])
    return Box(*map(int, places.min(0)), *map(int, places.max(0) + 1))
