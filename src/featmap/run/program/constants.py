"""The values of a graph that are made of weights alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from threading import RLock
from typing import Any

import torch
from jaxtyping import Shaped
from torch import Tensor

from featmap.graph.graph import Graph, Node, Reference, Weight, map_arguments
from featmap.graph.operators.normalization import scale_and_shift
from featmap.graph.operators.table import operator_of
from featmap.run.program.dtypes import in_dtype, tensor_in_dtype

Weights = Mapping[str, Tensor]


class Constants:
    """Values made of weights alone, each computed once, whichever thread asks first."""

    def __init__(
        self, graph: Graph, weights: Weights, placed: Callable[[Tensor], Tensor], dtype: torch.dtype | None = None
    ) -> None:
        self.graph = graph
        self.dtype = dtype
        self.weights = weights
        self.placed = placed
        self.placed_weights: dict[str, Tensor] = {}
        self.values: dict[int, Any] = {}
        self._computing = RLock()

    def weight(self, name: str) -> Shaped[Tensor, "*axes"]:
        if name not in self.placed_weights:
            self.placed_weights[name] = self.placed(self.weights[name])
        return self.placed_weights[name]

    def argument(self, leaf: Any) -> Any:
        return map_arguments(leaf, lambda part: self.leaf(part))

    def leaf(self, leaf: Reference | Weight) -> Any:
        return self.weight(leaf.name) if isinstance(leaf, Weight) else self.value(leaf.index)

    def value(self, index: int) -> Any:
        """The value of a node that depends on no input."""
        if index in self.values:
            return self.values[index]
        with self._computing:
            return self._computed(index)

    def _computed(self, index: int) -> Any:
        if index not in self.values:
            node = self.graph[index]
            assert node.target is not None
            assert not node.depends_on_input, node.operator
            kwargs = {name: self.argument(value) for name, value in node.kwargs.items()}
            if kwargs.get("device") is not None:
                kwargs["device"] = next(iter(self.weights.values())).device if self.weights else torch.device("cpu")
            args, kwargs = in_dtype(self.argument(node.args), self.dtype), in_dtype(kwargs, self.dtype)
            result = operator_of(node).function(node)(*args, **kwargs)
            self.values[index] = self.placed(result) if isinstance(result, Tensor) else result
        return self.values[index]

    def scale_and_shift(self, norm: Node) -> tuple[Tensor, Tensor]:
        """The scale and shift per channel that an evaluating batch norm is, in float64."""
        weight, bias, mean, variance = (self.argument(argument) for argument in norm.args[1:5])
        return scale_and_shift(weight, bias, mean, variance, norm.args[7])


def exact_constants(graph: Graph, weights: Weights) -> Constants:
    """Values made of weights alone, computed in float64 on the CPU."""
    return Constants(
        graph, weights, lambda tensor: tensor_in_dtype(tensor.detach().cpu(), torch.float64), torch.float64
    )
