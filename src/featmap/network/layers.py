"""The layers of a network, where feature maps are made, each with the stages conv, z and a.

A layer is a convolution (or linear layer) with the normalisation and the nonlinearity that follow it with no other
reader between them, or a merge or a separate normalisation with its nonlinearity. Where a value has several readers the
layer ends, and errors about missing stages give the reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from featmap.graph.graph import Graph
from featmap.graph.operators.base.operator import Operator
from featmap.graph.operators.moving.cutting import Concatenate
from featmap.graph.operators.table import operator_of
from featmap.graph.sized_graph import SizedGraph
from featmap.network.names import CallName, Names


@dataclass(frozen=True)
class CapturedLayer:
    """A part of the network that makes feature maps.

    `producer` is the node of the convolution or merge, `normalizations` and `nonlinearity` those that follow it.
    `stages` maps stage names to the nodes that hold their values; a concatenation of activations
    (`joins_activations`) holds activations already.
    """

    name: str
    call: CallName
    producer: int
    normalizations: tuple[int, ...]
    nonlinearity: int | None
    kind: str
    joins_activations: bool = False

    @cached_property
    def stages(self) -> dict[str, int]:
        last = self.normalizations[-1] if self.normalizations else self.producer
        if self.joins_activations:
            return {"a": self.producer}
        stages = {"conv": self.producer} if self.kind in ("convolution", "linear") else {}
        stages["z"] = last
        if self.nonlinearity is not None:
            stages["a"] = self.nonlinearity
        return stages

    @property
    def last_stage(self) -> str:
        """`a`, or `z` where the layer has no activation of its own."""
        return "a" if "a" in self.stages else "z"

    @property
    def nodes(self) -> tuple[int, ...]:
        """The nodes of the layer, in order."""
        tail = () if self.nonlinearity is None else (self.nonlinearity,)
        return (self.producer, *self.normalizations, *tail)

    def __str__(self) -> str:
        return self.name


def find_layers(sized: SizedGraph, names: Names) -> tuple[CapturedLayer, ...]:
    """All layers of a graph in execution order."""
    return _Finder(sized, names).layers()


class _Finder:
    def __init__(self, sized: SizedGraph, names: Names) -> None:
        self.sized = sized
        self.graph: Graph = sized.graph
        self.names = names
        self.returned = {index for index in self.graph.outputs if index is not None}

    def layers(self) -> tuple[CapturedLayer, ...]:
        found: list[CapturedLayer] = []
        absorbed: set[int] = set()
        for node in self.graph:
            if node.index not in absorbed and self._makes_maps(node.index):
                layer = self._layer(node.index)
                absorbed.update(layer.nodes)
                found.append(layer)
        return tuple(found)

    def _operator(self, index: int) -> Operator:
        return operator_of(self.graph[index])

    def _makes_maps(self, index: int) -> bool:
        node, operator = self.graph[index], self._operator(index)
        if node.is_input or not node.depends_on_input:
            return False
        if operator.is_merge:
            maps = [source for source, _ in self.sized.reads(index) if self.sized.axes[source].has_space]
            if isinstance(operator, Concatenate) and operator.joins_images(self.sized.call(node)):
                return False
            joins = isinstance(operator, Concatenate) and len(node.inputs) > 1
            return self.sized.axes[index].has_space and (len(set(maps)) > 1 or joins)
        return operator.is_convolution or operator.kind == "linear" or self._normalizes(index)

    def _normalizes(self, index: int) -> bool:
        """Whether a value is a normalised one; a form that returns statistics beside it is no stage of a layer."""
        return self._operator(index).is_normalization and not isinstance(self.graph[index].spec, tuple)

    def _layer(self, producer: int) -> CapturedLayer:
        normalizations: list[int] = []
        last = producer
        # A merge's own value stays addressable: after a dense block the next block's norm is a layer of its own.
        is_merge = self._operator(producer).is_merge
        while not is_merge and (reader := self._only_reader(last)) is not None and self._normalizes(reader):
            normalizations.append(reader)
            last = reader
        nonlinearity = self._only_reader(last)
        if nonlinearity is not None and not self._operator(nonlinearity).is_nonlinearity:
            nonlinearity = None
        call = self._name(producer, (producer, *normalizations, nonlinearity))
        kind = self._operator(producer).kind
        joins = nonlinearity is None and not normalizations and self._is_activation(producer)
        return CapturedLayer(self.names.text(call), call, producer, tuple(normalizations), nonlinearity, kind, joins)

    def _is_activation(self, index: int) -> bool:
        """Whether a value is made of activations only: a nonlinearity's output, pooled or joined with others."""
        node, operator = self.graph[index], self._operator(index)
        if operator.is_nonlinearity:
            return True
        passes_on = operator.kind == "pool" or isinstance(operator, Concatenate)
        return passes_on and all(self._is_activation(source) for source in node.inputs)

    def _only_reader(self, index: int) -> int | None:
        readers = self.graph.readers[index]
        return readers[0] if len(readers) == 1 and index not in self.returned else None

    def _name(self, producer: int, stages: tuple[int | None, ...]) -> CallName:
        """The owner's path where the owner returns one of the stages, else the name of the operator call."""
        owner = self.graph[producer].owner
        outputs = self.names.module_outputs.get(owner, ())
        if owner.path and len(outputs) == 1 and outputs[0] in stages:
            return CallName(owner.path, owner.number)
        return self.names.operator[producer]
