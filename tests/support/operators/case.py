"""A call in a graph of its own: the image, what the call's tensors are made by, the call, and one of its parts."""

from __future__ import annotations

import operator as python_operator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from featmap.graph.graph import (
    Graph,
    Node,
    Reference,
    Spec,
    TensorSpec,
    Weight,
    WeightSpec,
    map_arguments,
    read_by,
    spec_of,
)
from featmap.graph.operators.base.call import Call
from featmap.graph.operators.base.operator import Operator
from featmap.graph.sized_graph import SizedGraph
from featmap.network.network import CapturedNetwork
from featmap.network.preprocess import default_preprocessing
from featmap.run.as_maps import as_maps
from featmap.testing.oracles import node_values
from support.operators.calls import OperatorCall
from support.operators.tensors import Constant, Made, aten

_SINGLE = (torch.float32, torch.complex64)


@dataclass
class _Built:
    """Nodes one after the other, each computed by torch as it is added."""

    image: Tensor
    nodes: list[Node] = field(default_factory=list[Node])
    values: list[Any] = field(default_factory=list[Any])
    weights: dict[str, Tensor] = field(default_factory=dict[str, Tensor])
    made: dict[str, Reference] = field(default_factory=dict[str, Reference])

    def add(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Reference:
        read = read_by(args, kwargs)
        depends = target is None or any(self.nodes[index].depends_on_input for index in read["inputs"])
        name = "input" if target is None else "getitem" if target is python_operator.getitem else str(target)
        value = self.image if target is None else target(*map(self.tensor, args), **_each(kwargs, self.tensor))
        self.values.append(value)
        index = len(self.nodes)
        self.nodes.append(Node(index, name, target, args, kwargs, (), spec_of(value), depends_on_input=depends, **read))
        return Reference(index)

    def tensor(self, leaf: Any) -> Any:
        if isinstance(leaf, list | tuple):
            return type(leaf)(map(self.tensor, leaf))
        if isinstance(leaf, Weight):
            return self.weights[leaf.name]
        return self.values[leaf.index] if isinstance(leaf, Reference) else leaf

    def leaf(self, value: Any) -> Any:
        """What stands in a graph for an argument."""
        if isinstance(value, list | tuple):
            return type(value)(map(self.leaf, value))
        if isinstance(value, Constant):
            name = f"weight{len(self.weights)}"
            self.weights[name] = value.value
            return Weight(name)
        return self.of_image(value) if isinstance(value, Made) else value

    def of_image(self, made: Made) -> Reference:
        name = str(made)
        if name not in self.made:
            if not made.steps:
                # In memory of its own, so that it may be written over.
                self.made[name] = self.add(aten.add.Scalar, (Reference(0), 0.0), {})
            else:
                before = self.of_image(Made(made.steps[:-1]))
                target, args = made.steps[-1]
                self.made[name] = self.add(target, (before, *args), {})
        return self.made[name]


def _each(kwargs: dict[str, Any], change: Any) -> dict[str, Any]:
    return {name: change(value) for name, value in kwargs.items()}


@dataclass(frozen=True, eq=False)
class OperatorCase:
    """A call as a network: `index` is the call's node, `target` that of its value, or of one of its parts."""

    call: OperatorCall
    image: Tensor
    graph: Graph
    weights: dict[str, Tensor]
    index: int
    target: int

    @cached_property
    def sized(self) -> SizedGraph:
        return SizedGraph(self.graph)

    @cached_property
    def network(self) -> CapturedNetwork:
        shape = tuple(self.image.shape[1:])
        return CapturedNetwork(str(self.call.target), self.sized, self.weights, default_preprocessing(shape))

    @cached_property
    def is_single(self) -> bool:
        """Whether anything on the way is of single precision."""
        return any(isinstance(node.spec, TensorSpec) and node.spec.dtype in _SINGLE for node in self.graph)

    @cached_property
    def is_discrete(self) -> bool:
        """Whether anything on the way is whole numbers or bools, of which few changes of an image change any."""
        specs = [node.spec for node in self.graph if node.depends_on_input and isinstance(node.spec, TensorSpec)]
        return any(not (spec.dtype.is_floating_point or spec.dtype.is_complex) for spec in specs)

    @property
    def node(self) -> Node:
        return self.graph[self.index]

    @property
    def operator(self) -> Operator:
        return self.sized.operator(self.node)

    @property
    def bound(self) -> Call:
        """The call as its operator is asked about it."""
        return self.sized.call(self.node)

    def values(self, image: Tensor, weights: dict[str, Tensor] | None = None) -> list[Any]:
        """All values, node by node, computed by torch alone."""
        torch.manual_seed(0)
        return node_values(self.graph, weights or self.weights, image)

    def value(self, image: Tensor, weights: dict[str, Tensor] | None = None) -> Tensor:
        return self.values(image, weights)[self.target]

    def arguments(self, values: list[Any]) -> tuple[list[Any], dict[str, Any]]:
        """The call's arguments, given all values."""

        def tensor(leaf: Any) -> Any:
            return values[leaf.index] if isinstance(leaf, Reference) else self.weights[leaf.name]

        args = [map_arguments(value, tensor) for value in self.node.args]
        return args, {name: map_arguments(value, tensor) for name, value in self.node.kwargs.items()}

    @cached_property
    def units(self) -> Tensor:
        """Channel, row and column of every number of the value, in the value's own order: (number, 3)."""
        shape = self.sized.shape(self.target)
        order = as_maps(self.sized, self.target, torch.arange(max(torch.Size(shape).numel(), 1)).view(shape))[0]
        places = torch.empty((order.numel(), 3), dtype=torch.int64)
        places[order.flatten()] = torch.stack(
            torch.meshgrid(*map(torch.arange, order.shape), indexing="ij"), -1
        ).flatten(0, 2)
        return places

    def __str__(self) -> str:
        return str(self.call)


def case_of(call: OperatorCall) -> OperatorCase:
    """The graph of a call."""
    image = call.image(1)
    built = _Built(image)
    torch.manual_seed(0)
    built.add(None, ("x",), {})
    args, kwargs = built.leaf(call.args), _each(call.kwargs, built.leaf)
    index = target = built.add(call.target, args, kwargs).index
    if isinstance(built.values[index], list | tuple):
        item = next(at for at, part in enumerate(built.values[index]) if isinstance(part, Tensor))
        target = built.add(python_operator.getitem, (Reference(index), item), {}).index
    specs = {name: WeightSpec("parameter", _tensor_spec(tensor)) for name, tensor in built.weights.items()}
    graph = Graph(tuple(built.nodes), (0,), (target,), specs, lambda values: values[0])
    return OperatorCase(call, image, graph, built.weights, index, target)


def _tensor_spec(tensor: Tensor) -> TensorSpec:
    spec: Spec = spec_of(tensor)
    assert isinstance(spec, TensorSpec)
    return spec
