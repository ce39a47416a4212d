"""Networks as plain data that other processes can load: operators by name, tensors as bytes.

torch's operators cannot be pickled, and a captured network can hold the user's module in a closure. What arrives
computes the same and has the same fingerprint; it is the graph only, so it cannot be captured again at another size,
and several outputs are a plain list.
"""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from featmap.errors import ModelError
from featmap.graph.graph import Graph, Node, Spec
from featmap.graph.schema import is_operator, operator_named
from featmap.graph.sized_graph import SizedGraph
from featmap.network.network import CapturedNetwork
from featmap.network.preprocess import Preprocessing


@dataclass(frozen=True, eq=False)
class ShippedTensor:
    """A tensor's bytes, which pickle's protocol 5 moves without a copy, with shape and dtype."""

    data: NDArray[np.uint8]
    dtype: torch.dtype
    shape: tuple[int, ...]

    def tensor(self) -> Tensor:
        """The tensor on the CPU, in the memory of the bytes: it must not be written to."""
        with warnings.catch_warnings():
            # Memory shared between processes arrives read-only, about which torch warns.
            warnings.filterwarnings("ignore", "The given NumPy array is not writable", UserWarning)
            return torch.from_numpy(self.data).view(self.dtype).reshape(self.shape)


@dataclass(frozen=True, eq=False)
class ShippedNetwork:
    """A captured network as plain data that can be pickled; made by `shipped`.

    `sized` holds the shapes of all values at the wanted size, `None` where it is the captured one.
    """

    name: str
    graph: Graph
    sized: tuple[Spec, ...] | None
    tensors: dict[str, ShippedTensor]
    other_inputs: dict[int, ShippedTensor]
    preprocessing: Preprocessing
    weights_source: str

    @property
    def size_bytes(self) -> int:
        """The size of its tensors."""
        return sum(tensor.data.nbytes for tensor in self.tensors.values())

    def network(self) -> CapturedNetwork:
        """The network, ready for use. Raises: ModelError: an operator is not known here."""
        graph = replace(self.graph, nodes=tuple(map(_with_target, self.graph.nodes)))
        return CapturedNetwork(
            self.name,
            SizedGraph(graph),
            {name: tensor.tensor() for name, tensor in self.tensors.items()},
            self.preprocessing,
            sized_as=None if self.sized is None else SizedGraph(graph, self.sized),
            weights_source=self.weights_source,
            other_inputs={index: tensor.tensor() for index, tensor in self.other_inputs.items()},
        )


def shipped(network: CapturedNetwork) -> ShippedNetwork:
    """The network as plain data. Raises: ModelError: it holds an operator that no other process can find."""
    graph = replace(network.graph, nodes=tuple(map(_without_target, network.graph.nodes)), unflatten=_as_list)
    return ShippedNetwork(
        network.name,
        graph,
        None if network.sized_as is None else tuple(network.sized_as.specs),
        _shipped_tensors(network.tensors),
        _shipped_tensors(network.other_inputs),
        network.preprocessing,
        network.weights_source,
    )


def _shipped_tensors(tensors: Mapping[Any, Tensor]) -> dict[Any, ShippedTensor]:
    """The tensors by name; those that a module has under several names are sent once."""
    # All are kept alive: freed memory could be reused by another tensor.
    held = dict(tensors)
    found: dict[Any, ShippedTensor] = {}
    by_memory: dict[Any, ShippedTensor] = {}
    for name, tensor in held.items():
        key = (tensor.device, tensor.data_ptr(), tensor.dtype, tensor.shape, tensor.stride())
        if key not in by_memory:
            plain = tensor.detach().cpu().contiguous().reshape(-1)
            by_memory[key] = ShippedTensor(plain.view(torch.uint8).numpy(), tensor.dtype, tuple(tensor.shape))
        found[name] = by_memory[key]
    return found


def _without_target(node: Node) -> Node:
    if is_operator(node.target):
        return replace(node, target=None)
    try:
        pickle.dumps(node.target)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise ModelError(
            f"The operator {node.operator} cannot be sent to another process: {error}.",
            "Run the network in this process; or register the operator with torch.library.",
        ) from error
    return node


def _with_target(node: Node) -> Node:
    if node.is_input or node.target is not None:
        return node
    return replace(node, target=operator_named(node.operator))


def _as_list(values: list[Any]) -> Any:
    return values[0] if len(values) == 1 else values
