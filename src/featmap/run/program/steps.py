"""The steps in which a graph is computed when only some of its values are wanted.

Only what the wanted values need is run. A batch norm is folded into the convolution before it where nobody wants the
value between them. A value is freed after its last reader, and a nonlinearity, sum or batch norm overwrites its
input where that input is read no more: fresh memory is dear, on many machines more than the arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from featmap.graph.graph import Graph, Node, Reference
from featmap.graph.operators.base.call import only_first_depends
from featmap.graph.operators.convolution import Convolution
from featmap.graph.operators.normalization import BatchNorm
from featmap.graph.operators.table import is_known, operator_of
from featmap.graph.schema import returns_view


@dataclass(frozen=True)
class Step:
    """One operator call as it is run.

    `node` is the call; `result` the node whose value comes out, which is another where a batch norm was folded in
    (`folded`). `frees` are the values that nobody reads after this step, its own among them if nobody reads it.
    """

    node: Node
    target: Callable[..., Any]
    result: int
    folded: Node | None
    overwrites: bool
    frees: tuple[int, ...]


def plan_steps(graph: Graph, wanted: Iterable[int], *, fold: bool = True, keep_wanted: bool = True) -> tuple[Step, ...]:
    """The steps that lead to the wanted values; values made of weights alone are not among them.

    Where wanted values are not kept, they are freed and written over like all others, after their last reader.
    """
    return _Steps(graph, frozenset(wanted), fold=fold, keep_wanted=keep_wanted).steps()


class _Steps:
    def __init__(self, graph: Graph, wanted: frozenset[int], *, fold: bool, keep_wanted: bool) -> None:
        self.graph = graph
        self.wanted = wanted
        self.kept = wanted if keep_wanted else frozenset[int]()
        self.needed = graph.ancestors(tuple(wanted))
        self.folds = self._folds() if fold else {}
        self.last_reader = self._last_readers()
        self.sharing = self._sharing()

    def steps(self) -> tuple[Step, ...]:
        absorbed = set(self.folds.values())
        return tuple(
            self._step(self.graph[index])
            for index in sorted(self.needed)
            if self._is_run(self.graph[index]) and index not in absorbed
        )

    def _is_run(self, node: Node) -> bool:
        return node.depends_on_input and not node.is_input

    def _readers(self, index: int) -> list[int]:
        return [reader for reader in self.graph.readers[index] if reader in self.needed]

    def _folds(self) -> dict[int, int]:
        """Convolutions whose value only a batch norm reads, each with that batch norm."""
        folds: dict[int, int] = {}
        for index in self.needed:
            readers = self._readers(index)
            if len(readers) == 1 and index not in self.wanted and can_fold(self.graph, index, readers[0]):
                folds[index] = readers[0]
        return folds

    def _last_readers(self) -> dict[int, int]:
        last: dict[int, int] = {}
        for index in sorted(self.needed):
            for source in self.graph[index].inputs:
                last[source] = index
        return last

    def _sharing(self) -> dict[int, frozenset[int]]:
        """For every value the values that may lie in the same memory, itself included."""
        sharing: dict[int, frozenset[int]] = {}
        for index in sorted(self.needed):
            node = self.graph[index]
            sources = node.inputs if may_share_memory(node) else ()
            together = frozenset([index]).union(*(sharing[source] for source in sources))
            sharing.update(dict.fromkeys(together, together))
        return sharing

    def _step(self, node: Node) -> Step:
        folded = self.folds.get(node.index)
        result = node.index if folded is None else folded
        frees = tuple(
            source
            for source in dict.fromkeys((*node.inputs, result))
            if self.last_reader.get(source, node.index) == node.index and source not in self.kept
        )
        in_place = operator_of(node).in_place(self.graph, node)
        overwrites = in_place is not None and self._may_overwrite(node, frees)
        target = in_place if in_place is not None and overwrites else operator_of(node).function(node)
        return Step(node, target, result, None if folded is None else self.graph[folded], overwrites, frees)

    def _may_overwrite(self, node: Node, frees: tuple[int, ...]) -> bool:
        """Whether a step may write into its first input: fresh memory that nobody reads afterwards."""
        first = node.args[0] if node.args else None
        if not isinstance(first, Reference) or first.index not in frees:
            return False
        source = self.graph[first.index]
        others = [index for index in node.inputs if index != first.index]
        same = all(self.graph[index].spec == source.spec for index in others)
        fresh = source.depends_on_input and not source.is_input and operator_of(source).is_fresh
        fits = same and node.spec == source.spec and len(node.inputs) == 1 + len(others)
        return fresh and fits and not self._is_seen_through_others(first.index, node.index)

    def _is_seen_through_others(self, index: int, writer: int) -> bool:
        """Whether a view of the value is kept or read, by the writer or after it."""
        others = self.sharing[index] - {index}
        return any(other in self.kept or self.last_reader.get(other, -1) >= writer for other in others)


def may_share_memory(node: Node) -> bool:
    """Whether a value may be a view of what the operator reads; of an unknown operator nobody knows."""
    return not is_known(node) or operator_of(node).may_be_view or returns_view(node.target)


def can_fold(graph: Graph, convolution: int, norm: int) -> bool:
    """Whether a batch norm's scale and shift can go into the convolution's own weights."""
    filters, scaling = graph[convolution], graph[norm]
    weighted, norms = operator_of(filters), operator_of(scaling)
    if not isinstance(weighted, Convolution) or not isinstance(norms, BatchNorm) or not weighted.takes_norm(filters):
        return False
    own_weights = only_first_depends(graph, filters) and norms.scales_and_shifts(graph, scaling)
    return own_weights and scaling.args[0] == Reference(convolution)
