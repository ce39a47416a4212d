"""Reasons why the model's next call may give other values: random numbers, state that it writes, batch statistics."""

from __future__ import annotations

from collections.abc import Iterable

from featmap.errors import FeatmapWarning, warn_caller
from featmap.graph.operators.table import operator_of
from featmap.network.network import CapturedNetwork
from featmap.network.randomness import RandomInEvaluation, operators_behind, random_operators


class StateInEvaluation(FeatmapWarning):
    """The result holds for the model's present state, which its next call changes."""


class BatchStatistics(FeatmapWarning):
    """The result holds for an image by itself; in a batch with others the model gives another one."""


def batch_statistics(network: CapturedNetwork, wanted: Iterable[int]) -> tuple[str, ...]:
    """The addresses of the operators with statistics of the batch that these values depend on."""
    return operators_behind(network, wanted, lambda node: operator_of(node).uses_batch_statistics(node))


def written_state(network: CapturedNetwork, wanted: Iterable[int] | None = None) -> tuple[str, ...]:
    """What the model writes in evaluation and these values may depend on (without values, everything it writes)."""
    graph = network.graph
    if wanted is None:
        return tuple(written.name for written in graph.written)
    nodes = (graph[index] for index in graph.ancestors(list(wanted)))
    read = {name for node in nodes for name in node.weights}
    return tuple(written.name for written in graph.written if not written.is_weight or written.name in read)


def remarks(network: CapturedNetwork, wanted: Iterable[int]) -> tuple[tuple[type[UserWarning], str], ...]:
    """The reasons why the model's next call may give other values, a sentence each."""
    wanted, name = list(wanted), network.name
    random, state, batch = (
        ", ".join(found(network, wanted)) for found in (random_operators, written_state, batch_statistics)
    )
    said = (
        (RandomInEvaluation, random, f"{name} is random in evaluation too, at {random}: this is one draw."),
        (
            StateInEvaluation,
            state,
            f"{name} writes in evaluation to {state}: this is the answer of its state now, which its own calls change.",
        ),
        (
            BatchStatistics,
            batch,
            f"{name} takes statistics of the batch in evaluation too, at {batch}: this is the answer of each image by "
            "itself.",
        ),
    )
    return tuple((kind, text) for kind, found, text in said if found)


def note_differences(network: CapturedNetwork, wanted: Iterable[int]) -> tuple[str, ...]:
    """Warns where the model's next call may give other values, and returns the sentences."""
    found = remarks(network, wanted)
    for kind, text in found:
        warn_caller(text, kind)
    return tuple(text for _, text in found)
