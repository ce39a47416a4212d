"""The names of a graph's values: operator calls and module outputs get one documented name each.

An operator call that is all that its module does has the module's path (`features.21`); any other has the path of the
module whose forward makes it, with the operator's name (`layer1.0.add`). A module that does more than one thing names
the value that it returns. Names that occur more than once are numbered in the order of the calls. A name means one
thing: a module has its own, then inputs have theirs, then functions, and whoever finds it taken adds `_`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from featmap.graph.graph import Graph, ModuleCall, Node
from featmap.graph.operators.table import printed_name
from featmap.network.address import written


@dataclass(frozen=True, slots=True)
class CallName:
    """A name and the number of the call under that name (from 1)."""

    path: str
    number: int


class Names:
    """The names of a graph.

    `operator` maps every node to its call's name. `values` maps every name, of operators and modules, to the nodes that
    it can mean: one, or several for a module that returns several values. `calls` lists the numbers of a path's calls,
    without calls that no output depends on. `joined` maps the paths that the model calls once, on several images
    joined along the batch, to the number of these images: the graph has as many calls.
    """

    def __init__(self, graph: Graph) -> None:
        self.operator: dict[int, CallName] = _operator_names(graph)
        self.module_outputs: dict[ModuleCall, tuple[int, ...]] = _module_outputs(graph)
        self.values: dict[CallName, tuple[int, ...]] = {}
        for call, outputs in self.module_outputs.items():
            self.values[CallName(call.path, call.number)] = outputs
        working = {call for node in graph for call in node.stack}
        for stack, index in graph.removed.items():
            # A module without any other operators returns its input.
            for call in stack:
                if call not in working or call == stack[-1]:
                    self.values.setdefault(CallName(call.path, call.number), (index,))
        self.operator_values = {name: index for index, name in self.operator.items()}
        for name, index in self.operator_values.items():
            self.values.setdefault(name, (index,))
        self.calls: dict[str, tuple[int, ...]] = _calls(self.values)
        self.joined: dict[str, int] = _joined(graph, self.calls, self.values)

    def text(self, name: CallName) -> str:
        """The name as printed: with a number only where there are several calls."""
        is_numbered = len(self.calls.get(name.path, ())) > 1
        return written(name.path) + (f"#{name.number}" if is_numbered else "")


def _calls(names: Iterable[CallName]) -> dict[str, tuple[int, ...]]:
    numbers: defaultdict[str, list[int]] = defaultdict(list)
    for name in names:
        numbers[name.path].append(name.number)
    return {path: tuple(sorted(found)) for path, found in numbers.items()}


def _joined(graph: Graph, calls: dict[str, tuple[int, ...]], values: dict[CallName, tuple[int, ...]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for path, numbers in calls.items() if graph.copy_of else ():
        sources = {tuple(graph.copy_of.get(index) for index in values[CallName(path, number)]) for number in numbers}
        if len(numbers) > 1 and len(sources) == 1 and None not in next(iter(sources)):
            found[path] = len(numbers)
    return found


def _operator_names(graph: Graph) -> dict[int, CallName]:
    alone = _only_work_of(graph)
    names: dict[int, CallName] = {}
    paths = _Paths(graph)
    called: Counter[str] = Counter()
    for node in sorted(graph, key=lambda node: not node.is_input):
        owner = node.owner
        if alone.get(owner) == node.index:
            names[node.index] = CallName(owner.path, owner.number)
            continue
        path = paths.of(node)
        called[path] += 1
        names[node.index] = CallName(path, called[path])
    return names


class _Paths:
    """Paths of inputs and functions, none that of a module or of another function: `_` is added until it is free."""

    def __init__(self, graph: Graph) -> None:
        stacks = (*(node.stack for node in graph), *graph.removed)
        modules = {call.path for stack in stacks for call in stack}
        others = {other for path in modules for other in graph.other_names.get(path, ())}
        self.taken: dict[str, tuple[str, str, bool] | None] = dict.fromkeys(modules | others)

    def of(self, node: Node) -> str:
        """The path that all calls of one function in the forward of one module share."""
        owner, name = node.owner.path, str(node.args[0]) if node.is_input else printed_name(node)
        path = f"{owner}.{name}" if owner else name
        while self.taken.setdefault(path, (owner, name, node.is_input)) != (owner, name, node.is_input):
            path += "_"
        return path


def _only_work_of(graph: Graph) -> dict[ModuleCall, int]:
    """The module calls that make a single operator call of their own and call no other module."""
    inside: defaultdict[ModuleCall, list[Node]] = defaultdict(list)
    for node in graph:
        for call in node.stack:
            inside[call].append(node)
    return {call: nodes[0].index for call, nodes in inside.items() if len(nodes) == 1 and nodes[0].owner == call}


def _module_outputs(graph: Graph) -> dict[ModuleCall, tuple[int, ...]]:
    """For every module call, the values made inside it that are read outside or returned by the network."""
    returned = {index for index in graph.outputs if index is not None}
    found: defaultdict[ModuleCall, list[int]] = defaultdict(list)
    for node in graph:
        readers = graph.readers[node.index]
        for call in node.stack:
            if node.index in returned or any(call not in graph[reader].stack for reader in readers):
                found[call].append(node.index)
    return {call: tuple(indices) for call, indices in found.items()}
